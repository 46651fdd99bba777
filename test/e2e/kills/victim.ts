/** A program that is killed and started again. */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export interface Program {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Descriptor 3 of the process. */
  readonly witness?: number;
  /** What it prints once it works; or asks until it does. */
  readonly ready: RegExp | ((alive: () => boolean) => Promise<void>);
}

/** However busy the machine is, ms. */
const PATIENCE = 60_000;

export class Victim {
  readonly #program: () => Program;
  readonly #errors: string;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #output = "";
  /** From the start of the process until it worked, ms. */
  readonly readyMs: number[] = [];

  /** `errors`: where its stderr goes. */
  constructor(program: () => Program, errors: string) {
    this.#program = program;
    this.#errors = errors;
  }

  /** Starts it and waits for nothing. */
  begin(): void {
    const { args, env, witness } = this.#program();
    const stdio: SpawnOptions["stdio"] = [
      "pipe",
      "pipe",
      "pipe",
      ...(witness === undefined ? [] : [witness]),
    ];
    const child = spawn(process.execPath, args, {
      env: { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent", ...env },
      stdio,
    });
    this.#child = child;
    this.#output = "";
    child.stdin?.on("error", () => undefined);
    child.stdout?.on("data", (data: Buffer) => {
      this.#output += data.toString();
    });
    child.stderr?.on("data", (data: Buffer) => appendFileSync(this.#errors, data));
    this.#ended = new Promise((resolve) => child.once("close", () => resolve()));
  }

  /** Starts it; resolves once it works. */
  async up(): Promise<void> {
    const started = performance.now();
    this.begin();
    const { ready } = this.#program();
    await (typeof ready === "function" ? this.#orTooLate(ready(() => this.#alive())) : this.said(ready));
    this.readyMs.push(performance.now() - started);
  }

  tell(line: string): void {
    this.#output = "";
    this.#child?.stdin?.write(`${line}\n`);
  }

  async said(what: RegExp): Promise<void> {
    const out = this.#child?.stdout;
    let look: () => void = () => undefined;
    const heard = new Promise<void>((resolve) => {
      look = () => {
        if (what.test(this.#output)) resolve();
      };
    });
    out?.on("data", look);
    look();
    await this.#orTooLate(heard);
    out?.off("data", look);
  }

  /** A program that hangs is a finding too. */
  async #orTooLate(work: Promise<void>): Promise<void> {
    const late = new AbortController();
    const hangs = sleep(PATIENCE, undefined, { signal: late.signal }).then(() => {
      throw new Error(`it does not answer for ${PATIENCE / 1000} s`);
    });
    hangs.catch(() => undefined);
    try {
      await Promise.race([work, this.#ended, hangs]);
    } finally {
      late.abort();
    }
    this.#needAlive();
  }

  /** No handler, no flush, no goodbye. Throws if it had ended by itself. */
  async kill(): Promise<void> {
    this.#needAlive();
    await this.end();
  }

  async end(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#ended;
    this.#child = undefined;
  }

  #alive(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  #needAlive(): void {
    if (!this.#alive())
      throw new Error(
        `it ended by itself (${this.#child?.exitCode ?? this.#child?.signalCode}): see ${this.#errors}`,
      );
  }
}
