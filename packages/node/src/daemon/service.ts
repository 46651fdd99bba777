/**
 * Everything a command or a local program may ask of an open vault: plain data in, plain data out,
 * so that it is the same call in this process and over the daemon's socket.
 */
import { TidelockError } from "@tidelock/core/errors";
import type { Finding } from "../doctor/finding.ts";
import type { LimitConfig } from "../home/config.ts";
import type { AttachWish, DatabaseInfo } from "../vault/attachments.ts";
import { copiedError } from "../vault/copied.ts";
import {
  type DeviceActed,
  type DeviceView,
  deviceList,
  deviceNamed,
  removeDevice,
  renameDevice,
} from "../vault/devices.ts";
import {
  type FileActed,
  type FileKept,
  type FileView,
  freeFile,
  getFile,
  listPresent,
  makeFolder,
  moveFile,
  pinFile,
  putFile,
  removeFile,
  type StateHash,
  stateHash,
  unpinFile,
} from "../vault/drive.ts";
import {
  type FileConflict,
  type FileConflictShown,
  fileConflicts,
  settleConflict,
  showConflict,
} from "../vault/drive-conflicts.ts";
import {
  type FileHistory,
  fileHistory,
  heldAt,
  restoreFile,
  type TrashedFile,
  trashList,
} from "../vault/drive-past.ts";
import { type FileWhy, fileWhy } from "../vault/drive-why.ts";
import type { FolderInfo } from "../vault/folders.ts";
import {
  type Admitted,
  answerInvites,
  createInvite,
  type Invited,
  type InviteView,
  inviteList,
  revokeInvite,
} from "../vault/invites.ts";
import type { Issue } from "../vault/issues.ts";
import type { LimitWish } from "../vault/limits.ts";
import { type LogEntry, type LogLine, logEntry, logLines } from "../vault/log-view.ts";
import { type LoggedIn, logIn } from "../vault/login.ts";
import { look } from "../vault/look.ts";
import {
  type MemberActed,
  type MemberView,
  memberList,
  memberNamed,
  removeMember,
  setRole,
  transferVault,
} from "../vault/members.ts";
import type { TransferList } from "../vault/moving.ts";
import { isWait } from "../vault/outcome.ts";
import { dropEdit, type QueueActed, type QueueItem, queueList, retryEdit, saveEdit } from "../vault/queue.ts";
import { resyncSession } from "../vault/resync.ts";
import {
  type ConflictView,
  conflictList,
  type RowHistory,
  type RowWhy,
  rowHistory,
  rowWhy,
} from "../vault/rows-view.ts";
import type { Session, SyncReport } from "../vault/session.ts";
import { type SettingsActed, setMaxFileSize, settingsOf, type VaultSettings } from "../vault/settings.ts";
import { statusOf, type VaultStatus } from "../vault/status.ts";
import { type VerifyReport, verifySession } from "../vault/verify.ts";

export interface VaultService {
  status(): Promise<VaultStatus>;
  sync(wish: { readonly wait?: boolean; readonly timeoutMs?: number }): Promise<SyncReport>;
  databases(): Promise<readonly DatabaseInfo[]>;
  attach(wish: {
    readonly path: string;
    readonly tables?: readonly string[];
    readonly natural?: readonly string[];
  }): Promise<DatabaseInfo>;
  detach(wish: { readonly path: string; readonly force?: boolean }): Promise<DatabaseInfo>;
  approve(wish: { readonly path: string }): Promise<{ readonly approved: number }>;
  log(wish: { readonly from?: number; readonly limit?: number }): Promise<readonly LogLine[]>;
  entry(wish: { readonly seq: number }): Promise<LogEntry>;
  history(wish: { readonly object: string }): Promise<RowHistory>;
  why(wish: { readonly object: string }): Promise<RowWhy>;
  conflicts(wish: { readonly all?: boolean }): Promise<readonly ConflictView[]>;
  queue(): Promise<readonly QueueItem[]>;
  retryEdit(wish: { readonly id: number }): Promise<QueueActed>;
  saveEdit(wish: { readonly id: number }): Promise<QueueActed>;
  dropEdit(wish: { readonly id: number }): Promise<QueueActed>;
  /** What follows from the log made anew. */
  resync(wish: { readonly timeoutMs?: number }): Promise<SyncReport>;
  verify(): Promise<VerifyReport>;
  /** `forMs`: how long; until `resume` where absent. */
  pause(wish: { readonly forMs?: number }): Promise<VaultStatus>;
  resume(): Promise<VaultStatus>;
  issues(wish: { readonly all?: boolean }): Promise<readonly Issue[]>;
  dismiss(wish: { readonly code: string }): Promise<readonly Issue[]>;
  settings(): Promise<VaultSettings>;
  setSettings(wish: { readonly maxFileSize: number }): Promise<SettingsActed>;
  /** Files whose content is on its way. */
  transfers(): Promise<TransferList>;
  limits(): Promise<LimitConfig>;
  setLimits(wish: LimitWish): Promise<LimitConfig>;
  devices(): Promise<readonly DeviceView[]>;
  /** The one that a person means by a number or a name. */
  deviceNamed(wish: { readonly wanted: string }): Promise<DeviceView>;
  removeDevice(wish: { readonly wanted: string; readonly certifiedSince?: string }): Promise<DeviceActed>;
  renameDevice(wish: { readonly name: string }): Promise<DeviceActed>;
  /** The answer holds a secret: whoever has the code can come in. */
  invite(wish: { readonly role: string; readonly lifeMs?: number }): Promise<Invited>;
  invites(): Promise<readonly InviteView[]>;
  revokeInvite(wish: { readonly id: string }): Promise<InviteView>;
  /** Who has answered an invite that this device knows is let in. */
  admit(): Promise<readonly Admitted[]>;
  /** `token`: of whoever runs the server, where this person is not known there. */
  logIn(wish: { readonly token?: string }): Promise<LoggedIn>;
  members(): Promise<readonly MemberView[]>;
  memberNamed(wish: { readonly wanted: string }): Promise<MemberView>;
  setRole(wish: { readonly wanted: string; readonly role: string }): Promise<MemberActed>;
  removeMember(wish: { readonly wanted: string }): Promise<MemberActed>;
  transferVault(wish: { readonly wanted: string }): Promise<MemberActed>;
  files(wish: { readonly path: string }): Promise<readonly FileView[]>;
  /** `from` and `to` are files of this machine. */
  putFile(wish: { readonly from: string; readonly path: string }): Promise<FileActed>;
  getFile(wish: {
    readonly path: string;
    readonly to: string;
    readonly revision?: string;
  }): Promise<FileView>;
  makeFolder(wish: { readonly path: string }): Promise<FileActed>;
  moveFile(wish: { readonly from: string; readonly to: string }): Promise<FileActed>;
  pinFile(wish: { readonly path: string }): Promise<FileKept>;
  unpinFile(wish: { readonly path: string }): Promise<FileKept>;
  freeFile(wish: { readonly path: string }): Promise<FileKept>;
  removeFile(wish: { readonly path: string }): Promise<FileActed>;
  fileHistory(wish: { readonly path: string }): Promise<FileHistory>;
  fileWhy(wish: { readonly path: string }): Promise<FileWhy>;
  restoreFile(wish: {
    readonly object: string;
    readonly revision?: string;
    readonly to?: string;
  }): Promise<FileActed>;
  trash(): Promise<readonly TrashedFile[]>;
  fileConflicts(wish: { readonly all?: boolean }): Promise<readonly FileConflict[]>;
  showConflict(wish: { readonly id: string }): Promise<FileConflictShown>;
  settleConflict(wish: { readonly id: string; readonly pick: string }): Promise<FileConflict>;
  stateHash(): Promise<StateHash>;
  folders(): Promise<readonly FolderInfo[]>;
  addFolder(wish: { readonly path: string; readonly force?: boolean }): Promise<FolderInfo>;
  removeFolder(wish: { readonly path: string }): Promise<FolderInfo>;
  /** One, or all. */
  scanFolder(wish: { readonly path?: string }): Promise<readonly FolderInfo[]>;
  approveFolder(wish: { readonly path: string }): Promise<{ readonly approved: number }>;
  /** Whether folders of this machine show a part of the drive. */
  selectFolder(wish: {
    readonly path: string;
    readonly at?: string;
    readonly selected: boolean;
  }): Promise<readonly FolderInfo[]>;
  undoFolder(wish: { readonly path: string }): Promise<{ readonly restored: number }>;
  doctor(): Promise<readonly Finding[]>;
}

const LOG_PAGE = 1000;

/** `running`: the engine syncs by itself; else `status` takes one look at the remote first. */
export function createService(session: Session, running: boolean): VaultService {
  const { attachments } = session;
  const status = async (): Promise<VaultStatus> => ({
    ...statusOf(session, running ? session.facts() : await look(session)),
    running,
  });
  return {
    status,
    sync: (wish) => session.sync(wish),
    databases: async () => attachments.list(),
    attach: ({ path, ...wish }) =>
      running ? attachments.attach(path, wish) : attachAlone(session, path, wish),
    detach: ({ path, force }) => attachments.detach(path, force === true),
    approve: ({ path }) => attachments.approve(path),
    log: async ({ from, limit }) => logLines(session, from, Math.min(limit ?? LOG_PAGE, LOG_PAGE)),
    entry: async ({ seq }) => logEntry(session, seq),
    history: async ({ object }) => rowHistory(session, object),
    why: async ({ object }) => rowWhy(session, object),
    conflicts: async ({ all }) => conflictList(session, all !== true),
    queue: async () => queueList(session, running ? session.facts() : await look(session)),
    retryEdit: ({ id }) => retryEdit(session, id),
    saveEdit: async ({ id }) => saveEdit(session, id),
    dropEdit: ({ id }) => dropEdit(session, id),
    resync: ({ timeoutMs }) => resyncSession(session, timeoutMs),
    verify: () => verifySession(session),
    pause: async ({ forMs }) => {
      session.pause(forMs === undefined ? undefined : session.clock.now() + forMs);
      return status();
    },
    resume: async () => {
      session.resume();
      return status();
    },
    issues: async ({ all }) => {
      // Whether a database is fit shows only when it is opened.
      if (!running) await attachments.resume();
      return session.issues().filter((issue) => all === true || !issue.dismissed);
    },
    dismiss: async ({ code }) => {
      if (!running) await attachments.resume();
      session.dismiss(code);
      return session.issues().filter((issue) => !issue.dismissed);
    },
    settings: async () => settingsOf(session),
    setSettings: ({ maxFileSize }) => setMaxFileSize(session, maxFileSize),
    transfers: async () => session.moving.list(),
    limits: async () => session.limits.get(),
    setLimits: async (wish) => session.limits.set(wish),
    devices: async () => deviceList(session),
    deviceNamed: async ({ wanted }) => deviceNamed(session, wanted),
    removeDevice: ({ wanted, certifiedSince }) => removeDevice(session, wanted, certifiedSince),
    renameDevice: ({ name }) => renameDevice(session, name),
    invite: ({ role, lifeMs }) => createInvite(session, role, lifeMs),
    invites: async () => inviteList(session),
    revokeInvite: ({ id }) => revokeInvite(session, id),
    admit: async () => {
      if (!running) await session.sync();
      return answerInvites(session);
    },
    logIn: ({ token }) => logIn(session, token),
    members: async () => memberList(session),
    memberNamed: async ({ wanted }) => memberNamed(session, wanted),
    setRole: ({ wanted, role }) => setRole(session, wanted, role),
    removeMember: ({ wanted }) => removeMember(session, wanted),
    transferVault: ({ wanted }) => transferVault(session, wanted),
    files: ({ path }) => listPresent(session, path),
    putFile: ({ from, path }) => putFile(session, from, path),
    getFile: async ({ path, to, revision }) =>
      getFile(session, path, to, revision === undefined ? undefined : heldAt(session, path, revision)),
    makeFolder: ({ path }) => makeFolder(session, path),
    moveFile: ({ from, to }) => moveFile(session, from, to),
    pinFile: ({ path }) => pinFile(session, path),
    unpinFile: async ({ path }) => unpinFile(session, path),
    freeFile: ({ path }) => freeFile(session, path),
    removeFile: ({ path }) => removeFile(session, path),
    fileHistory: async ({ path }) => fileHistory(session, path),
    fileWhy: async ({ path }) => fileWhy(session, path),
    restoreFile: ({ object, revision, to }) => restoreFile(session, object, revision, to),
    trash: async () => trashList(session),
    fileConflicts: async ({ all }) => fileConflicts(session, all !== true),
    showConflict: ({ id }) => showConflict(session, id),
    settleConflict: ({ id, pick }) => settleConflict(session, id, pick),
    stateHash: async () => stateHash(session),
    folders: async () => {
      if (!running) await session.folders.settle(true);
      return session.folders.list();
    },
    addFolder: ({ path, force }) =>
      withSync(session, running, () => session.folders.add(path, force === true)),
    removeFolder: ({ path }) => session.folders.remove(path),
    scanFolder: ({ path }) => withSync(session, running, () => session.folders.scan(path)),
    approveFolder: ({ path }) => withSync(session, running, () => session.folders.approve(path)),
    selectFolder: ({ path, at, selected }) =>
      withSync(session, running, () => session.folders.select(path, at, selected)),
    undoFolder: ({ path }) => withSync(session, running, () => session.folders.bringBack(path)),
    doctor: async () => (await import("../doctor/vault.ts")).vaultFindings(session, running),
  };
}

/** Where nothing syncs by itself: it is sent and taken in too, if the remote can be reached. */
async function withSync<T>(session: Session, running: boolean, work: () => Promise<T>): Promise<T> {
  if (running) return work();
  if (session.copied) throw copiedError();
  // Whatever keeps it from being read is told after the work, which needs no remote.
  await session.sync().catch(() => undefined);
  const done = await work();
  try {
    await session.sync({ wait: true });
  } catch (error) {
    if (!isWait(error)) throw error;
  }
  return done;
}

/** Where nothing syncs by itself: with what the vault has now, and sent, if the remote can be reached. */
async function attachAlone(session: Session, path: string, wish: AttachWish): Promise<DatabaseInfo> {
  if (session.copied) throw copiedError();
  await session.sync().catch(() => undefined);
  const info = await session.attachments.attach(path, wish);
  try {
    await session.sync({ wait: true });
    return session.attachments.list().find((one) => one.path === info.path) ?? info;
  } catch (error) {
    const code = error instanceof TidelockError ? error.code : "internal";
    return { ...info, notes: [...info.notes, `attached, and not sent yet (${code}): tidelock sync`] };
  }
}
