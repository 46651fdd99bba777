/** The drive, as a program has it. */
import {
  type FileActed,
  type FileInput,
  type FileKept,
  type FileView,
  freeFile,
  listFiles,
  makeFolder,
  moveFile,
  pinFile,
  type ReadWish,
  readFile,
  removeFile,
  type StateHash,
  stateHash,
  statFile,
  unpinFile,
  writeFile,
} from "./drive.ts";
import {
  type FileChoice,
  type FileConflict,
  type FileConflictShown,
  fileConflicts,
  settleConflict,
  showConflict,
} from "./drive-conflicts.ts";
import {
  type FileHistory,
  fileHistory,
  heldAt,
  restoreFile,
  type TrashedFile,
  trashList,
} from "./drive-past.ts";
import { type FileWhy, fileWhy } from "./drive-why.ts";
import type { FolderInfo } from "./folders.ts";
import type { Session } from "./session.ts";

export interface VaultFiles {
  /** What lies in a folder, or the file itself; of the whole drive with "". */
  list(path: string): readonly FileView[];
  stat(path: string): FileView;
  /**
   * Checked; a whole file as a whole, a range piece by piece. `revision`: an earlier version, or of what was deleted, by its
   * path or id. Throws `unreachable` or `blob-damaged` where it can be had nowhere.
   */
  read(path: string, wish?: ReadWish & { readonly revision?: string }): Promise<Uint8Array>;
  /** Durable here when it resolves; `accepted` where the vault has taken it already. */
  write(path: string, input: FileInput): Promise<FileActed>;
  mkdir(path: string): Promise<FileActed>;
  move(from: string, to: string): Promise<FileActed>;
  /** A folder with all that lies in it. */
  remove(path: string): Promise<FileActed>;
  /** Kept on this machine, with all that lies in it, also as others change it. Resolves when it is here. */
  pin(path: string): Promise<FileKept>;
  /** From then on it may go when room is needed. */
  unpin(path: string): FileKept;
  /** Gives its room on this machine back. Throws `not-uploaded` while some of it waits to be sent. */
  free(path: string): Promise<FileKept>;
  /** What it held, the newest first; of what was deleted too, by its path or id. */
  history(path: string): FileHistory;
  /** Which entries of the log made it what it is, and what was refused. */
  why(path: string): FileWhy;
  /** An earlier version by its revision, or what was deleted, by its path or id. */
  restore(object: string, wish?: { readonly revision?: string; readonly to?: string }): Promise<FileActed>;
  trash(): readonly TrashedFile[];
  conflicts(filter?: { readonly open?: boolean }): readonly FileConflict[];
  /** One by its id or the beginning of it, with the lines in which two texts begin to differ. */
  conflict(id: string): Promise<FileConflictShown>;
  /** What the answer says came of it: another device may have been faster. `later` leaves it open. */
  settle(id: string, choice: FileChoice): Promise<FileConflict>;
  /** Keeps a folder of this machine equal with the drive, while the vault is open. One that is full is merged. */
  attachFolder(dir: string): Promise<FolderInfo>;
  /** What lies in it stays. */
  detachFolder(dir: string): Promise<FolderInfo>;
  folders(): readonly FolderInfo[];
  /** Whether the folders of this machine show a folder of the drive. Throws `not-uploaded` while something in it is only here. */
  select(path: string): Promise<readonly FolderInfo[]>;
  deselect(path: string): Promise<readonly FolderInfo[]>;
  /** The same at the same seq on all devices. */
  stateHash(): StateHash;
  /** Called after the drive may have become another. The answer ends it. */
  watch(listener: () => void): () => void;
}

export function filesOf(session: Session): VaultFiles {
  const { folders } = session;
  return {
    list: (path) => listFiles(session, path),
    stat: (path) => statFile(session, path),
    read: async (path, { revision, ...wish } = {}) =>
      readFile(session, path, wish, revision === undefined ? undefined : heldAt(session, path, revision)),
    write: (path, input) => writeFile(session, path, input),
    mkdir: (path) => makeFolder(session, path),
    move: (from, to) => moveFile(session, from, to),
    remove: (path) => removeFile(session, path),
    pin: (path) => pinFile(session, path),
    unpin: (path) => unpinFile(session, path),
    free: (path) => freeFile(session, path),
    history: (path) => fileHistory(session, path),
    why: (path) => fileWhy(session, path),
    restore: (object, { revision, to } = {}) => restoreFile(session, object, revision, to),
    trash: () => trashList(session),
    conflicts: (filter = {}) => fileConflicts(session, filter.open !== false),
    conflict: (id) => showConflict(session, id),
    settle: (id, choice) => settleConflict(session, id, choice),
    attachFolder: (dir) => folders.add(dir, false),
    detachFolder: (dir) => folders.remove(dir),
    folders: () => folders.list(),
    select: (path) => folders.select(path, undefined, true),
    deselect: (path) => folders.select(path, undefined, false),
    stateHash: () => stateHash(session),
    watch(listener) {
      let seen = session.kinds.files.changes();
      return session.engine.onChange(() => {
        const now = session.kinds.files.changes();
        if (now !== seen) listener();
        seen = now;
      });
    },
  };
}
