/**
 * The file system as the folder remote asks for it: few calls, each one step of a commit that a
 * crash can fall between. Node's real one and the simulated disk pass the same contract.
 *
 * Paths are absolute, with `/` between names. A call that fails rejects with an `Error` whose
 * `code` is the errno name (`ENOENT`, `EEXIST`, `EIO`, …). No call retries. Except where said,
 * nothing is durable before it was synced: a file's bytes by `syncFile`, an entry of a directory
 * by `syncDir`. After a failed sync nothing is known of what it covered: write anew elsewhere.
 */
export interface Fs {
  /** At most `max` bytes of a regular file, from its start or from `at`. Never follows a link at the last name: `ELOOP`; a directory: `EISDIR`. */
  readFile(path: string, max: number, at?: number): Promise<Uint8Array>;
  /** Creates the file and writes all of it; `EEXIST` where the name is taken. May leave a part behind when it fails. */
  writeFileNew(path: string, bytes: Uint8Array): Promise<void>;
  syncFile(path: string): Promise<void>;
  /** A second name for a file, never over an existing one: `EEXIST`. `EPERM` and the like where there are no hard links. */
  link(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** One directory; `EEXIST` where the name is taken. */
  mkdir(path: string): Promise<void>;
  rmdir(path: string): Promise<void>;
  /** Replaces a file by a file, and an empty directory by a directory; a full one fails with `ENOTEMPTY` or `EEXIST`. */
  rename(from: string, to: string): Promise<void>;
  /** Names, in no order. Entries that come or go meanwhile may be missing or present. */
  readdir(path: string): Promise<readonly string[]>;
  /** Never follows a link at the last name. */
  stat(path: string): Promise<FileStat>;
  syncDir(path: string): Promise<void>;
  /** Calls `hint` when an entry of the directory may have changed. Hints may be lost, repeated or wrong. */
  watch(path: string, hint: () => void): () => void;
}

export interface FileStat {
  readonly kind: "file" | "directory" | "other";
  readonly size: number;
  /** Last change by the clock of whatever stores it, ms since 1970, with a fraction where it has one. */
  readonly mtime: number;
  readonly dev: number;
  readonly ino: number;
}
