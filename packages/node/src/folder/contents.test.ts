/** How much of a large file comes over the line when little of it is another. */
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Remote } from "@tidelock/core/ports";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createNodeFolderFs } from "../fs/node-folder-fs.ts";
import { createHomes, folderOver, type TestHome, type TestHomes, treeOf } from "./testing/homes.ts";
import { disturbedFs } from "./testing/hooked.ts";

const MIB = 1 << 20;
const SIZE = 12 * MIB;

let all: TestHomes;
let a: TestHome;
let b: TestHome;
/** Bytes of packs that B was given. */
let given: number;

beforeEach(async () => {
  all = await createHomes(["a", "b"]);
  [a, b] = all.homes as [TestHome, TestHome];
  writeFileSync(join(a.folder, "film.bin"), randomBytes(SIZE));
  for (const home of [a, b]) await home.sync();
  given = 0;
}, 60_000);
afterEach(() => all.remove(), 60_000);

/** B's folder looks, with a line that counts. */
async function look(fs = createNodeFolderFs()): Promise<void> {
  const remote = b.session.remote as Remote;
  const counted: Remote = {
    ...remote,
    getBlob: async (id, part) => {
      const got = await remote.getBlob(id, part);
      if (got.kind === "ok") given += got.value?.length ?? 0;
      return got;
    },
  };
  await b.session.engine.syncNow();
  await folderOver(b, { fs, remote: counted }).pump();
}

/** One byte in the middle is another. */
async function edit(): Promise<void> {
  const path = join(a.folder, "film.bin");
  const bytes = readFileSync(path);
  bytes[SIZE / 2] = ((bytes[SIZE / 2] as number) + 1) & 0xff;
  writeFileSync(path, bytes);
  await a.sync();
}

test("[FLD25] of a large file that changed only the pieces are asked for that the older one has not", async () => {
  await edit();
  await look();
  expect(treeOf(b.folder)).toEqual(treeOf(a.folder));
  expect(given).toBeGreaterThan(0);
  // A piece has at most 4 MiB.
  expect(given).toBeLessThan(5 * MIB);
}, 60_000);

test("[FLD25] where somebody writes to the older file meanwhile, all of it is asked for, and both are kept", async () => {
  await edit();
  let reads = 0;
  const mine = randomBytes(SIZE);
  const fs = disturbedFs(createNodeFolderFs(), "readFile", (path) => {
    if (path.endsWith("film.bin") && reads++ === 1) writeFileSync(path, mine);
  });
  await look(fs);
  expect(reads).toBeGreaterThan(1);
  expect(given).toBeGreaterThan(SIZE);
  for (const home of [b, a, b]) await home.sync();
  const kept = readdirSync(b.folder).filter((name) => name.startsWith("film"));
  expect(kept).toHaveLength(2);
  expect(kept.some((name) => mine.equals(readFileSync(join(b.folder, name))))).toBe(true);
  expect(treeOf(b.folder)).toEqual(treeOf(a.folder));
}, 60_000);
