/** Small files of a home: private, and whole or not there. */
import {
  closeSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { TidelockError } from "@tidelock/core/errors";

/** Makes a folder that only its owner can enter. One that was there keeps its mode. */
export function privateFolder(path: string): void {
  guarded(path, () => makeFolder(path));
}

/** One by one: Node's own `recursive` never ends where a parent is there and takes no folders, as in /proc. */
function makeFolder(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) === "EEXIST" && statSync(path).isDirectory()) return;
    if (errnoOf(error) !== "ENOENT" || dirname(path) === path) throw error;
    makeFolder(dirname(path));
    mkdirSync(path, { mode: 0o700 });
  }
}

/** A folder in a place where others can write: it must be a real folder, ours, and closed to them. */
export function ownFolder(path: string): void {
  privateFolder(path);
  if (isOwnFolder(path)) return;
  const stat = lstatSync(path);
  const mine = stat.isDirectory() && stat.uid === process.getuid?.();
  throw new TidelockError("usage", {
    why: mine ? `${path} is open to other users` : `${path} belongs to somebody else`,
    next: mine ? `chmod 700 ${path}` : "choose a home with a shorter path",
  });
}

export function isOwnFolder(path: string): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat?.isDirectory() !== true) return false;
  if (process.platform === "win32") return true;
  return stat.uid === process.getuid?.() && (stat.mode & 0o077) === 0;
}

/** Written, flushed, renamed: a crash leaves the old file or the new one. */
export function writeWhole(path: string, content: string | Uint8Array, mode = 0o600): void {
  privateFolder(dirname(path));
  const temporary = `${path}.${process.pid}.tmp`;
  guarded(path, () => {
    rmSync(temporary, { force: true });
    const fd = openSync(temporary, "wx", mode);
    try {
      writeSync(fd, typeof content === "string" ? Buffer.from(content) : content);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
    syncFolder(dirname(path));
  });
}

export function syncFolder(path: string): void {
  // Windows opens no folder for this; NTFS journals its entries in order.
  if (process.platform === "win32") return;
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Undefined where there is none. */
export function readWhole(path: string): Uint8Array | undefined {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw explained(path, error);
  }
}

/** A secret from a file, refused while others on this machine can read it. */
export function readSecretFile(path: string): string {
  const stat = guarded(path, () => statSync(path, { throwIfNoEntry: false }));
  // A pipe may be one: `--words-file <(…)`.
  const bytes = stat === undefined || stat.isDirectory() ? undefined : readWhole(path);
  if (bytes === undefined)
    throw new TidelockError("usage", {
      why: stat === undefined ? `${path} is not there` : `${path} is a folder`,
      next: "check the path",
    });
  if (readableByOthers(path))
    throw new TidelockError("usage", {
      why: `${path} can be read by other users`,
      next: `chmod 600 ${path}`,
    });
  return new TextDecoder().decode(bytes).replace(/\r?\n$/, "");
}

export function readableByOthers(path: string): boolean {
  return process.platform !== "win32" && (statSync(path).mode & 0o077) !== 0;
}

export function errnoOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "";
}

function guarded<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw explained(path, error);
  }
}

/** What the file system says of a place where nothing can be kept. */
const unusable: ReadonlySet<string> = new Set(
  "EACCES EPERM EROFS ENOTDIR EISDIR EEXIST ENOENT ELOOP ENAMETOOLONG EINVAL ENOTSUP".split(" "),
);

export function explained(path: string, cause: unknown): unknown {
  const code = errnoOf(cause);
  if (code === "ENOSPC" || code === "EDQUOT")
    return new TidelockError("disk-full", { why: `no room for ${path}`, cause });
  if (unusable.has(code))
    return new TidelockError("usage", {
      why: `${path} cannot be used (${code})`,
      next: "choose another place, or mend its permissions",
      cause,
    });
  return cause;
}
