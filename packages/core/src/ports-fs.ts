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

/**
 * The file system as a synced folder asks for it: everything `Fs` does, and what it takes to see
 * and to make other people's files. Scan and apply use nothing else, so that a simulated disk can
 * stand in for the real one.
 *
 * A name that is no text (not UTF-8, or half of a surrogate pair) is never turned into another
 * one: `list` tells of it and no call can name it. Links are never followed, except by `realPath`.
 */
export interface FolderFs extends Fs {
  /** Of whatever stands there, a link itself included. */
  look(path: string): Promise<DiskFacts>;
  /**
   * All entries of a folder, in no order. What comes or goes meanwhile may be missing or present;
   * an entry that has gone again is left out. `ENOTDIR` where a link or a file stands.
   */
  list(path: string): Promise<DiskListing>;
  /**
   * A regular file piece by piece, in order; the bytes of a piece may be others after the answer
   * of `take`. Answers what the file was before the first and after the last byte was read: only
   * where both are equal were these the bytes of one moment. `EFBIG` above `most`.
   */
  readPieces(
    path: string,
    most: number,
    take: (bytes: Uint8Array) => void | Promise<void>,
  ): Promise<ReadFile>;
  /** A new file, as `writeFileNew`, from pieces that `work` puts into it one after another. */
  writePieces<T>(path: string, work: (put: (bytes: Uint8Array) => Promise<void>) => Promise<T>): Promise<T>;
  /** Text of a link as it stands, bytes of a name. */
  readLink(path: string): Promise<Uint8Array>;
  /** A link with this text; `EEXIST` where the name is taken. */
  symlink(target: Uint8Array, path: string): Promise<void>;
  /** Permission bits of a file. */
  chmod(path: string, mode: number): Promise<void>;
  /** Time of the last change, microseconds since 1970, of a file that is no link. */
  setTime(path: string, mtime: number): Promise<void>;
  /** The path with every link on the way resolved. */
  realPath(path: string): Promise<string>;
  /**
   * Hints at changes of a folder's entries, their content included. Hints may be lost, repeated or
   * wrong; `lost` is called once where no more will come, e.g. because the system has no watches left.
   */
  hints(path: string, hint: () => void, lost: () => void): () => void;
  /** Bytes this user may still write, and of the whole volume. */
  space(path: string): Promise<{ readonly free: number; readonly total: number }>;
}

export type DiskKind = "file" | "dir" | "link" | "other";

/** As a stat tells it; times in ns since 1970. What a system does not know is 0. */
export interface DiskFacts {
  readonly kind: DiskKind;
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly birthtimeNs: bigint;
  readonly ino: bigint;
  readonly dev: bigint;
  /** Names that a file has. */
  readonly links: number;
  /** Permission bits. */
  readonly mode: number;
}

export interface DiskListing {
  readonly entries: readonly (DiskFacts & { readonly name: string })[];
  /** Bytes of the names that are no text. */
  readonly notText: readonly Uint8Array[];
}

export interface ReadFile {
  /** How many bytes there were. */
  readonly length: number;
  readonly before: DiskFacts;
  readonly after: DiskFacts;
}
