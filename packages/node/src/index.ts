/** The SDK for Node.js. */
export { type ErrorCode, errorKinds, TidelockError } from "@tidelock/core/errors";
export type { DatabaseInfo } from "./vault/attachments.ts";
export type { Committed, SqlValue, Transaction, VaultDatabase } from "./vault/database.ts";
export type { FileActed, FileInput, FileView, ReadWish, StateHash } from "./vault/drive.ts";
export type {
  FileChoice,
  FileConflict,
  FileConflictShown,
  FilePreview,
  FileSide,
} from "./vault/drive-conflicts.ts";
export type { FileHistory, FileVersion, TrashedFile } from "./vault/drive-past.ts";
export type { FileCause, FileWhy } from "./vault/drive-why.ts";
export type { FolderInfo } from "./vault/folders.ts";
export type { Invited, InviteView } from "./vault/invites.ts";
export type { Issue } from "./vault/issues.ts";
export type { MemberActed, MemberView } from "./vault/members.ts";
export {
  type DatabaseOptions,
  type OpenOptions,
  openVault,
  type Prompt,
  type Vault,
  type VaultQueue,
} from "./vault/open.ts";
export type { VaultMembers } from "./vault/people.ts";
export type { QueueActed, QueueItem } from "./vault/queue.ts";
export type { ConflictView, RowHistory, Version } from "./vault/rows-view.ts";
export type { SyncReport } from "./vault/session.ts";
export type { VaultStatus } from "./vault/status.ts";
export type { JsonValue } from "./vault/values.ts";
export type { VaultFiles } from "./vault/vault-files.ts";
