/**
 * What a call may carry, checked field by field before the vault sees it: the socket is this
 * user's own, but not every program of this user is ours. Unknown fields are left out.
 */
import { TidelockError } from "@tidelock/core/errors";
import type { Operation } from "./routes.ts";

type Field = "text" | "texts" | "flag" | "count";
type Fields = Readonly<Record<string, Field | `${Field}?`>>;

const LONGEST_TEXT = 16 << 10;
const MOST_TEXTS = 2000;

const fieldsByOperation: Readonly<Record<Operation, Fields>> = {
  status: {},
  sync: { wait: "flag?", timeoutMs: "count?" },
  databases: {},
  attach: { path: "text", tables: "texts?", natural: "texts?" },
  detach: { path: "text", force: "flag?" },
  approve: { path: "text" },
  log: { from: "count?", limit: "count?" },
  entry: { seq: "count" },
  history: { object: "text" },
  why: { object: "text" },
  conflicts: { all: "flag?" },
  queue: {},
  retryEdit: { id: "count" },
  saveEdit: { id: "count" },
  dropEdit: { id: "count" },
  resync: { timeoutMs: "count?" },
  verify: {},
  pause: { forMs: "count?" },
  resume: {},
  issues: { all: "flag?" },
  dismiss: { code: "text" },
  settings: {},
  setSettings: { maxFileSize: "count" },
  transfers: {},
  limits: {},
  setLimits: { up: "count?", down: "count?", schedule: "text?" },
  devices: {},
  deviceNamed: { wanted: "text" },
  removeDevice: { wanted: "text", certifiedSince: "text?" },
  renameDevice: { name: "text" },
  invite: { role: "text", lifeMs: "count?" },
  invites: {},
  revokeInvite: { id: "text" },
  admit: {},
  logIn: { token: "text?" },
  members: {},
  memberNamed: { wanted: "text" },
  setRole: { wanted: "text", role: "text" },
  removeMember: { wanted: "text" },
  transferVault: { wanted: "text" },
  files: { path: "text" },
  putFile: { from: "text", path: "text" },
  getFile: { path: "text", to: "text", revision: "text?" },
  makeFolder: { path: "text" },
  moveFile: { from: "text", to: "text" },
  pinFile: { path: "text" },
  unpinFile: { path: "text" },
  freeFile: { path: "text" },
  removeFile: { path: "text" },
  fileHistory: { path: "text" },
  fileWhy: { path: "text" },
  restoreFile: { object: "text", revision: "text?", to: "text?" },
  trash: {},
  fileConflicts: { all: "flag?" },
  showConflict: { id: "text" },
  settleConflict: { id: "text", pick: "text" },
  stateHash: {},
  folders: {},
  addFolder: { path: "text", force: "flag?" },
  removeFolder: { path: "text" },
  scanFolder: { path: "text?" },
  approveFolder: { path: "text" },
  selectFolder: { path: "text", at: "text?", selected: "flag" },
  undoFolder: { path: "text" },
  doctor: {},
};

/** Throws `usage` where the argument has another shape than the call takes. */
export function parseWish(operation: Operation, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw refused("the call's argument is not a JSON object");
  const wish: Record<string, unknown> = {};
  for (const [name, kind] of Object.entries(fieldsByOperation[operation])) {
    const given: unknown = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
    if (given === undefined && kind.endsWith("?")) continue;
    if (!fits(kind.replace("?", "") as Field, given)) throw refused(`${name} is not what ${operation} takes`);
    wish[name] = given;
  }
  return wish;
}

function fits(kind: Field, value: unknown): boolean {
  switch (kind) {
    case "text":
      // SQLite and the system end a path at a NUL.
      return typeof value === "string" && value.length <= LONGEST_TEXT && !value.includes("\0");
    case "texts":
      return Array.isArray(value) && value.length <= MOST_TEXTS && value.every((one) => fits("text", one));
    case "flag":
      return typeof value === "boolean";
    case "count":
      return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
  }
}

function refused(why: string): TidelockError {
  return new TidelockError("usage", { why, next: "use a tidelock of the daemon's version" });
}
