/**
 * What a person is told: one pure function from facts to one of the codes below. The worst
 * condition that is true wins, so a state is never reported better than it is. Rule STA1.
 */
import type { DenialCause } from "../ports.ts";
import type { HaltCode } from "./ingest.ts";

export interface Facts {
  /** False for a vault that lives on this device only. */
  readonly hasRemote: boolean;
  readonly keysReadable: boolean;
  readonly halt: HaltCode | undefined;
  readonly diskFull: boolean;
  readonly removed: boolean;
  /** Why the server will not have this device, this person, or what they send. */
  readonly denied: DenialCause | undefined;
  readonly network: boolean;
  readonly remoteReachable: boolean;
  readonly paused: boolean;
  /** An operation failed past its retries: its code. */
  readonly failed: string | undefined;
  readonly stalled: boolean;
  /** Entries set aside because a reducer failed on them: a fault of the program. */
  readonly quarantined: number;
  readonly openConflicts: number;
  readonly withheldDeletions: number;
  /** Attached databases that wait for a person: their tables changed, or the file is gone. */
  readonly pausedDatabases: number;
  /** Synced folders that wait for a person: gone, emptied or another one, or their edits were refused. */
  readonly pausedFolders: number;
  readonly transition: "connecting" | "syncing" | undefined;
  /** Own edits without a verdict. */
  readonly pending: number;
  /** Entries read and not applied, or known of and not read. */
  readonly behind: number;
  /** Rows the attached databases do not show yet, and steps that synced folders have before them. */
  readonly unprojected: number;
  readonly keyArrived: boolean;
  /** Wake is open, or the last poll is younger than two poll intervals. */
  readonly fresh: boolean;
}

export type StatusCode =
  | "local"
  | "keyring"
  | "halted"
  | "no-access"
  | "login"
  | "upgrade"
  | "no-network"
  | "offline"
  | "error"
  | "conflict"
  | "connecting"
  | "syncing"
  | "pending"
  | "live";

export interface Status {
  readonly code: StatusCode;
  readonly label: string;
  readonly detail: string | undefined;
  readonly action: string | undefined;
  readonly dot: "grey" | "red" | "amber" | "green";
  readonly exit: number;
}

interface Row {
  readonly label: string;
  readonly action?: string;
  readonly dot: Status["dot"];
  readonly exit: number;
}

const rows: Readonly<Record<StatusCode, Row>> = {
  local: { label: "Local", action: "Turn on sync", dot: "grey", exit: 0 },
  keyring: { label: "Keyring", action: "Unlock", dot: "red", exit: 13 },
  halted: { label: "Error", action: "Details", dot: "red", exit: 17 },
  "no-access": { label: "No access", action: "Contact owner", dot: "red", exit: 12 },
  login: { label: "Log in", action: "Log in", dot: "amber", exit: 10 },
  upgrade: { label: "Upgrade", action: "Upgrade", dot: "amber", exit: 11 },
  "no-network": { label: "No network", dot: "grey", exit: 14 },
  offline: { label: "Offline", action: "Retry now", dot: "grey", exit: 14 },
  error: { label: "Error", action: "Retry", dot: "red", exit: 1 },
  conflict: { label: "Error", action: "Review", dot: "red", exit: 3 },
  connecting: { label: "", dot: "amber", exit: 0 },
  syncing: { label: "", dot: "amber", exit: 0 },
  pending: { label: "Pending", action: "Sync now", dot: "amber", exit: 0 },
  live: { label: "Live", dot: "green", exit: 0 },
};

const halted: Readonly<Record<HaltCode, string>> = {
  fork: "The remote shows another history",
  rollback: "The remote is older than this device",
  "chain-broken": "Entries of the log are missing",
  "op-reused": "This home was restored or cloned: add this device again",
  "update-needed": "Update needed",
  "replica-damaged": "This device's replica is damaged",
  "device-removed": "This device was removed from the vault",
};

export function deriveStatus(facts: Facts): Status {
  const { code, detail, exit, action } = pick(facts);
  const row = rows[code];
  return {
    code,
    label: row.label,
    detail,
    action: action ?? row.action,
    dot: row.dot,
    exit: exit ?? row.exit,
  };
}

interface Picked {
  readonly code: StatusCode;
  readonly detail?: string;
  readonly exit?: number;
  readonly action?: string;
}

const denials: Readonly<Record<DenialCause, Picked>> = {
  "device-removed": { code: "no-access", detail: halted["device-removed"] },
  "signed-out": { code: "no-access", detail: "The server refuses this device: its person signed it out" },
  "not-in-group": { code: "no-access", detail: "Whoever runs the server does not let this device in" },
  "vault-deleted": { code: "no-access", detail: "The vault was deleted on the server" },
  "account-closed": { code: "login", detail: "The account on the server was closed" },
  login: { code: "login" },
  payment: { code: "upgrade", detail: "No plan and no seat covers this vault; reading goes on" },
};

function pick(f: Facts): Picked {
  if (!f.hasRemote) return { code: "local" };
  if (!f.keysReadable) return { code: "keyring" };
  if (f.halt === "update-needed")
    return { code: "halted", detail: halted[f.halt], exit: 18, action: "Update" };
  if (f.halt === "device-removed") return { code: "no-access", detail: halted[f.halt] };
  if (f.halt !== undefined) return { code: "halted", detail: halted[f.halt] };
  if (f.diskFull) return { code: "halted", detail: "The disk is full", exit: 19, action: "Free space" };
  if (f.removed) return { code: "no-access", detail: halted["device-removed"] };
  if (f.denied !== undefined) return denials[f.denied];
  if (!f.network) return { code: "no-network" };
  if (f.paused) return { code: "offline", detail: "Paused by you", action: "Resume" };
  if (!f.remoteReachable) return { code: "offline" };
  if (f.failed !== undefined) return { code: "error", detail: f.failed, exit: f.failed === "quota" ? 19 : 1 };
  if (f.quarantined > 0)
    return {
      code: "error",
      detail: count(f.quarantined, "entry could not be applied", "entries could not be applied"),
      action: "Details",
    };
  if (f.stalled) return { code: "error", detail: "stalled", action: "Restart sync" };
  if (f.openConflicts > 0)
    return { code: "conflict", detail: count(f.openConflicts, "conflict to review", "conflicts to review") };
  if (f.withheldDeletions > 0)
    return {
      code: "conflict",
      detail: count(f.withheldDeletions, "deletion withheld", "deletions withheld"),
    };
  if (f.pausedDatabases > 0)
    return { code: "conflict", detail: count(f.pausedDatabases, "database paused", "databases paused") };
  if (f.pausedFolders > 0)
    return { code: "conflict", detail: count(f.pausedFolders, "folder paused", "folders paused") };
  if (f.transition !== undefined) return { code: f.transition };
  if (!f.keyArrived) return { code: "pending", detail: "Waiting for the vault's key" };
  if (f.pending > 0)
    return { code: "pending", detail: count(f.pending, "change not confirmed", "changes not confirmed") };
  if (f.behind > 0 || f.unprojected > 0 || !f.fresh) return { code: "pending", detail: "Catching up" };
  return { code: "live" };
}

function count(n: number, one: string, many: string): string {
  return `${n} ${n === 1 ? one : many}`;
}
