/**
 * A proxy in front of a real server, for whoever runs it or stands before it: it knows every session,
 * passes on what it is not told to meddle with, and may do to an answer and to its connection what it likes.
 */
import {
  Agent,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";

export interface Asked {
  readonly method: string;
  /** Without its query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Uint8Array;
  readonly authorization: string | undefined;
  readonly cookie: string | undefined;
  /** Whose session it is, as base64url; undefined outside of one. */
  readonly device: string | undefined;
}

export interface Said {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** Answers in the server's place; undefined where it has taken the connection into its own hands. */
export type Meddle = (
  asked: Asked,
  honest: () => Promise<Said>,
  raw: ServerResponse,
) => Promise<Said | undefined>;

export class HostileProxy {
  /** Asked for every request; without one the proxy is honest. */
  meddle: Meddle | undefined;
  readonly #http: Server;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #deviceByToken = new Map<string, string>();
  #upstream = 0;

  private constructor() {
    this.#http = createServer((incoming, response) => {
      this.#serve(incoming, response).catch(() => response.destroy());
    });
  }

  static async start(): Promise<HostileProxy> {
    const proxy = new HostileProxy();
    await new Promise<void>((resolve) => proxy.#http.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  /** The port of the honest server. */
  set upstream(port: number) {
    this.#upstream = port;
  }

  /** As the server answers it, whatever the proxy is told to do. */
  honest(asked: Pick<Asked, "method" | "path" | "authorization" | "body">, query = ""): Promise<Said> {
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          host: "127.0.0.1",
          port: this.#upstream,
          method: asked.method,
          path: asked.path + query,
          agent: this.#agent,
          headers: {
            ...(asked.authorization === undefined ? {} : { authorization: asked.authorization }),
            ...(asked.method === "GET" ? {} : { "content-length": asked.body.length }),
          },
        },
        (answer) => {
          readAll(answer).then(
            (body) => resolve({ status: answer.statusCode ?? 0, headers: plain(answer.headers), body }),
            reject,
          );
        },
      );
      sent.on("error", reject);
      sent.end(asked.body);
    });
  }

  async stop(): Promise<void> {
    this.#agent.destroy();
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()));
    this.#http.closeAllConnections();
    await closed;
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readAll(incoming);
    const url = new URL(incoming.url ?? "/", "http://proxy");
    const { authorization, cookie } = incoming.headers;
    const asked: Asked = {
      method: incoming.method ?? "GET",
      path: url.pathname,
      query: url.searchParams,
      body,
      authorization,
      cookie,
      device: this.#deviceByToken.get(authorization ?? ""),
    };
    const honest = async (): Promise<Said> => {
      const said = await this.honest(asked, url.search);
      this.#noteSession(asked, said);
      return said;
    };
    const said = await (this.meddle?.(asked, honest, response) ?? honest());
    if (said === undefined) return;
    const { "transfer-encoding": _, ...headers } = said.headers;
    response.writeHead(
      said.status,
      said.status === 204 ? headers : { ...headers, "content-length": said.body.length },
    );
    response.end(said.body);
  }

  #noteSession({ method, path, body }: Asked, said: Said): void {
    if (method !== "POST" || (path !== "/v1/auth/token" && path !== "/v1/persons")) return;
    if (said.status !== 200 && said.status !== 201) return;
    const { device } = jsonOf(body);
    const { token } = jsonOf(said.body);
    if (typeof device === "string" && typeof token === "string")
      this.#deviceByToken.set(`Bearer ${token}`, device);
  }
}

export function jsonOf(bytes: Uint8Array): Record<string, unknown> {
  return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
}

async function readAll(stream: IncomingMessage): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part as Uint8Array);
  return new Uint8Array(Buffer.concat(parts));
}

function plain(headers: IncomingMessage["headers"]): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers))
    if (typeof value === "string" && name !== "connection" && name !== "keep-alive") out[name] = value;
  return out;
}
