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

/** To the thread: writes that came in one turn. Back: their answers, when they are durable. */
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

export function openInline(path: string): WriteDoor {
  const db = openFile(path);
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<Error>((resolve) => {
    fail = resolve;
  });
  const writer = new GroupWriter(db, prepareWrites(db), fail);
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
    thread.on("message", (reply: Reply) => {
      if (reply.kind === "ready") return resolve();
      if (reply.kind === "refused") return reject(errorOf(reply.fault));
      if (reply.kind === "broken") return fail(errorOf(reply.fault));
      const one = waiting.get(reply.id);
      waiting.delete(reply.id);
      if (reply.kind === "done") one?.resolve(reply.value);
      else one?.reject(errorOf(reply.fault));
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
  return {
    failed,
    write: (name, args) =>
      new Promise((resolve, reject) => {
        if (dead !== undefined) return reject(dead);
        const id = next++;
        waiting.set(id, { resolve, reject });
        thread.postMessage({ id, name, args } satisfies Ask);
      }),
    close: async () => {
      closing = true;
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
