/**
 * The command line as real processes: built from the sources once for a run of tests, run with
 * homes of their own and nothing of the environment but what a test gives.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ShapeName, shapes } from "../../packages/cli/src/shapes.ts";
import { type Bundle, bundle } from "./bundle.ts";

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly cwd?: string;
}

export interface Running {
  readonly pid: number;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Ends it as a person would; answers its exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
  /** As a crash would. */
  kill(): Promise<void>;
}

export interface Cli {
  /** A folder of this test file; gone afterwards. */
  readonly folder: string;
  /** How a command is started by somebody else: arguments, environment, working folder. */
  command(args: readonly string[]): readonly [readonly string[], Readonly<Record<string, string>>, string];
  run(args: readonly string[], options?: RunOptions): Promise<Ran>;
  /** With `--json`: the object, checked against its shape. The exit code must be the one expected. */
  json<T = Record<string, unknown>>(
    shape: ShapeName,
    args: readonly string[],
    expected?: number,
    options?: RunOptions,
  ): Promise<T>;
  /** `daemon run` of a home; resolves once it answers. */
  daemon(home: string, options?: RunOptions): Promise<Running>;
  /** A command that stays; resolves once it has printed this. */
  begin(args: readonly string[], ready: RegExp, options?: RunOptions): Promise<Running>;
  remove(): Promise<void>;
}

/** Of this thread, for all its files of tests; what stands beside the run's other programs goes with them. */
let built: Promise<Bundle> | undefined;

export async function createCli(): Promise<Cli> {
  const folder = mkdtempSync(join(tmpdir(), "tidelock-e2e-"));
  built ??= bundle();
  const running = new Set<ChildProcess>();

  const script = (await built).tidelock;
  const bare = { PATH: process.env["PATH"] ?? "", HOME: join(folder, "account"), TMPDIR: tmpdir() };

  function start(args: readonly string[], options: RunOptions): ChildProcess {
    const child = spawn(process.execPath, [script, ...args], {
      cwd: options.cwd ?? folder,
      env: { ...bare, ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    running.add(child);
    child.once("exit", () => running.delete(child));
    return child;
  }

  async function run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    const started = performance.now();
    const child = start(args, options);
    const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(options.input ?? "");
    const code = await ended(child);
    return { code: code ?? -1, stdout: stdout(), stderr: stderr(), ms: performance.now() - started };
  }

  async function begin(args: readonly string[], ready: RegExp, options: RunOptions = {}): Promise<Running> {
    const child = start(args, options);
    const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
    child.stdin?.end();
    const exit = ended(child);
    await new Promise<void>((resolve, reject) => {
      child.stdout?.on("data", () => ready.test(stdout()) && resolve());
      exit.then((code) => reject(new Error(`${args.join(" ")} ended with ${code}: ${stderr()}`)), reject);
    });
    return {
      pid: child.pid as number,
      stdout,
      stderr,
      stop: (signal = "SIGTERM") => {
        child.kill(signal);
        return exit;
      },
      kill: async () => {
        child.kill("SIGKILL");
        await exit;
      },
    };
  }

  return {
    folder,
    begin,
    command: (args) => [[process.execPath, script, ...args], bare, folder],
    run,
    json: async <T>(shape: ShapeName, args: readonly string[], expected = 0, options: RunOptions = {}) => {
      const ran = await run([...args, "--json"], options);
      if (ran.code !== expected)
        throw new Error(`exit ${ran.code}, expected ${expected}: ${ran.stdout}${ran.stderr}`);
      const lines = ran.stdout.trimEnd().split("\n");
      if (lines.length !== 1) throw new Error(`one object expected: ${ran.stdout}`);
      const value: unknown = JSON.parse(ran.stdout);
      const checked = shapes[shape].safeParse(value);
      if (!checked.success) throw new Error(`not a ${shape}: ${checked.error.message}\n${ran.stdout}`);
      return value as T;
    },
    daemon: (home, options = {}) => begin(["--home", home, "daemon", "run"], /in sync/, options),
    remove: async () => {
      await Promise.all(
        [...running].map((child) => {
          child.kill("SIGKILL");
          return ended(child);
        }),
      );
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Runs another program and answers its output; throws where it fails. */
export function shell(command: string, args: readonly string[], input?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], { stdio: ["pipe", "pipe", "pipe"] });
    const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
    child.on("error", reject);
    // A program that reads nothing may have ended before.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input ?? "");
    ended(child).then((code) => {
      if (code === 0) resolve(stdout());
      else reject(new Error(`${command} ended with ${code}: ${stderr()}`));
    }, reject);
  });
}

/** Asks again every few milliseconds until the answer is not undefined. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined> | T | undefined,
  ms = 15_000,
): Promise<T> {
  const end = performance.now() + ms;
  for (;;) {
    const found = await ask();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error(`waited ${ms} ms for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  const parts: Buffer[] = [];
  stream?.on("data", (part: Buffer) => parts.push(part));
  return () => Buffer.concat(parts).toString("utf8");
}

function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code));
  });
}
