/**
 * What lies in the stage: bytes that gave way to newer ones, until it is sure that no program wrote
 * to them afterwards, and what a crash left half-way. Everything ends in the tree, in the vault or
 * in the trash; nothing is removed.
 */
import type { Op } from "@tidelock/core/kinds/files/types";
import type { Hands } from "./hands.ts";
import type { FolderHost } from "./host.ts";
import { Packing } from "./packing.ts";
import { type FolderPlace, removeFile } from "./root.ts";
import type { FolderRows, Staged } from "./rows.ts";
import { parentKey, sameBytesLikely, samePrint } from "./seen.ts";
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

/** A program may still hold the old file open, ms. */
const HELD = 10_000;

/** At a start: what was being made is made anew; what nobody knows of is kept for a person. */
export async function recover(deps: StageDeps): Promise<void> {
  const { host, place, rows, hands, trash } = deps;
  for (const { name, kind } of (await host.fs.list(place.tmp)).entries)
    if (kind === "file") await removeFile(host.fs, `${place.tmp}/${name}`);
  const known = new Set(host.engine.read((tx) => rows.staged(tx)).map((one) => one.name));
  for (const { name } of (await host.fs.list(place.stage)).entries)
    if (!known.has(name)) await host.fs.rename(hands.staged(name), await trash.room(name, false));
}

/** How long until something in the stage may be let go, ms; undefined where nothing waits. */
export async function sweep(deps: StageDeps): Promise<number | undefined> {
  const { host, rows } = deps;
  let next: number | undefined;
  for (const one of host.engine.read((tx) => rows.staged(tx))) {
    const left = one.since + HELD - host.clock.now();
    if (await settled(deps, one, left)) host.engine.write((tx) => rows.dropStaged(tx, one.name));
    else next = Math.min(next ?? HELD, Math.max(1, left));
  }
  return next;
}

/** Whether it needs no note any more. */
async function settled(deps: StageDeps, one: Staged, left: number): Promise<boolean> {
  const { host, hands, trash, touched } = deps;
  const path = hands.staged(one.name);
  const facts = await hands.lookIfThere(path);
  if (facts === undefined) return true;
  const target = await hands.lookIfThere(hands.path(one.key));
  if (one.kind === "aside" || (target === undefined && !deps.hardLinks)) {
    // Half-way when the process ended: back to where it was, and the next plan goes on from there.
    if ((await hands.fromAside(one.name, one.key)).kind === "done") {
      touched(parentKey(one.key));
      return true;
    }
    await host.fs.rename(path, await trash.room(nameOf(one.key), false));
    return true;
  }
  if (target?.ino === facts.ino && target.dev === facts.dev) {
    // The new file never came.
    await removeFile(host.fs, path);
    return true;
  }
  const untouched = sameBytesLikely(facts, one.print);
  if (!untouched && !(await sendLate(deps, one))) return false;
  // A clock that went back must not keep it for ever.
  if (untouched && left > 0 && left <= HELD) return false;
  await host.fs.rename(path, await trash.room(nameOf(one.key), untouched));
  return true;
}

/** An edit into the old file, made while the new one came: a write on what that program saw. */
async function sendLate({ host, hands, op }: StageDeps, one: Staged): Promise<boolean> {
  const packing = new Packing(host, true);
  const { content, file } = await packing.add(hands.staged(one.name));
  if (!samePrint(file.before, file.after) || content.size !== file.after.size) return false;
  const said = { op: op(), base: host.replica.cursor().applied, time: Math.floor(host.clock.now()) };
  const mtime = Math.max(0, Number(file.after.mtimeNs / 1000n));
  const change = { do: "write", ...said, id: one.id, rev: one.rev, content, mtime } as const;
  host.engine.write((tx) => packing.submit(tx, [change]));
  return true;
}

function nameOf(key: string): string {
  return key.slice(key.lastIndexOf("/") + 1);
}
