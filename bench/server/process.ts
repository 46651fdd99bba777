/** A program of the bench as a process, and what it used while something was measured. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

/** Processor time in µs since the start, and memory in bytes now. */
export interface Used {
  /** Of the thread that serves. */
  readonly serving: number;
  readonly all: number;
  readonly rss: number;
}

export class Program {
  readonly #child: ChildProcess;

  constructor(script: string, args: readonly string[], execArgv: readonly string[] = []) {
    this.#child = fork(script, args, { execArgv: [...execArgv] });
  }

  async ask<T>(message: unknown): Promise<T> {
    const answer = once(this.#child, "message");
    this.#child.send(message as object);
    const [value] = await answer;
    return value as T;
  }

  async told<T>(): Promise<T> {
    const [value] = await once(this.#child, "message");
    return value as T;
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.disconnect();
    await ended;
  }
}

/** One of `host.ts`. */
export class Host {
  readonly url: string;
  readonly #program: Program;

  static async start(
    script: string,
    kind: string,
    folder: string,
    execArgv?: readonly string[],
  ): Promise<Host> {
    const program = new Program(script, [kind, folder], execArgv);
    const { url } = await program.told<{ url: string }>();
    return new Host(program, url);
  }

  private constructor(program: Program, url: string) {
    this.#program = program;
    this.url = url;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  used(): Promise<Used> {
    return this.#program.ask<Used>("used");
  }

  stop(): Promise<void> {
    return this.#program.stop();
  }
}
