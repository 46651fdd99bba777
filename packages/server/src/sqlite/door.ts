/**
 * The way to the writing connection: in this thread, or in one of its own, where a slow flush of
 * the disk stalls no socket.
 */
import { Worker } from "node:worker_threads";
import { type ErrorCode, TidelockError } from "@tidelock/core/errors";
import { openFile } from "./file.ts";
import { GroupWriter } from "./group.ts";
import { prepareWrites, type Writes } from "./writes.ts";

export interface WriteDoor {
  readonly write: (name: keyof Writes, args: readonly unknown[]) => Promise<unknown>;
  /** Resolves when nothing more will be written until the file is opened anew. */
  readonly failed: Promise<Error>;
  /** Everything that was asked for is answered when it resolves. */
  readonly close: () => Promise<void>;
}

/**
 * To the thread go lists of these: the writes that came in one turn, since a message costs more
 * than most of them. Back come lists of their answers, when they are durable.
 */
export interface Ask {
  readonly id: number;
  readonly name: keyof Writes;
  readonly args: readonly unknown[];
}

export type Reply =
  | { readonly kind: "ready" }
  | { readonly kind: "refused"; readonly fault: Fault }
  | { readonly kind: "broken"; readonly fault: Fault }
  | { readonly kind: "done"; readonly id: number; readonly value: unknown }
  | { readonly kind: "failed"; readonly id: number; readonly fault: Fault };

/** An error that crosses a thread. */
export interface Fault {
  readonly message: string;
  readonly code: string | undefined;
  readonly known: { readonly why: string; readonly next: string } | undefined;
}

/** Gathers what is said in one turn of the loop into one message. */
export class Outgoing<T> {
  readonly #send: (all: readonly T[]) => void;
  #all: T[] = [];

  constructor(send: (all: readonly T[]) => void) {
    this.#send = send;
  }

  add(one: T): void {
    // After all microtasks of this turn: whoever waited for one promise has gone on by then.
    if (this.#all.push(one) === 1) process.nextTick(() => this.flush());
  }

  flush(): void {
    if (this.#all.length > 0) this.#send(this.#all.splice(0));
  }
}

export function openInline(path: string): WriteDoor {
  const db = openFile(path);
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<Error>((resolve) => {
    fail = resolve;
  });
  const writer = new GroupWriter(db, prepareWrites(db), { failed: fail });
  return {
    failed,
    write: (name, args) =>
      new Promise((resolve, reject) => {
        writer.add({ name, args, done: resolve, failed: reject });
      }),
    close: async () => {
      writer.drain();
      db.close();
    },
  };
}

export async function openThread(path: string): Promise<WriteDoor> {
  const thread = startThread(path);
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: unknown) => void }>();
  let dead: Error | undefined;
  let closing = false;
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<Error>((resolve) => {
    fail = resolve;
  });
  let closed = (): void => undefined;
  const ended = new Promise<void>((resolve) => {
    closed = resolve;
  });
  const die = (error: Error): void => {
    dead ??= error;
    if (!closing) fail(error);
    // Whether these were written is not known.
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  await new Promise<void>((resolve, reject) => {
    const take = (reply: Reply): void => {
      if (reply.kind === "ready") resolve();
      else if (reply.kind === "refused") reject(errorOf(reply.fault));
      else if (reply.kind === "broken") fail(errorOf(reply.fault));
      else {
        const one = waiting.get(reply.id);
        waiting.delete(reply.id);
        if (reply.kind === "done") one?.resolve(reply.value);
        else one?.reject(errorOf(reply.fault));
      }
    };
    thread.on("message", (replies: readonly Reply[]) => {
      for (const one of replies) take(one);
    });
    thread.on("error", (error) => {
      die(error);
      reject(error);
    });
    thread.on("exit", () => {
      die(new Error("the writing thread has ended"));
      closed();
    });
  });
  let next = 0;
  const asks = new Outgoing<Ask>((all) => thread.postMessage(all));
  return {
    failed,
    write: (name, args) =>
      new Promise((resolve, reject) => {
        if (dead !== undefined) return reject(dead);
        const id = next++;
        waiting.set(id, { resolve, reject });
        asks.add({ id, name, args });
      }),
    close: async () => {
      closing = true;
      asks.flush();
      thread.postMessage(null);
      await ended;
    },
  };
}

function startThread(path: string): Worker {
  if (import.meta.url.endsWith(".js"))
    return new Worker(new URL("./thread.js", import.meta.url), { workerData: path });
  // From source, what runs the sources has to be loaded first: a thread does not inherit it.
  const file = JSON.stringify(new URL("./thread.ts", import.meta.url).href);
  const script = `import("tsx/esm/api").then((tsx) => { tsx.register(); return import(${file}); });`;
  return new Worker(script, {
    eval: true,
    workerData: path,
    execArgv: ["--conditions=@tidelock/source"],
  });
}

export function faultOf(error: unknown): Fault {
  const known = error instanceof TidelockError ? { why: error.why, next: error.next } : undefined;
  const code = (error as { code?: unknown } | null)?.code;
  return {
    message: error instanceof Error ? error.message : "unknown",
    code: typeof code === "string" ? code : undefined,
    known,
  };
}

function errorOf({ message, code, known }: Fault): Error {
  if (known !== undefined) return new TidelockError(code as ErrorCode, known);
  return Object.assign(new Error(message), code === undefined ? {} : { code });
}
