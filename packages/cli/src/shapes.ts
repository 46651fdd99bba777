/**
 * The shapes of `--json`: one object per command, `{"type": …, "v": 1, "ok": …}`. Fields are added,
 * never renamed, within one `v`; readers ignore fields they do not know.
 */
import { z } from "zod";

const time = z.iso.datetime();
const hex = (bytes: number): z.ZodType<string> => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));
const count = z.int().nonnegative();
const value = z.union([
  z.null(),
  z.number(),
  z.string(),
  z.object({ integer: z.string() }),
  z.object({ blob: z.string() }),
  z.object({ row: z.string() }),
]);
const key = z.union([value, z.array(value)]);
const cells = z.record(z.string(), value);

function shape(type: string, fields: z.core.$ZodLooseShape): z.ZodType {
  return z.object({ type: z.literal(type), v: z.literal(1), ok: z.literal(true), ...fields });
}

const issue = z.object({
  code: z.string(),
  why: z.string(),
  next: z.string(),
  since: time,
  count: z.int().positive(),
  dismissed: z.boolean(),
});

/** As whoever runs a server has said it; times in ms since 1970. */
const entitlement = z
  .object({
    version: count,
    plans: z.array(z.string()),
    seats: count.optional(),
    quotaBytes: count.optional(),
    state: z.enum(["active", "lapsed"]),
    until: count.optional(),
  })
  .nullable();

const database = z.object({
  path: z.string(),
  tables: z.array(z.string()),
  state: z.enum(["live", "paused", "attaching", "detached"]),
  code: z.string().optional(),
  why: z.string().optional(),
  next: z.string().optional(),
  waiting: count,
  withheld: count,
  aside: count,
  notes: z.array(z.string()),
});

const logLine = z.object({
  seq: z.int().positive(),
  time: time.optional(),
  device: count.optional(),
  deviceName: z.string().optional(),
  kind: z.enum(["data", "membership", "garbage"]),
  verdict: z.string(),
  changes: count,
  summary: z.string(),
});

const conflictSide = z.object({
  device: count,
  deviceName: z.string().optional(),
  time: time.optional(),
  cells: cells.optional(),
});

const entered = {
  vault: hex(32),
  name: z.string(),
  device: count,
  deviceName: z.string(),
  head: count,
  home: z.string(),
};

const folder = z.object({
  path: z.string(),
  state: z.enum(["live", "paused", "removed"]),
  code: z.string().optional(),
  why: z.string().optional(),
  next: z.string().optional(),
  items: count,
  waiting: count,
  withheld: count,
  excluded: z.array(z.string()),
  selected: z.array(z.string()),
  aside: z.array(
    z.object({ code: z.string(), count, path: z.string().optional(), why: z.string().optional() }),
  ),
});
const transfer = z.object({
  id: z.string(),
  name: z.string(),
  direction: z.enum(["up", "down"]),
  bytes: count,
  total: count,
  state: z.enum(["waiting", "sending", "receiving"]),
});
const fileSide = z.object({
  path: z.string(),
  revision: z.string(),
  device: count,
  deviceName: z.string().optional(),
  time,
  size: count,
});
const fileCause = {
  seq: z.int().positive().optional(),
  time: time.optional(),
  device: count,
  deviceName: z.string().optional(),
  rule: z.string(),
};
const fileConflict = {
  id: z.string(),
  why: z.enum(["write", "create"]),
  state: z.enum(["open", "over", "keep-current", "use-other", "keep-both"]),
  current: fileSide,
  other: fileSide,
};
const invite = { id: hex(8), role: z.string(), expires: time, known: z.boolean() };

export type ShapeName =
  | "Init"
  | "Join"
  | "Status"
  | "IssueList"
  | "DeviceList"
  | "DeviceActed"
  | "SyncResult"
  | "Attachment"
  | "AttachmentList"
  | "Approved"
  | "Restored"
  | "Daemon"
  | "Server"
  | "AdminUsage"
  | "AdminAudit"
  | "AdminPlan"
  | "AdminGroups"
  | "AdminGroup"
  | "AdminActed"
  | "Up"
  | "Autostart"
  | "LogPage"
  | "LogEntry"
  | "HistoryList"
  | "Why"
  | "ConflictList"
  | "Session"
  | "Invite"
  | "InviteList"
  | "Admitted"
  | "QueueList"
  | "QueueActed"
  | "DriveList"
  | "DriveActed"
  | "StateHash"
  | "Folder"
  | "FolderList"
  | "FileHistory"
  | "TrashList"
  | "FileConflictList"
  | "FileConflict"
  | "FileWhy"
  | "FileSettled"
  | "VaultSettings"
  | "RemoteLimits"
  | "MemberList"
  | "MemberActed"
  | "VerifyReport"
  | "DoctorReport"
  | "Bundle"
  | "Demo"
  | "ErrorKinds"
  | "Error";

export const shapes: Readonly<Record<ShapeName, z.ZodType>> = {
  Init: shape("Init", {
    ...entered,
    founded: z.boolean(),
    remote: z.string().optional(),
    sheet: z.string().optional(),
  }),
  Join: shape("Join", { ...entered, remote: z.string(), sheet: z.string().optional() }),
  Status: shape("Status", {
    code: z.string(),
    label: z.enum([
      "Local",
      "Live",
      "Log in",
      "Upgrade",
      "No access",
      "Keyring",
      "Offline",
      "No network",
      "Error",
      "Pending",
      "",
    ]),
    detail: z.string().optional(),
    action: z.string().optional(),
    dot: z.enum(["grey", "red", "amber", "green"]),
    exit: count,
    running: z.boolean().optional(),
    vault: hex(32),
    device: count.optional(),
    devices: count.optional(),
    encryption: z.enum(["E2E Encrypted", "E2E Pending"]).optional(),
    remote: z.string().optional(),
    lastSync: time.optional(),
    lastUpload: time.optional(),
    lastDownload: time.optional(),
    pendingUp: count,
    pendingDown: count,
    conflicts: count,
    withheldDeletions: count,
    databases: count,
    folders: count,
    seq: count.optional(),
    head: hex(32).optional(),
    fingerprint: hex(16).optional(),
    pausedUntil: time.optional(),
    issues: z.array(issue),
    // Of `status --follow`: what `--after` goes on from.
    id: hex(16).optional(),
  }),
  IssueList: shape("IssueList", { issues: z.array(issue) }),
  DeviceActed: shape("DeviceActed", {
    device: count,
    name: z.string(),
    state: z.enum(["accepted", "waits"]),
  }),
  DeviceList: shape("DeviceList", {
    devices: z.array(
      z.object({
        device: count,
        name: z.string(),
        own: z.boolean(),
        since: time.optional(),
        lastSeen: time.optional(),
        removed: time.optional(),
      }),
    ),
  }),
  SyncResult: shape("SyncResult", {
    head: count,
    pendingUp: count,
    pendingDown: count,
    rejected: count,
    paused: count,
  }),
  Attachment: shape("Attachment", { database }),
  AttachmentList: shape("AttachmentList", { databases: z.array(database) }),
  Approved: shape("Approved", { approved: count }),
  Restored: shape("Restored", { restored: count }),
  Server: shape("Server", {
    running: z.literal(true).optional(),
    ready: z.literal(true).optional(),
    url: z.url().optional(),
    data: z.string().optional(),
    token: z.string().optional(),
  }),
  AdminUsage: shape("AdminUsage", {
    persons: z.array(
      z.object({
        person: z.string(),
        created: count,
        closed: count.optional(),
        devices: count,
        vaults: count,
        bytes: count,
        entitlement,
      }),
    ),
  }),
  AdminAudit: shape("AdminAudit", {
    events: z.array(
      z.object({
        n: count,
        time: count,
        vault: z.string().optional(),
        device: z.string().optional(),
        action: z.string(),
        object: z.string().optional(),
        address: z.string(),
      }),
    ),
  }),
  AdminPlan: shape("AdminPlan", { subject: z.string(), entitlement }),
  AdminGroups: shape("AdminGroups", {
    groups: z.array(
      z.object({ group: z.string(), persons: count, devices: count, vaults: count, entitlement }),
    ),
  }),
  AdminGroup: shape("AdminGroup", {
    group: z.string(),
    persons: z.array(z.string()),
    devices: z.array(z.string()),
    vaults: z.array(z.string()),
    entitlement,
  }),
  AdminActed: shape("AdminActed", { id: z.string(), group: z.string().optional() }),
  Up: shape("Up", { url: z.url(), vault: hex(32), home: z.string(), sheet: z.string() }),
  Daemon: shape("Daemon", {
    running: z.boolean(),
    pid: z.int().positive().optional(),
    since: time.optional(),
    version: z.string().optional(),
    calls: count.optional(),
    enabled: z.boolean().optional(),
  }),
  Autostart: shape("Autostart", { path: z.string(), text: z.string(), enabled: z.boolean() }),
  LogPage: shape("LogPage", { entries: z.array(logLine) }),
  LogEntry: shape("LogEntry", {
    entry: logLine.extend({
      bytes: count,
      id: hex(32),
      chain: hex(32),
      deviceSeq: count.optional(),
      epoch: count.optional(),
      anchor: count.optional(),
      run: z.enum(["alone", "first", "middle", "last"]).optional(),
      records: z.array(z.string()).optional(),
      content: z
        .array(
          z.object({
            op: z.enum(["set", "insert", "found", "delete", "move", "schema"]),
            table: z.string(),
            key: key.optional(),
            time: time.optional(),
            cells: cells.optional(),
          }),
        )
        .optional(),
    }),
  }),
  HistoryList: shape("HistoryList", {
    table: z.string(),
    key,
    versions: z.array(
      z.object({
        seq: z.int().positive(),
        time,
        device: count,
        deviceName: z.string().optional(),
        op: z.enum(["insert", "set", "delete", "move", "found"]),
        cells: z.array(z.object({ column: z.string(), before: value, after: value, won: z.boolean() })),
      }),
    ),
  }),
  Why: shape("Why", {
    table: z.string(),
    key,
    alive: z.boolean(),
    cells: z.array(
      z.object({
        column: z.string(),
        value,
        seq: z.int().positive(),
        time,
        device: count,
        deviceName: z.string().optional(),
        rule: z.string(),
      }),
    ),
    without: z.array(z.object({ seq: z.int().positive(), device: count, reason: z.string() })),
  }),
  ConflictList: shape("ConflictList", {
    conflicts: z.array(
      z.object({
        id: z.string(),
        table: z.string(),
        key,
        reason: z.enum(["edit", "delete", "unique", "parent", "number", "first-attach"]),
        state: z.enum(["settled", "open"]),
        seq: count,
        winner: conflictSide,
        loser: conflictSide,
      }),
    ),
    // Those of files, unless one kind is asked for.
    files: z.array(z.object(fileConflict)).optional(),
  }),
  QueueList: shape("QueueList", {
    items: z.array(
      z.object({
        id: z.int().positive(),
        time,
        frames: z.int().positive(),
        state: z.enum(["unsent", "sent", "rejected"]),
        summary: z.string(),
        cause: z.string(),
        reason: z.string().optional(),
        nextTry: time.optional(),
      }),
    ),
  }),
  Invite: shape("Invite", { ...invite, code: z.string() }),
  InviteList: shape("InviteList", { invites: z.array(z.object(invite)) }),
  Admitted: shape("Admitted", {
    admitted: z.array(z.object({ id: hex(8), name: z.string(), role: z.string() })),
  }),
  StateHash: shape("StateHash", { seq: count, hash: z.hex() }),
  DriveList: shape("DriveList", {
    items: z.array(
      z.object({
        path: z.string(),
        kind: z.enum(["dir", "file", "link"]),
        size: count.optional(),
        mtime: time.optional(),
        executable: z.boolean().optional(),
        state: z.enum(["present", "partial", "placeholder", "sending", "excluded"]).optional(),
        pinned: z.boolean().optional(),
        target: z.string().optional(),
        id: z.string(),
        revision: z.string(),
      }),
    ),
  }),
  FileHistory: shape("FileHistory", {
    path: z.string(),
    id: z.string(),
    deleted: z.literal(true).optional(),
    versions: z.array(
      z.object({
        revision: z.string(),
        time,
        device: count,
        deviceName: z.string().optional(),
        size: count,
        current: z.boolean(),
      }),
    ),
  }),
  TrashList: shape("TrashList", {
    items: z.array(
      z.object({
        id: z.string(),
        path: z.string(),
        kind: z.enum(["dir", "file", "link"]),
        size: count.optional(),
        device: count,
        deviceName: z.string().optional(),
        time: time.optional(),
      }),
    ),
  }),
  FileConflictList: shape("FileConflictList", { conflicts: z.array(z.object(fileConflict)) }),
  FileConflict: shape("FileConflict", {
    ...fileConflict,
    preview: z
      .object({ line: z.int().positive(), current: z.array(z.string()), other: z.array(z.string()) })
      .optional(),
    without: z.string().optional(),
  }),
  FileSettled: shape("FileSettled", fileConflict),
  FileWhy: shape("FileWhy", {
    path: z.string(),
    id: hex(16),
    kind: z.enum(["dir", "file", "link"]),
    alive: z.boolean(),
    parts: z.array(z.object({ part: z.enum(["content", "place", "attributes", "deletion"]), ...fileCause })),
    told: z.array(
      z.object({
        why: z.enum(["write", "create", "delete", "moved", "cycle", "renamed", "recovered"]),
        ...fileCause,
      }),
    ),
  }),
  Folder: shape("Folder", { folder }),
  FolderList: shape("FolderList", { folders: z.array(folder), transfers: z.array(transfer) }),
  DriveActed: shape("DriveActed", {
    path: z.string(),
    state: z.enum(["accepted", "waits", "written", "pinned", "unpinned", "freed"]),
  }),
  Session: shape("Session", { remote: z.url() }),
  QueueActed: shape("QueueActed", {
    id: z.int().positive(),
    state: z.enum(["accepted", "waits", "kept", "discarded"]),
    path: z.string().optional(),
  }),
  RemoteLimits: shape("RemoteLimits", {
    up: count.optional(),
    down: count.optional(),
    schedule: z.string().optional(),
  }),
  VaultSettings: shape("VaultSettings", {
    name: z.string(),
    maxFileSize: count,
    state: z.enum(["accepted", "waits"]).optional(),
  }),
  MemberList: shape("MemberList", {
    members: z.array(
      z.object({
        member: count,
        name: z.string(),
        role: z.enum(["owner", "admin", "editor", "viewer"]),
        own: z.boolean(),
        devices: count,
        removed: time.optional(),
      }),
    ),
  }),
  MemberActed: shape("MemberActed", {
    member: count,
    name: z.string(),
    state: z.enum(["accepted", "waits"]),
  }),
  VerifyReport: shape("VerifyReport", {
    sound: z.boolean(),
    entries: count,
    checks: z.array(
      z.object({
        name: z.enum(["file", "chain", "digest", "replay", "remote"]),
        state: z.enum(["ok", "failed", "skipped"]),
        fact: z.string(),
        code: z.string().optional(),
      }),
    ),
  }),
  DoctorReport: shape("DoctorReport", {
    healthy: z.boolean(),
    findings: z.array(
      z.object({
        name: z.string(),
        state: z.enum(["ok", "warn", "fail"]),
        fact: z.string(),
        next: z.string().optional(),
      }),
    ),
  }),
  Bundle: shape("Bundle", { path: z.string(), sections: z.array(z.string()) }),
  Demo: shape("Demo", {
    folder: z.string(),
    vault: hex(32),
    remote: z.string(),
    rows: count,
    equal: z.boolean(),
  }),
  ErrorKinds: shape("ErrorKinds", {
    errors: z.array(
      z.object({
        code: z.string(),
        exit: count,
        title: z.string(),
        retryable: z.boolean(),
        next: z.string(),
      }),
    ),
  }),
  Error: z.object({
    type: z.literal("Error"),
    v: z.literal(1),
    ok: z.literal(false),
    error: z.object({
      code: z.string(),
      message: z.string(),
      why: z.string(),
      next: z.string(),
      retryable: z.boolean(),
      details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
    }),
  }),
};

/** Every shape as JSON Schema, by name. */
export function jsonSchemas(): Record<string, unknown> {
  return Object.fromEntries(Object.entries(shapes).map(([name, one]) => [name, z.toJSONSchema(one)]));
}
