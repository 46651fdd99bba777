/** Between a client and a server: counts what goes through, or lets nothing through. */
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";

export interface Gate {
  /** `METHOD /path/with/:id`, in order; without signing in and hints. */
  readonly calls: string[];
  /** Takes calls and answers none. */
  hangs: boolean;
  close(): Promise<void>;
}

export async function openGate(port: number, behind: number): Promise<Gate> {
  const calls: string[] = [];
  const gate = { calls, hangs: false, close };
  const server = createServer((incoming, answer) => {
    const path = (incoming.url ?? "").replace(/\?.*/, "").replace(/[\w-]{43}/g, ":id");
    if (!/^\/v1\/(auth|wake)/.test(path)) calls.push(`${incoming.method} ${path}`);
    if (!gate.hangs) forward(incoming, answer, behind);
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return gate;

  function close(): Promise<void> {
    return new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }
}

function forward(incoming: IncomingMessage, answer: ServerResponse, port: number): void {
  const { method, url: path, headers } = incoming;
  const on = request({ host: "127.0.0.1", port, method, path, headers, agent: false }, (from) => {
    answer.writeHead(from.statusCode ?? 502, from.headers);
    from.pipe(answer);
  });
  on.on("error", () => answer.destroy());
  incoming.pipe(on);
}
