/** What is done to the left folder, and when the right one shows it. Each ends with both compared. */
import { randomBytes } from "node:crypto";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { carried, type Pair, rest, type Used, used } from "./pair.ts";
import { processorMs, resident } from "./proc.ts";
import {
  compare,
  flipByte,
  isThere,
  makeFile,
  makeTree,
  middleByte,
  type Tree,
  textOf,
  whole,
} from "./tree.ts";

/** One row of the result, of one system. */
export interface Line extends Partial<Used> {
  readonly what: string;
  /** What Tidelock has to reach. */
  readonly asked?: string;
  /** Of one processor, while nothing happens. */
  readonly percent?: number;
  /** MiB, now. */
  readonly resident?: number;
}

export interface Scene {
  readonly pair: Pair;
  /** Of every count and size. */
  readonly scale: number;
  readonly saves: number;
  readonly idleMs: number;
  /** The folder of many files, and how often it was renamed. */
  many: { readonly tree: Tree; readonly name: string } | undefined;
}

export type Workload = (scene: Scene) => Promise<readonly Line[]>;

const MIB = 1 << 20;
const PASSES = 5;

/** In this order: what is made by one is there for the next. */
export const everyday: Readonly<Record<string, Workload>> = { many, pass, rename, large, byte, save, idle };
/** Between folders of its own. */
export const apart: Readonly<Record<string, Workload>> = { start };

const MANY = { folders: 100, files: 100, bytes: 4096 };
/** As many as a large drive has; few bytes, so that the count is what costs. */
const MORE = { folders: 1000, files: 100, bytes: 100 };

async function many(scene: Scene): Promise<readonly Line[]> {
  return [
    {
      ...(await bring(scene)),
      what: `${countOf(scene)} files of 4 KiB`,
      asked: "9 s, 12 s of processor, 60 packs",
    },
  ];
}

/** The folder of many files is moved in whole: nobody's time goes into making them. */
async function bring(scene: Scene, of: Tree = MANY): Promise<Used> {
  const { pair } = scene;
  const tree = scaled(scene, of);
  const [beside, name] = [`${pair.left}-beside`, "many"];
  makeTree(beside, tree);
  const result = await carried(
    pair,
    () => renameSync(beside, join(pair.left, name)),
    whole(join(pair.right, name), tree),
  );
  scene.many = { tree, name };
  await compare(pair.left, pair.right);
  return result;
}

async function pass(scene: Scene): Promise<readonly Line[]> {
  if (scene.many === undefined) await bring(scene);
  return [
    { ...(await passes(scene.pair)), what: `pass, ${countOf(scene)} files unchanged`, asked: "400 ms" },
  ];
}

/** The median one; the first is left out. */
export async function passes(pair: Pair): Promise<Used> {
  const all: Used[] = [];
  for (let i = 0; i <= PASSES; i++) all.push(await used(pair, () => pair.pass()));
  return all.slice(1).sort((a, b) => a.ms - b.ms)[PASSES >> 1] as Used;
}

async function rename(scene: Scene): Promise<readonly Line[]> {
  if (scene.many === undefined) await bring(scene);
  const { pair, many: found } = scene as Scene & { many: NonNullable<Scene["many"]> };
  const name = `${found.name} renamed`;
  const there = whole(join(pair.right, name), found.tree);
  const result = await carried(
    pair,
    () => renameSync(join(pair.left, found.name), join(pair.left, name)),
    () => there() && !isThere(join(pair.right, found.name)),
  );
  scene.many = { ...found, name };
  await compare(pair.left, pair.right);
  return [
    {
      ...result,
      what: `rename of a folder of ${countOf(scene)}`,
      asked: "0.5 s after settling (0.3 s), 0.3 s of processor, 1 KiB of frames",
    },
  ];
}

async function large({ pair, scale, many: others }: Scene): Promise<readonly Line[]> {
  const size = Math.round(1024 * MIB * scale);
  const [from, to] = [join(pair.left, "large.bin"), join(pair.right, "large.bin")];
  makeFile(`${pair.left}-beside`, size);
  const result = await carried(
    pair,
    () => renameSync(`${pair.left}-beside`, from),
    () => isThere(to),
  );
  await compare(pair.left, pair.right);
  // A deletion of all there is waits for a person's word.
  if (others !== undefined) await removed(pair, "large.bin");
  return [
    { ...result, what: `one file of ${mib(size)}`, asked: "10 s, B reads before A ends, 300 MiB a process" },
  ];
}

/** So that it is not compared again after each that follows. */
async function removed(pair: Pair, name: string): Promise<void> {
  await carried(
    pair,
    () => rmSync(join(pair.left, name)),
    () => !isThere(join(pair.right, name)),
  );
}

async function byte({ pair, scale }: Scene): Promise<readonly Line[]> {
  const size = Math.round(50 * MIB * scale);
  const [from, to] = [join(pair.left, "byte.bin"), join(pair.right, "byte.bin")];
  makeFile(`${pair.left}-beside`, size);
  await carried(
    pair,
    () => renameSync(`${pair.left}-beside`, from),
    () => isThere(to),
  );
  const before = middleByte(to);
  const result = await carried(
    pair,
    () => flipByte(from),
    () => ![before, undefined].includes(middleByte(to)),
  );
  await compare(pair.left, pair.right);
  return [{ ...result, what: `1 byte changed in ${mib(size)}`, asked: "0.8 s, 3 MiB" }];
}

async function save({ pair, saves }: Scene): Promise<readonly Line[]> {
  const [from, to] = [join(pair.left, "note.txt"), join(pair.right, "note.txt")];
  const all: Used[] = [];
  // The first one makes it.
  for (let i = 0; i <= saves; i++) {
    const text = randomBytes(1500).toString("hex");
    const isNew = (): boolean => textOf(to) === text;
    const one = await carried(pair, () => writeFileSync(from, text), isNew, false);
    if (i > 0) all.push(one);
    // Timers of either side are met at any of their moments.
    await sleep(Math.random() * 500);
  }
  await compare(pair.left, pair.right);
  const sorted = all.sort((a, b) => a.ms - b.ms);
  const at = (share: number): Used => sorted[Math.min(saves - 1, Math.floor(saves * share))] as Used;
  const { ms } = at(0.95);
  return [
    { ...at(0.5), what: `small save, p50 of ${saves}`, asked: "450 ms" },
    { ms, what: `small save, p95 of ${saves}`, asked: "800 ms" },
  ];
}

async function idle(scene: Scene): Promise<readonly Line[]> {
  const { pair, idleMs } = scene;
  if (pair.pids.length === 0) return [];
  if (scene.many === undefined) await bring(scene);
  await rest(pair);
  const before = pair.pids.map((pid) => processorMs([pid]));
  await sleep(idleMs);
  const percents = pair.pids.map((pid, i) => ((processorMs([pid]) - (before[i] as number)) / idleMs) * 100);
  return [
    {
      what: `idle, ${countOf(scene)} files, one daemon`,
      asked: "0.2 % of a processor, 130 MiB",
      percent: percents[0] as number,
      resident: resident(pair.pids.slice(0, 1)),
    },
    {
      what: "idle, all processes",
      percent: percents.reduce((sum, one) => sum + one, 0),
      resident: resident(pair.pids),
    },
  ];
}

/** Ten times as many files, of which A starts. */
async function start(scene: Scene): Promise<readonly Line[]> {
  const { pair } = scene;
  const count = countOf(scene, MORE);
  const brought = await bring(scene, MORE);
  const lines: Line[] = [
    { ...brought, what: `${count} files of 100 B` },
    { ...(await passes(pair)), what: `pass, ${count} files unchanged`, asked: "2 s" },
  ];
  if (pair.startAgain === undefined) return lines;
  await rest(pair);
  const { answers, live } = await pair.startAgain();
  await compare(pair.left, pair.right);
  return [
    ...lines,
    { ms: answers, what: `start over ${count} files, until it answers`, asked: "1.5 s" },
    { ms: live, what: "the same, until it says it is live" },
  ];
}

function scaled({ scale }: Scene, tree: Tree): Tree {
  return { ...tree, folders: Math.max(1, Math.round(tree.folders * scale)) };
}

function countOf(scene: Scene, of: Tree = MANY): string {
  const { folders, files } = scaled(scene, of);
  return (folders * files).toLocaleString("en");
}

function mib(bytes: number): string {
  return bytes >= 1024 * MIB ? `${(bytes / 1024 / MIB).toFixed(0)} GiB` : `${(bytes / MIB).toFixed(0)} MiB`;
}
