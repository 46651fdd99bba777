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
  readonly #socket: Socket;
  #got: Buffer = Buffer.alloc(0);
  #waiting:
    | { readonly resolve: (answer: Answered) => void; readonly reject: (error: Error) => void }
    | undefined;

  static async open(port: number): Promise<Wire> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return new Wire(socket);
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (part: Buffer) => this.#take(part));
    const fail = (): void => this.#waiting?.reject(new Error("the server closed the connection"));
    socket.on("close", fail).on("error", fail);
  }

  /** One at a time. */
  post(path: string, token: string | undefined, body: Uint8Array | string): Promise<Answered> {
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    const type = typeof body === "string" ? "application/json" : "application/vnd.tidelock";
    const session = token === undefined ? "" : `authorization: Bearer ${token}\r\n`;
    const head = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: ${type}\r\n${session}content-length: ${bytes.length}\r\n\r\n`;
    this.#socket.write(Buffer.concat([Buffer.from(head, "latin1"), bytes]));
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
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
