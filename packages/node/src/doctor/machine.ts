/** What can be said of a machine and a home without opening the vault. */
import { accessSync, constants, existsSync, readdirSync, statfsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { selfTest } from "@tidelock/core/crypto/self-test";
import { loadSuite } from "../crypto/load-suite.ts";
import { loadSqlite } from "../home/driver.ts";
import type { HomePaths } from "../home/paths.ts";
import { type Finding, fail, looked, ok, warn } from "./finding.ts";

const OLDEST_NODE = [20, 19] as const;
const OLDEST_SQLITE = [3, 37] as const;
const GIB = 2 ** 30;
/** Below it a transaction may already find no room. */
const LEAST_BYTES = 64 * 2 ** 20;
/** No release is older than this: a clock before it is wrong, whatever else it is. */
const EARLIEST = Date.UTC(2026, 0, 1);

export interface MachineFacts {
  readonly node: string;
  readonly now: number;
}

export async function machineFindings(
  paths: HomePaths,
  facts: MachineFacts = { node: process.versions.node, now: Date.now() },
): Promise<readonly Finding[]> {
  const found = [
    await looked("node", () => nodeOf(facts.node)),
    await looked("crypto", cryptoOf),
    await looked("sqlite", sqliteOf),
    await looked("clock", () => clockOf(facts.now)),
    await looked("home", () => homeOf(paths)),
    await looked("disk", () => diskOf(paths)),
  ];
  return found.flat();
}

export function nodeOf(version: string): Finding {
  const text = `Node.js ${/^[\d.]+/.exec(version)?.[0] ?? "unknown"} on ${process.platform} ${process.arch}`;
  return isAtLeast(version, OLDEST_NODE)
    ? ok("node", text)
    : fail("node", text, `install Node.js ${OLDEST_NODE.join(".")} or newer`);
}

async function cryptoOf(): Promise<Finding> {
  const { suite, build, reason } = await loadSuite();
  const wrong = selfTest(suite);
  if (wrong !== null)
    return fail(
      "crypto",
      `libsodium (${build}) fails its known answers`,
      "npm rebuild, then tidelock doctor",
    );
  const text = `libsodium (${build}) gives its known answers`;
  return reason === undefined
    ? ok("crypto", text)
    : warn("crypto", `${text}; the fast build is not used`, "npm rebuild sodium-native; it works without");
}

function sqliteOf(): Finding {
  const db = new (loadSqlite())(":memory:");
  try {
    const version = String(db.prepare("SELECT sqlite_version()").pluck().get());
    db.exec("CREATE TABLE t (k BLOB PRIMARY KEY, v BLOB) STRICT, WITHOUT ROWID");
    const put = db.prepare("INSERT INTO t VALUES (?, ?)");
    db.transaction(() => {
      for (let i = 0; i < 100; i++) put.run(Uint8Array.of(i), Uint8Array.of(i ^ 255));
    })();
    const back = db.prepare("SELECT v FROM t WHERE k = ?").pluck().get(Uint8Array.of(7)) as Uint8Array;
    if (back[0] !== (7 ^ 255) || db.pragma("quick_check", { simple: true }) !== "ok")
      return fail("sqlite", `SQLite ${version} does not give back what it was given`, REBUILD);
    return isAtLeast(version, OLDEST_SQLITE)
      ? ok("sqlite", `SQLite ${version} gives back what it was given`)
      : fail("sqlite", `SQLite ${version} is too old`, REBUILD);
  } finally {
    db.close();
  }
}

const REBUILD = "npm rebuild better-sqlite3";

export function clockOf(now: number): Finding {
  return now >= EARLIEST
    ? ok("clock", `${new Date(now).toISOString()}`)
    : fail("clock", "this machine's clock stands before this program was made", "set the clock");
}

/** Nobody else may read the keys or reach the socket; this user must be able to write. */
function homeOf(paths: HomePaths): Finding {
  const folders = [...new Set([paths.data, paths.state, paths.run])].filter((path) => existsSync(path));
  const [closed] = folders.filter((path) => !isWritable(path));
  if (closed !== undefined)
    return fail("home", "a folder of the home cannot be written", `look at ${closed}`);
  if (process.platform === "win32") return ok("home", "the home can be written");
  const open = folders.filter((path) => (statSync(path).mode & 0o077) !== 0);
  const [readable] = secretsIn(paths).filter((path) => (statSync(path).mode & 0o077) !== 0);
  if (readable !== undefined)
    return fail("home", "a file with keys or words can be read by other users", `chmod 600 ${readable}`);
  if (open[0] !== undefined)
    return warn("home", "a folder of the home is open to other users", `chmod 700 ${open.join(" ")}`);
  return ok("home", folders.length === 0 ? "nothing is there yet" : "the home is this user's alone");
}

function secretsIn(paths: HomePaths): readonly string[] {
  const vaults = join(paths.data, "vaults");
  const keys = existsSync(vaults) ? readdirSync(vaults).map((name) => join(vaults, name, "keys")) : [];
  return [...keys, join(paths.root, "recovery-sheet.txt")].filter((path) => existsSync(path));
}

/** Of file systems that live on another machine: SQLite's locks and syncs are promises of theirs. */
const networkTypes: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xff534d42, "SMB"],
  [0xfe534d42, "SMB"],
]);

function diskOf(paths: HomePaths): Finding {
  const { bavail, blocks, bsize, type } = statfsSync(existing(paths.data));
  const network = process.platform === "linux" ? networkTypes.get(type) : undefined;
  if (network !== undefined)
    return warn("disk", `the home lies on a network file system (${network})`, "choose a local --home");
  return roomOf(bavail * bsize, blocks * bsize);
}

export function roomOf(free: number, total: number): Finding {
  const text = `${(free / GIB).toFixed(1)} GiB of ${(total / GIB).toFixed(1)} GiB are free`;
  if (free < LEAST_BYTES) return fail("disk", text, "free some space; nothing is lost");
  return free < GIB || free < total / 20 ? warn("disk", text, "free some space") : ok("disk", text);
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function existing(path: string): string {
  return existsSync(path) ? path : existing(dirname(path));
}

function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [a = 0, b = 0] = version.split(".").map(Number);
  return a > major || (a === major && b >= minor);
}
