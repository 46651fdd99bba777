/**
 * Where a home lies. `TIDELOCK_HOME` (or `--home`) makes it self-contained, so that several
 * devices live on one machine; without it the account's own folders are used.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { TidelockError } from "@tidelock/core/errors";

export interface HomePaths {
  /** What names this home: its folder, or the data folder of the account's own. */
  readonly root: string;
  /** SHA-256(root)[0..8] in hexadecimal: names keychain entries and a moved socket. */
  readonly id: string;
  readonly config: string;
  readonly data: string;
  readonly state: string;
  readonly run: string;
  /** Always on the disk that holds the data: one home, one lock, whatever the session's runtime folder is. */
  readonly lock: string;
  readonly owner: string;
  readonly socket: string;
}

export interface WhereOptions {
  /** From a flag or a caller; stronger than the environment. */
  readonly home?: string | undefined;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
}

/** Unix sockets take 104 (macOS) or 108 bytes. */
const SOCKET_PATH = 100;

/** Order: caller, `TIDELOCK_HOME`, `tidelock.toml` of the working folder, the account's own folders. */
export async function homePaths(options: WhereOptions = {}): Promise<HomePaths> {
  const env = options.env ?? process.env;
  const cwd = options.cwd ?? process.cwd();
  // A variable that was not set, most likely: the working folder is nobody's home by mistake.
  if (options.home === "")
    throw new TidelockError("usage", { why: "the home is empty", next: "name a folder" });
  const asked = options.home ?? present(env["TIDELOCK_HOME"]) ?? (await projectHome(cwd));
  if (asked !== undefined) {
    const root = real(resolve(cwd, asked));
    return finish(root, {
      config: join(root, "config.toml"),
      data: join(root, "data"),
      state: join(root, "state"),
      run: join(root, "run"),
      lock: join(root, "run", "lock"),
    });
  }
  const { default: envPaths } = await import("env-paths");
  const own = envPaths("tidelock", { suffix: "" });
  const data = real(own.data);
  const runtime = present(env["XDG_RUNTIME_DIR"]);
  return finish(data, {
    config: join(own.config, "config.toml"),
    data,
    state: own.log,
    run: runtime === undefined ? join(own.log, "run") : join(runtime, "tidelock"),
    lock: join(data, "lock"),
  });
}

function finish(root: string, at: Pick<HomePaths, "config" | "data" | "state" | "run" | "lock">): HomePaths {
  const id = createHash("sha256").update(root).digest("hex").slice(0, 16);
  return {
    ...at,
    root,
    id,
    owner: `${at.lock}.owner`,
    socket: socketAt(at.run, id),
  };
}

function socketAt(run: string, id: string): string {
  // A named pipe belongs to whoever made it; there are no folders around it.
  if (process.platform === "win32") return `\\\\.\\pipe\\tidelock-${id}`;
  const socket = join(run, "daemon.sock");
  return Buffer.byteLength(socket) > SOCKET_PATH ? join(tmpdir(), `tidelock-${id}`, "daemon.sock") : socket;
}

/** `home` of a project's `tidelock.toml`, so that its commands meet the same home without a flag. */
async function projectHome(cwd: string): Promise<string | undefined> {
  const path = join(cwd, "tidelock.toml");
  if (!existsSync(path)) return undefined;
  // Loaded where there is something to read: most commands never need it.
  const { parse } = await import("smol-toml");
  try {
    const { home } = parse(readFileSync(path, "utf8"));
    return typeof home === "string" ? resolve(cwd, home) : undefined;
  } catch (cause) {
    throw new TidelockError("usage", { why: "tidelock.toml is not valid TOML", next: "repair it", cause });
  }
}

function present(value: string | undefined): string | undefined {
  return value === undefined || value === "" ? undefined : value;
}

/** Without links as far as it exists: one folder has one id, however it is reached. */
function real(path: string): string {
  if (existsSync(path)) return realpathSync(path);
  const parent = dirname(path);
  return parent === path ? path : join(real(parent), basename(path));
}
