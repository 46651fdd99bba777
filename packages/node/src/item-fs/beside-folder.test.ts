/** A folder of the disk on one device, the drive as a file system on another: one vault. */
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { toHex } from "@tidelock/core/bytes/bytes";
import { ROOT } from "@tidelock/core/kinds/files/names";
import type { ItemId } from "@tidelock/core/kinds/files/types";
import { Stream } from "@tidelock/testkit/world/random";
import { expect, test } from "vitest";
import { createScheduler } from "../env.ts";
import { createHomes, type TestHome, treeOf } from "../folder/testing/homes.ts";
import { createItemFs } from "./item-fs.ts";
import type { ItemFs } from "./types.ts";

const noise = (n: number): Uint8Array => new Stream(7n, "beside").bytes(n);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex").slice(0, 64);

/** Every path, with kind and bytes, as the file system shows it. */
async function mountedTree(fs: ItemFs): Promise<Record<string, string>> {
  const out: Record<string, string> = {};
  const walk = async (folder: ItemId, path: string): Promise<void> => {
    for (let cursor: string | undefined; ; ) {
      const { items, next } = fs.list(folder, cursor, 2);
      for (const { id, kind, name, size, executable } of items) {
        const at = `${path}${name}`;
        if (kind === "dir") {
          out[at] = "dir";
          await walk(id, `${at}/`);
        } else if (kind === "link") out[at] = `-> ${Buffer.from(fs.readlink(id)).toString()}`;
        else {
          const handle = fs.open(id);
          out[at] = `${size} ${executable ? "x" : "-"} ${hex(await fs.read(handle, 0, size))}`;
          fs.close(handle);
        }
      }
      if (next === undefined) return;
      cursor = next;
    }
  };
  await walk(ROOT, "");
  return out;
}

function folderTree(home: TestHome): Record<string, string> {
  const shown = Object.entries(treeOf(home.folder)).map(([path, what]): [string, string] => {
    if (what === "dir" || what.startsWith("->")) return [path, what];
    const [size, , executable] = what.split(" ");
    return [path, `${size} ${executable} ${hex(readFileSync(join(home.folder, path)))}`];
  });
  return Object.fromEntries(shown);
}

const hashOf = ({ session: { replica } }: TestHome): string =>
  `${replica.cursor().applied} ${replica.digest()}`;

test("[ITM1] M-28: an eager folder and a lazy file system over one vault show the same tree, and have the same hash", {
  timeout: 120_000,
}, async () => {
  const all = await createHomes(["folder", "lazy"], false);
  const [a, b] = all.homes as [TestHome, TestHome];
  const scheduler = createScheduler();
  const fs = await createItemFs({ session: b.session, scheduler, log: { event: () => undefined } });
  try {
    await a.session.folders.add(a.folder, false);
    const same = async (): Promise<Record<string, string>> => {
      await fs.settle();
      for (const home of [b, a, b]) await home.sync();
      const [tree, mounted] = [folderTree(a), await mountedTree(fs)];
      expect(Object.entries(mounted).sort()).toEqual(Object.entries(tree).sort());
      expect(hashOf(b)).toBe(hashOf(a));
      return tree;
    };
    mkdirSync(join(a.folder, "docs", "empty"), { recursive: true });
    writeFileSync(join(a.folder, "docs", "small.txt"), "small");
    writeFileSync(join(a.folder, "docs", "run.sh"), "#!/bin/sh\n", { mode: 0o755 });
    writeFileSync(join(a.folder, "large.bin"), noise(2_500_000));
    symlinkSync("docs/small.txt", join(a.folder, "link"));
    expect(Object.keys(await same()).length).toBe(6);
    // Work on both sides.
    const docs = fs.lookup(ROOT, "docs");
    const file = fs.lookup(docs.id, "small.txt");
    const handle = fs.open(file.id, { write: true });
    await fs.write(handle, 2, Buffer.from("ile"));
    fs.close(handle);
    fs.mkdir(ROOT, "made");
    const made = fs.create(ROOT, "new.txt");
    await fs.write(made.handle, 0, noise(40_000));
    fs.close(made.handle);
    await fs.settle();
    await fs.move(fs.lookup(ROOT, "link").id, fs.lookup(ROOT, "made").id, "moved");
    renameSync(join(a.folder, "docs"), join(a.folder, "papers"));
    rmSync(join(a.folder, "large.bin"));
    const tree = await same();
    expect(Object.keys(tree)).toEqual([
      "made",
      "made/moved",
      "new.txt",
      "papers",
      "papers/empty",
      "papers/run.sh",
      "papers/small.txt",
    ]);
    expect(tree["papers/small.txt"]).toBe(`5 - ${hex(Buffer.from("smile"))}`);
    // What is not on the disk is in the file system all the same.
    await a.session.folders.select("papers", undefined, false);
    for (const home of [a, b]) await home.sync();
    expect(Object.keys(folderTree(a))).toEqual(["made", "made/moved", "new.txt"]);
    expect(Object.keys(await mountedTree(fs))).toContain("papers/small.txt");
    expect([hashOf(b), toHex(fs.lookup(ROOT, "papers").id)]).toEqual([hashOf(a), toHex(docs.id)]);
  } finally {
    await fs.stop();
    scheduler.close();
    await all.remove();
  }
});
