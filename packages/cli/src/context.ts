/** What every command is given: where it works, how it speaks, and how long it may take. */
import { TidelockError } from "@tidelock/core/errors";
import type { ConnectOptions } from "@tidelock/node/daemon/connect";
import type { HomePaths } from "@tidelock/node/home/paths";
import { homePaths } from "@tidelock/node/home/paths";
import { createOutput, type Output, type Streams } from "./output.ts";

/** Where a server answers unless it is told otherwise. */
export const LISTEN = "127.0.0.1:7433";

export interface GlobalFlags {
  readonly home?: string;
  readonly vault?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly color?: boolean;
  readonly input?: boolean;
  readonly yes?: boolean;
  readonly timeout?: string;
  readonly insecureKeyFile?: boolean;
}

export interface Context {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly streams: Streams;
  readonly out: Output;
  readonly paths: HomePaths;
  readonly vault: string | undefined;
  readonly insecureKeyFile: boolean;
  /** Whether a person can be asked: on a terminal, and not forbidden. */
  readonly interactive: boolean;
  readonly yes: boolean;
  readonly timeoutMs: number | undefined;
  /** How a command reaches the vault: by the daemon, or itself. */
  connect(what: string, more?: { readonly databases?: boolean }): ConnectOptions;
}

export function outputFor(flags: GlobalFlags, env: Context["env"], streams: Streams): Output {
  const plain = flags.color === false || (env["NO_COLOR"] ?? "") !== "" || !streams.stderr.isTTY;
  return createOutput(streams, {
    json: flags.json === true,
    quiet: flags.quiet === true,
    verbose: flags.verbose === true,
    color: !plain,
  });
}

export async function createContext(
  flags: GlobalFlags,
  env: Context["env"],
  streams: Streams,
): Promise<Context> {
  const paths = await homePaths({ home: flags.home, env });
  const terminal = streams.stdin.isTTY === true && streams.stderr.isTTY === true;
  const forbidden = flags.input === false || (env["TIDELOCK_NO_INPUT"] ?? "") !== "" || flags.json === true;
  const timeoutMs = flags.timeout === undefined ? undefined : seconds(flags.timeout);
  const vault = flags.vault ?? env["TIDELOCK_VAULT"];
  return {
    env,
    streams,
    out: outputFor(flags, env, streams),
    paths,
    vault,
    insecureKeyFile: flags.insecureKeyFile === true,
    interactive: terminal && !forbidden,
    yes: flags.yes === true,
    timeoutMs,
    connect: (what, more = {}) => ({
      paths,
      keys: { env, insecureKeyFile: flags.insecureKeyFile },
      vault,
      what,
      ...(timeoutMs === undefined ? {} : { waitMs: timeoutMs }),
      ...more,
    }),
  };
}

function seconds(text: string): number {
  const n = Number(text);
  if (!Number.isFinite(n) || n <= 0)
    throw new TidelockError("usage", {
      why: "--timeout wants a number of seconds above 0",
      next: "--timeout 30",
    });
  return n * 1000;
}
