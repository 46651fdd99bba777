/**
 * What stays in the replica of a file that was detached: which row each of its numbers stood for.
 * Attached again, a row edited meanwhile is then the same row and not a second one. Rule ATT30.
 */
import { statSync } from "node:fs";
import type { Seq } from "@tidelock/core/bytes/brand";
import { equalBytes } from "@tidelock/core/bytes/bytes";
import type { TablesView } from "@tidelock/core/kinds/tables/api";
import type { Tx } from "@tidelock/core/log/tx";
import { Numbers } from "./numbers.ts";
import {
  type AttachmentRecord,
  allRecords,
  type FileIdentity,
  putRecord,
  Registry,
  sameFile,
} from "./registry.ts";

/** Files remembered in one replica; the one detached first goes first. */
const MEMORIES = 8;

export function identityOf(path: string): FileIdentity | undefined {
  try {
    const s = statSync(path, { bigint: true });
    return { inode: BigInt.asIntN(64, s.ino), made: BigInt.asIntN(64, s.birthtimeNs) };
  } catch {
    return undefined; // gone, or not to be looked at: then it is not known by what it is
  }
}

/**
 * The attachment ends. Nothing but its numbers, and edits kept for a person, is left. `seen`: what the
 * file showed when it ended in order, so that only what differs from that counts as edited meanwhile.
 */
export function retire(tx: Tx, tables: TablesView, record: AttachmentRecord, seen?: Seq): void {
  const registry = new Registry(record.slot);
  for (const t of record.tables) tables.untrack(tx, t.name);
  const empty =
    seen === undefined && record.tables.every((t) => new Numbers(record.slot).isEmpty(tx, t.number));
  if (empty && registry.kept(tx).length === 0) {
    forget(tx, record);
    return;
  }
  registry.forgetRows(tx);
  registry.putSeen(tx, seen);
  putRecord(tx, { ...record, phase: "detached", past: [], base: 0 });
  const old = allRecords(tx).filter((r) => r.phase === "detached" && r.slot !== record.slot);
  // Slots only grow, so the least was given first.
  const late = [...old].sort((a, b) => b.slot - a.slot).slice(MEMORIES - 1);
  for (const one of late) forget(tx, one);
}

/** What is remembered of a file: by the marks it still carries, or by which file it is. */
export function recall(
  tx: Tx,
  file: FileIdentity | undefined,
  attachment: Uint8Array | undefined,
): AttachmentRecord | undefined {
  const detached = allRecords(tx).filter((r) => r.phase === "detached");
  const marked = detached.find((r) => attachment !== undefined && equalBytes(r.id, attachment));
  if (marked !== undefined || file === undefined) return marked;
  return detached.find((r) => {
    const then = new Registry(r.slot).identity(tx);
    return then !== undefined && sameFile(then, file);
  });
}

/** Marks of a former attachment were taken out of this file: from now on it is known by what it is. */
export function recognise(tx: Tx, attachment: Uint8Array, file: FileIdentity): void {
  const known = allRecords(tx).find((r) => equalBytes(r.id, attachment));
  if (known === undefined || (known.phase !== "former" && known.phase !== "detached")) return;
  if (known.phase === "former") putRecord(tx, { ...known, phase: "detached" });
  new Registry(known.slot).putIdentity(tx, file);
}

/** From the replica of the device that this home was before: its files may be at work there still. */
export function carryMemories(from: Tx, to: Tx): void {
  for (const record of allRecords(from)) {
    const phase = record.phase === "detached" ? "detached" : "former";
    putRecord(to, { ...record, phase, past: [], base: 0 });
    new Registry(record.slot).copyMemory(from, to);
    const tables = record.tables.map((t) => t.number);
    new Numbers(record.slot).copy(from, to, tables);
  }
}

function forget(tx: Tx, record: AttachmentRecord): void {
  new Numbers(record.slot).forget(
    tx,
    record.tables.map((t) => t.number),
  );
  new Registry(record.slot).forgetAll(tx);
}
