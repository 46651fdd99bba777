/**
 * What a person and a program are told about a vault on this device. The state comes from the
 * core's one pure function; nothing here makes it better. No name and no value stands in it.
 */
import { toHex } from "@tidelock/core/bytes/bytes";
import { getCursor, linkAt } from "@tidelock/core/engine/entries";
import { deriveStatus, type Facts, type StatusCode } from "@tidelock/core/engine/status";
import type { TidelockError } from "@tidelock/core/errors";
import type { Link } from "@tidelock/core/log/chain";
import type { VaultConfig } from "../home/config.ts";
import type { Issue } from "./issues.ts";
import type { Session } from "./session.ts";

export interface VaultStatus {
  readonly code: StatusCode;
  /** One of the ten labels; empty while something is under way. */
  readonly label: string;
  readonly detail?: string;
  readonly action?: string;
  readonly dot: "grey" | "red" | "amber" | "green";
  /** What `tidelock status` ends with. */
  readonly exit: number;
  /** Whether a daemon keeps it in sync; absent where the program that asks does so itself. */
  readonly running?: boolean;
  /** Hexadecimal. */
  readonly vault: string;
  readonly device?: number;
  readonly devices?: number;
  readonly encryption?: "E2E Encrypted" | "E2E Pending";
  readonly remote?: string;
  /** RFC 3339. */
  readonly lastSync?: string;
  readonly lastUpload?: string;
  readonly lastDownload?: string;
  readonly pendingUp: number;
  readonly pendingDown: number;
  readonly conflicts: number;
  readonly withheldDeletions: number;
  readonly databases: number;
  readonly folders: number;
  /** This and what follows is absent while the keys cannot be opened. */
  readonly seq?: number;
  /** Chain hash at `seq`: equal on two devices that saw the same log. */
  readonly head?: string;
  /** Digest of the confirmed state at `seq`. */
  readonly fingerprint?: string;
  /** Until when it is paused, RFC 3339; absent where it is not, or without an end. */
  readonly pausedUntil?: string;
  /** Without those that somebody has dismissed. */
  readonly issues: readonly Issue[];
}

export function statusOf(session: Session, facts: Facts = session.facts()): VaultStatus {
  const { replica, engine, info } = session;
  const derived = deriveStatus(facts);
  const sync = engine.sync?.facts();
  const { seq, head, devices, hasKey } = replica.read((tx) => {
    const { applied } = getCursor(tx);
    return {
      seq: applied,
      head: (linkAt(tx, replica.vault, applied) as Link).hash,
      devices: replica.membership.devices(tx).filter((d) => d.removedAt === undefined).length,
      hasKey: replica.ring.epochKey(tx, replica.membership.newestEpoch(tx)?.n ?? 1) !== undefined,
    };
  });
  const device = engine.device;
  const issues = session.issues(facts.halt);
  return {
    code: derived.code,
    label: derived.label,
    ...optional("detail", derived.detail === "stalled" ? stalledDetail(issues) : derived.detail),
    ...optional("action", derived.action),
    dot: derived.dot,
    exit: derived.exit,
    vault: toHex(replica.vault),
    ...optional("device", device),
    devices,
    ...(facts.hasRemote
      ? { encryption: hasKey ? ("E2E Encrypted" as const) : ("E2E Pending" as const) }
      : {}),
    ...optional("remote", info.remote),
    ...optional("lastSync", time(sync?.lastSync)),
    ...optional("lastUpload", time(sync?.lastUpload)),
    ...optional("lastDownload", time(sync?.lastDownload)),
    pendingUp: facts.pending,
    pendingDown: facts.behind + facts.unprojected,
    conflicts: facts.openConflicts,
    withheldDeletions: facts.withheldDeletions,
    databases: session.attachments.count(),
    folders: session.folders.count(),
    seq,
    head: toHex(head),
    fingerprint: replica.digest().toString(16).padStart(32, "0"),
    ...optional("pausedUntil", time(session.paused()?.until)),
    issues: issues.filter((issue) => !issue.dismissed),
  };
}

/** Both are true: what is called stalled, and what it waits for. */
function stalledDetail(issues: readonly Issue[]): string {
  const cause = issues.find((issue) => issue.code === "stalled");
  return `stalled: ${cause?.why ?? "the remote does not answer"}`;
}

/** The status of a home whose keys cannot be opened: nothing more can be told. */
export function lockedStatus(info: VaultConfig, error: TidelockError): VaultStatus {
  return bareStatus(info, error, { keysReadable: false });
}

/** The status of a home whose daemon does not answer. */
export function silentStatus(info: VaultConfig, error: TidelockError): VaultStatus {
  return bareStatus(info, error, { stalled: true });
}

function bareStatus(info: VaultConfig, error: TidelockError, fault: Partial<Facts>): VaultStatus {
  const { code, label, action, dot, exit } = deriveStatus({ ...noFacts, hasRemote: true, ...fault });
  return {
    code,
    label,
    detail: error.why,
    ...optional("action", action),
    dot,
    exit,
    vault: info.id,
    ...optional("remote", info.remote),
    pendingUp: 0,
    pendingDown: 0,
    conflicts: 0,
    withheldDeletions: 0,
    databases: 0,
    folders: 0,
    issues: [
      {
        code: error.code,
        why: error.why,
        next: error.next,
        since: new Date().toISOString(),
        count: 1,
        dismissed: false,
      },
    ],
  };
}

const noFacts: Facts = {
  hasRemote: false,
  keysReadable: true,
  halt: undefined,
  diskFull: false,
  removed: false,
  denied: undefined,
  network: true,
  remoteReachable: true,
  paused: false,
  failed: undefined,
  stalled: false,
  quarantined: 0,
  openConflicts: 0,
  withheldDeletions: 0,
  pausedDatabases: 0,
  pausedFolders: 0,
  transition: undefined,
  pending: 0,
  behind: 0,
  unprojected: 0,
  keyArrived: true,
  fresh: false,
};

function time(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString();
}

/** A property that is absent rather than undefined: the same in memory as in JSON. */
export function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: V });
}
