/**
 * One connection that asks and waits, over a bare socket: the clients share the cores with the server
 * they measure, and an HTTP library would take more of them than the server does.
 */
import { connect, type Socket } from "node:net";

export interface Answered {
  readonly status: number;
  readonly text: string;
}

const END = Buffer.from("\r\n\r\n");

export class Wire {
  readonly #port: number;
  #socket: Socket;
  /** A server lets go of who says nothing for a while: the next request comes over a new one. */
  #isOpen = true;
  #got: Buffer = Buffer.alloc(0);
  #waiting:
    | { readonly resolve: (answer: Answered) => void; readonly reject: (error: Error) => void }
    | undefined;

  static async open(port: number): Promise<Wire> {
    return new Wire(port, await connected(port));
  }

  private constructor(port: number, socket: Socket) {
    this.#port = port;
    this.#socket = socket;
    this.#listen();
  }

  #listen(): void {
    this.#isOpen = true;
    this.#got = Buffer.alloc(0);
    this.#socket.on("data", (part: Buffer) => this.#take(part));
    const fail = (): void => {
      this.#isOpen = false;
      this.#waiting?.reject(new Error("the server closed the connection"));
    };
    this.#socket.on("close", fail).on("end", fail).on("error", fail);
  }

  /** One at a time. */
  async post(path: string, token: string | undefined, body: Uint8Array | string): Promise<Answered> {
    if (!this.#isOpen) await this.renew();
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    const type = typeof body === "string" ? "application/json" : "application/vnd.tidelock";
    const session = token === undefined ? "" : `authorization: Bearer ${token}\r\n`;
    const head = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: ${type}\r\n${session}content-length: ${bytes.length}\r\n\r\n`;
    this.#socket.write(Buffer.concat([Buffer.from(head, "latin1"), bytes]));
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  /** Over a new connection, also where this process had no time to see that the old one has ended. */
  async renew(): Promise<void> {
    this.#socket.removeAllListeners().destroy();
    this.#socket = await connected(this.#port);
    this.#listen();
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(part: Buffer): void {
    this.#got = this.#got.length === 0 ? part : Buffer.concat([this.#got, part]);
    const at = this.#got.indexOf(END);
    if (at < 0) return;
    const head = this.#got.toString("latin1", 0, at);
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
    const end = at + END.length + length;
    if (this.#got.length < end) return;
    const text = this.#got.toString("utf8", end - length, end);
    this.#got = this.#got.subarray(end);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve({ status: Number(head.slice(9, 12)), text });
  }
}

async function connected(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  return socket;
}
