/** The local API: one table for both ends. `{v}` is the vault's id, the beginning of it, or `-` for the home's own. */
import type { VaultService } from "./service.ts";

export type Operation = keyof VaultService;

export interface Route {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
}

export const routes: Readonly<Record<Operation, Route>> = {
  status: { method: "GET", path: "/v1/vaults/{v}/status" },
  sync: { method: "POST", path: "/v1/vaults/{v}/sync" },
  databases: { method: "GET", path: "/v1/vaults/{v}/databases" },
  attach: { method: "POST", path: "/v1/vaults/{v}/databases" },
  detach: { method: "DELETE", path: "/v1/vaults/{v}/databases" },
  approve: { method: "POST", path: "/v1/vaults/{v}/databases/approve" },
  log: { method: "GET", path: "/v1/vaults/{v}/log" },
  entry: { method: "GET", path: "/v1/vaults/{v}/log/entry" },
  history: { method: "GET", path: "/v1/vaults/{v}/history" },
  why: { method: "GET", path: "/v1/vaults/{v}/why" },
  conflicts: { method: "GET", path: "/v1/vaults/{v}/conflicts" },
  queue: { method: "GET", path: "/v1/vaults/{v}/queue" },
  retryEdit: { method: "POST", path: "/v1/vaults/{v}/queue/retry" },
  saveEdit: { method: "POST", path: "/v1/vaults/{v}/queue/save" },
  dropEdit: { method: "POST", path: "/v1/vaults/{v}/queue/drop" },
  resync: { method: "POST", path: "/v1/vaults/{v}/resync" },
  verify: { method: "POST", path: "/v1/vaults/{v}/verify" },
  pause: { method: "POST", path: "/v1/vaults/{v}/pause" },
  resume: { method: "POST", path: "/v1/vaults/{v}/resume" },
  issues: { method: "GET", path: "/v1/vaults/{v}/issues" },
  dismiss: { method: "POST", path: "/v1/vaults/{v}/issues/dismiss" },
  settings: { method: "GET", path: "/v1/vaults/{v}/settings" },
  setSettings: { method: "POST", path: "/v1/vaults/{v}/settings" },
  transfers: { method: "GET", path: "/v1/vaults/{v}/transfers" },
  limits: { method: "GET", path: "/v1/vaults/{v}/limits" },
  setLimits: { method: "POST", path: "/v1/vaults/{v}/limits" },
  devices: { method: "GET", path: "/v1/vaults/{v}/devices" },
  deviceNamed: { method: "GET", path: "/v1/vaults/{v}/devices/named" },
  removeDevice: { method: "POST", path: "/v1/vaults/{v}/devices/remove" },
  renameDevice: { method: "POST", path: "/v1/vaults/{v}/devices/rename" },
  invite: { method: "POST", path: "/v1/vaults/{v}/invites" },
  invites: { method: "GET", path: "/v1/vaults/{v}/invites" },
  revokeInvite: { method: "DELETE", path: "/v1/vaults/{v}/invites" },
  admit: { method: "POST", path: "/v1/vaults/{v}/invites/admit" },
  logIn: { method: "POST", path: "/v1/vaults/{v}/login" },
  members: { method: "GET", path: "/v1/vaults/{v}/members" },
  memberNamed: { method: "GET", path: "/v1/vaults/{v}/members/named" },
  setRole: { method: "POST", path: "/v1/vaults/{v}/members/role" },
  removeMember: { method: "POST", path: "/v1/vaults/{v}/members/remove" },
  transferVault: { method: "POST", path: "/v1/vaults/{v}/members/transfer" },
  files: { method: "GET", path: "/v1/vaults/{v}/files" },
  putFile: { method: "POST", path: "/v1/vaults/{v}/files/put" },
  getFile: { method: "POST", path: "/v1/vaults/{v}/files/get" },
  makeFolder: { method: "POST", path: "/v1/vaults/{v}/files/mkdir" },
  moveFile: { method: "POST", path: "/v1/vaults/{v}/files/move" },
  pinFile: { method: "POST", path: "/v1/vaults/{v}/files/pin" },
  unpinFile: { method: "POST", path: "/v1/vaults/{v}/files/unpin" },
  freeFile: { method: "POST", path: "/v1/vaults/{v}/files/free" },
  removeFile: { method: "POST", path: "/v1/vaults/{v}/files/remove" },
  fileHistory: { method: "GET", path: "/v1/vaults/{v}/files/history" },
  fileWhy: { method: "GET", path: "/v1/vaults/{v}/files/why" },
  restoreFile: { method: "POST", path: "/v1/vaults/{v}/files/restore" },
  trash: { method: "GET", path: "/v1/vaults/{v}/trash" },
  fileConflicts: { method: "GET", path: "/v1/vaults/{v}/files/conflicts" },
  showConflict: { method: "GET", path: "/v1/vaults/{v}/files/conflicts/one" },
  settleConflict: { method: "POST", path: "/v1/vaults/{v}/files/conflicts/settle" },
  stateHash: { method: "GET", path: "/v1/vaults/{v}/files/state-hash" },
  folders: { method: "GET", path: "/v1/vaults/{v}/folders" },
  addFolder: { method: "POST", path: "/v1/vaults/{v}/folders" },
  removeFolder: { method: "DELETE", path: "/v1/vaults/{v}/folders" },
  scanFolder: { method: "POST", path: "/v1/vaults/{v}/folders/scan" },
  approveFolder: { method: "POST", path: "/v1/vaults/{v}/folders/approve" },
  selectFolder: { method: "POST", path: "/v1/vaults/{v}/folders/select" },
  undoFolder: { method: "POST", path: "/v1/vaults/{v}/folders/undo" },
  doctor: { method: "POST", path: "/v1/vaults/{v}/doctor" },
};

export interface Found {
  readonly operation: Operation;
  readonly vault: string;
}

/** What a request asks for; undefined for anything else. `/v1/status` is the home's own vault's. */
export function findRoute(method: string, path: string): Found | undefined {
  if (method === "GET" && path === "/v1/status") return { operation: "status", vault: "-" };
  const parts = /^\/v1\/vaults\/([^/]+)(\/.*)$/.exec(path);
  if (parts === null) return undefined;
  const [, vault, rest] = parts as unknown as [string, string, string];
  for (const [operation, route] of Object.entries(routes) as [Operation, Route][])
    if (route.method === method && route.path === `/v1/vaults/{v}${rest}`) return { operation, vault };
  return undefined;
}

/** An error over the socket: problem details (RFC 9457). Clients branch on `code` alone. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly why: string;
  readonly next: string;
  readonly retryable: boolean;
  readonly details: Readonly<Record<string, string | number | boolean>>;
}
