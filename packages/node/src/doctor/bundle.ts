/**
 * What somebody who helps may see: versions, findings, counts, codes, times. Put together from
 * what is known to be free of names, paths, keys and content, never by taking those out.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { HomePaths } from "../home/paths.ts";
import type { DatabaseInfo } from "../vault/attachments.ts";
import type { Issue } from "../vault/issues.ts";
import type { QueueItem } from "../vault/queue.ts";
import { optional, type VaultStatus } from "../vault/status.ts";
import type { Finding } from "./finding.ts";

export interface BundleParts {
  readonly version: string;
  readonly made: string;
  readonly findings: readonly Finding[];
  readonly status?: VaultStatus | undefined;
  readonly issues?: readonly Issue[] | undefined;
  readonly queue?: readonly QueueItem[] | undefined;
  readonly databases?: readonly DatabaseInfo[] | undefined;
  readonly log: readonly LogEvent[];
}

export type LogEvent = Readonly<Record<string, string | number | boolean>>;

/** The newest ones that are kept. */
const EVENTS = 1000;
const QUEUE = 200;

/** Section by section; the names are what `debug bundle` says it holds. */
export function bundleOf(parts: BundleParts): Readonly<Record<string, unknown>> {
  const { status, issues, queue, databases } = parts;
  return {
    versions: {
      tidelock: parts.version,
      node: process.versions.node,
      platform: process.platform,
      arch: process.arch,
      made: parts.made,
    },
    findings: parts.findings.map(({ name, state, fact }) => ({ name, state, fact })),
    ...optional("status", status === undefined ? undefined : statusIn(status)),
    ...optional(
      "issues",
      issues?.map(({ code, since, count, dismissed }) => ({ code, since, count, dismissed })),
    ),
    ...optional(
      "queue",
      queue?.slice(-QUEUE).map(({ id, time, frames, state, reason }) => ({
        id,
        time,
        frames,
        state,
        ...optional("reason", reason === undefined ? undefined : codeOr(reason, "other")),
      })),
    ),
    ...optional(
      "databases",
      databases?.map(({ tables, state, waiting, withheld, aside }) => ({
        tables: tables.length,
        state,
        waiting,
        withheld,
        aside,
      })),
    ),
    log: parts.log,
  };
}

function statusIn(s: VaultStatus): Readonly<Record<string, unknown>> {
  return {
    // Two bundles of one vault can be told to be of one, and nothing else can.
    vault: createHash("sha256").update("tidelock bundle ").update(s.vault).digest("hex").slice(0, 12),
    code: s.code,
    label: s.label,
    exit: s.exit,
    ...optional("running", s.running),
    ...optional("device", s.device),
    ...optional("devices", s.devices),
    ...optional("encryption", s.encryption),
    remote: s.remote === undefined ? "none" : codeOr(s.remote.split(":")[0] ?? "", "other"),
    ...optional("lastSync", s.lastSync),
    ...optional("lastUpload", s.lastUpload),
    ...optional("lastDownload", s.lastDownload),
    ...optional("pausedUntil", s.pausedUntil),
    pendingUp: s.pendingUp,
    pendingDown: s.pendingDown,
    conflicts: s.conflicts,
    withheldDeletions: s.withheldDeletions,
    databases: s.databases,
    ...optional("seq", s.seq),
    ...optional("head", s.head?.slice(0, 16)),
  };
}

/** The newest events of the daemon's log: of each line what has the form of a code, a number or a time. */
export function readEvents(paths: HomePaths): readonly LogEvent[] {
  const lines = ["daemon.log.1", "daemon.log"]
    .map((name) => join(paths.state, name))
    .filter((path) => existsSync(path))
    .flatMap((path) => readFileSync(path, "utf8").split("\n"));
  const events = lines.flatMap((line) => {
    const event = parseEvent(line);
    return event === undefined ? [] : [event];
  });
  return events.slice(-EVENTS);
}

const CODE = /^[a-z][a-z0-9.-]{0,39}$/;
const TIME = /^\d{4}-\d\d-\d\dT[\d:.]{8,12}Z$/;

/** Whatever a newer or a broken program wrote there: nothing else comes through. */
export function parseEvent(line: string): LogEvent | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined; // half a line, or none
  }
  if (typeof value !== "object" || value === null) return undefined;
  const kept = Object.entries(value).filter(
    ([name, field]) =>
      /^[a-zA-Z]{1,20}$/.test(name) &&
      (typeof field === "number" ||
        typeof field === "boolean" ||
        (typeof field === "string" && (CODE.test(field) || TIME.test(field)))),
  );
  return kept.length === 0 ? undefined : (Object.fromEntries(kept) as LogEvent);
}

function codeOr(text: string, other: string): string {
  return CODE.test(text) ? text : other;
}
