/**
 * What lies in the stage: files that gave way to newer ones or whose item died, until it is sure that
 * no program wrote to them afterwards, and what a crash left half-way. Everything ends in the tree,
 * in the vault or in the trash; nothing is removed.
 */
import { equalBytes } from "@tidelock/core/bytes/bytes";
import type { Op } from "@tidelock/core/kinds/files/types";
import type { DiskFacts } from "@tidelock/core/ports-fs";
import { MOST_FILE_SIZE } from "../vault/content.ts";
import type { Hands } from "./hands.ts";
import { type FolderHost, isReader } from "./host.ts";
import { NoRoom, Packing } from "./packing.ts";
import { type FolderPlace, removeFile } from "./root.ts";
import type { FolderRows, Staged } from "./rows.ts";
import { parentKey, sameBytesLikely, samePrint } from "./seen.ts";
import { QUIET } from "./settle.ts";
import type { Trash } from "./trash.ts";

export interface StageDeps {
  readonly host: FolderHost;
  readonly hands: Hands;
  readonly place: FolderPlace;
  readonly rows: FolderRows;
  readonly trash: Trash;
  readonly op: () => Op;
  /** Of the volume: where a file can have two names, none is ever away while it is replaced. */
  readonly hardLinks: boolean;
  readonly touched: (folder: string) => void;
}

/** A program may still hold the old file open, ms; each time it writes, as long again. */
const HELD = 10_000;
/** Of what is to be looked at as soon as may be. */
export const AT_ONCE = 0;

/** At a start: what was being made is made anew; what nobody knows of is kept for a person. */
export async function recover(deps: StageDeps): Promise<void> {
  const { host, place, rows, hands, trash } = deps;
  for (const { name, kind } of (await host.fs.list(place.tmp)).entries)
    if (kind === "file") await removeFile(host.fs, `${place.tmp}/${name}`);
  const known = new Set(host.engine.read((tx) => rows.staged(tx)).map((one) => one.name));
  for (const { name } of (await host.fs.list(place.stage)).entries)
    if (!known.has(name)) await host.fs.rename(hands.staged(name), await trash.room(name, false));
  await look(deps, () => true);
}

/** Looks at what has been there long enough. */
export function sweep(deps: StageDeps): Promise<void> {
  const now = deps.host.clock.now();
  return look(deps, (one) => isDue(one, now));
}

/** Until something in the stage has been there long enough, ms; undefined where nothing waits. */
export function sweepIn({ host, rows }: StageDeps): number | undefined {
  const now = host.clock.now();
  const waits = host.engine.read((tx) => rows.staged(tx)).map(({ since }) => since + HELD - now);
  return waits.length === 0 ? undefined : Math.min(HELD, Math.max(QUIET, Math.min(...waits)));
}

/** A clock that went back must not keep anything for ever. */
function isDue({ since }: Staged, now: number): boolean {
  return since + HELD <= now || since > now;
}

async function look(deps: StageDeps, which: (one: Staged) => boolean): Promise<void> {
  const { host, rows } = deps;
  const over: string[] = [];
  const again: Staged[] = [];
  for (const one of host.engine.read((tx) => rows.staged(tx))) {
    const is = which(one) ? await judge(deps, one) : "waits";
    if (is === "over") over.push(one.name);
    else if (is !== "waits") again.push(is);
  }
  if (over.length + again.length > 0)
    host.engine.write((tx) => {
      for (const name of over) rows.dropStaged(tx, name);
      for (const one of again) rows.putStaged(tx, one);
    });
}

/** `over`: it needs no note any more. A note: its time begins anew. */
async function judge(deps: StageDeps, one: Staged): Promise<"over" | "waits" | Staged> {
  const { host, hands, trash } = deps;
  const path = hands.staged(one.name);
  const facts = await hands.lookIfThere(path);
  if (facts === undefined || (one.kind === "replaced" && (await wentBack(deps, one, facts)))) return "over";
  const untouched = sameBytesLikely(facts, one.print);
  // What somebody wrote who only reads the vault cannot be sent: it is kept for him.
  if (!(untouched || isReader(host))) return readLate(deps, one);
  const now = Math.floor(host.clock.now());
  if (untouched && one.since === AT_ONCE) return { ...one, since: now };
  if (!isDue(one, now)) return "waits";
  await host.fs.rename(path, await trash.room(one.key.slice(one.key.lastIndexOf("/") + 1), untouched));
  return "over";
}

/** Half-way when the process ended or the disk failed: as it was, and the next plan goes on from there. */
async function wentBack(
  { host, hands, rows, hardLinks, touched }: StageDeps,
  { name, key, id, rev }: Staged,
  facts: DiskFacts,
): Promise<boolean> {
  const target = await hands.lookIfThere(hands.path(key));
  if (target?.ino === facts.ino && target.dev === facts.dev) {
    // The new file never came.
    await removeFile(host.fs, hands.staged(name));
    return true;
  }
  if (hardLinks || target !== undefined) return false;
  // Once it is noted that the new one came, somebody here has taken that away.
  const row = host.engine.read((tx) => rows.row(tx, id));
  if (row === undefined || !equalBytes(row.rev, rev)) return false;
  if ((await hands.fromAside(name, key)).kind !== "done") return false;
  touched(parentKey(key));
  return true;
}

/** An edit into a file that had given way is a write on what that program saw; the next one will be a write on this. */
async function readLate({ host, hands, rows, op }: StageDeps, one: Staged): Promise<"waits" | Staged> {
  const packing = new Packing(host, { inline: true, most: MOST_FILE_SIZE, stopped: () => true });
  const read = await packing.add(hands.staged(one.name)).catch((error: unknown) => {
    if (error instanceof NoRoom) return undefined;
    throw error;
  });
  if (read === undefined) return "waits";
  const { content, file } = read;
  if (!samePrint(file.before, file.after) || content.size !== file.after.size) return "waits";
  const since = Math.floor(host.clock.now());
  const again = { ...one, print: file.after, hash: content.hash, since };
  if (one.hash !== undefined && equalBytes(one.hash, content.hash)) return again;
  const rev = op();
  const said = { op: rev, base: host.replica.cursor().applied, time: since };
  const mtime = Math.max(0, Number(file.after.mtimeNs / 1000n));
  const change = { do: "write", ...said, id: one.id, rev: one.rev, content, mtime } as const;
  host.engine.write((tx) => {
    packing.submit(tx, [change]);
    rows.putStaged(tx, { ...again, rev });
  });
  return "waits";
}
