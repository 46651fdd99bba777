/** What a folder needs of the vault it belongs to. */
import type { Suite } from "@tidelock/core/crypto/suite";
import type { Engine } from "@tidelock/core/engine/api";
import type { Replica } from "@tidelock/core/engine/replica";
import type { FilesView } from "@tidelock/core/kinds/files/api";
import type { Clock, Log, Remote, Scheduler } from "@tidelock/core/ports";
import type { FolderFs } from "@tidelock/core/ports-fs";
import type { Moving } from "../vault/moving.ts";

export interface FolderHost {
  readonly engine: Engine;
  readonly replica: Replica;
  readonly files: FilesView;
  readonly suite: Suite;
  readonly remote: Remote | undefined;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly log: Log;
  readonly fs: FolderFs;
  /** What conflict copies of this device are named after. */
  readonly deviceName: () => string;
  /** Is told of each file on its way. */
  readonly moving?: Pick<Moving, "begin">;
  /** Bytes that may wait here to be sent, where a test wants fewer. */
  readonly spool?: number;
  /** Bytes from which on a file is sent beside all else, where a test wants fewer. */
  readonly large?: number;
  /** A process may die at these; nothing in production. */
  readonly point?: (name: FolderPoint) => void;
}

/** Boundaries between two durable steps. */
export type FolderPoint =
  | "folder-read"
  | "folder-submitted"
  | "folder-staged"
  | "folder-written"
  | "folder-flushed"
  | "folder-noted";

/** Whose person only reads the vault: the log takes no change from it. */
export function isReader({ replica }: FolderHost): boolean {
  return replica.read((tx) => replica.ownStanding(tx)) === "reader";
}
