import { encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { expect, test } from "vitest";
import { describeFs } from "../suites/fs-contract.ts";
import { type DiskCall, SimDisk, type SimMount } from "./sim-disk.ts";

const ONE = encodeUtf8("one");

/** The same draws for the same seed (mulberry32). */
function draws(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const newDisk = (): SimDisk => new SimDisk({ now: () => 1000 });

async function textOf(mount: SimMount, path: string): Promise<string> {
  try {
    return new TextDecoder().decode(await mount.readFile(path, 9999));
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describeFs("simulated disk", () => {
  const fs = newDisk().mount();
  void fs.mkdir("/root");
  return { fs, root: "/root", dispose: () => {} };
});

test("what was synced survives every cut: the bytes by the file's sync, the name by its directory's", async () => {
  for (const synced of ["file", "directory", "both"]) {
    const seen = new Set<string>();
    for (let seed = 0; seed < 200; seed++) {
      const disk = newDisk();
      const fs = disk.mount();
      await fs.writeFileNew("/a", ONE);
      if (synced !== "directory") await fs.syncFile("/a");
      if (synced !== "file") await fs.syncDir("/");
      disk.powerCut(draws(seed));
      seen.add(await textOf(disk.mount(), "/a"));
    }
    const possible = { file: ["ENOENT", "one"], directory: ["", "o", "on", "one"], both: ["one"] };
    expect([...seen].sort(), synced).toEqual(possible[synced as "file"]);
  }
});

test("a long unsynced write may come back with holes", async () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 100; seed++) {
    const disk = newDisk();
    const fs = disk.mount();
    await fs.writeFileNew("/a", new Uint8Array(512 * 3).fill(120));
    await fs.syncDir("/");
    disk.powerCut(draws(seed), "subset");
    const text = await textOf(disk.mount(), "/a");
    seen.add([0, 512, 1024].map((at) => text.slice(at, at + 512).replace(/(.)\1+/s, "$1")).join("|"));
  }
  const [hole, x] = ["\0", "x"];
  expect(seen).toContain(`${hole}|${hole}|${x}`);
  expect(seen).toContain(`${x}|${hole}|${x}`);
  expect(seen.size).toBe(8);
});

test("a rename is whole or not at all, and a synced one stays", async () => {
  for (let seed = 0; seed < 100; seed++) {
    const disk = newDisk();
    const fs = disk.mount();
    for (const path of ["/x", "/y"]) await fs.mkdir(path);
    await fs.writeFileNew("/x/a", ONE);
    await fs.syncFile("/x/a");
    for (const path of ["/x", "/y", "/"]) await fs.syncDir(path);
    await fs.rename("/x/a", "/y/b");
    if (seed % 2 === 0) await fs.syncDir("/y");
    disk.powerCut(draws(seed));
    const after = disk.mount();
    const found = [await textOf(after, "/x/a"), await textOf(after, "/y/b")];
    if (seed % 2 === 0) expect(found).toEqual(["ENOENT", "one"]);
    else expect([...found].sort()).toEqual(["ENOENT", "one"]);
  }
});

test("a sync of one directory takes along what renames into it rest on", async () => {
  const disk = newDisk();
  const fs = disk.mount();
  await fs.mkdir("/x");
  await fs.writeFileNew("/a", ONE);
  await fs.writeFileNew("/x/b", new Uint8Array(1));
  await fs.rename("/a", "/x/b");
  await fs.syncDir("/");
  await fs.syncDir("/x");
  await fs.syncFile("/x/b");
  disk.powerCut(draws(1), "lose-all");
  expect(await textOf(disk.mount(), "/x/b")).toBe("one");
});

test("a kill keeps the page cache and silences the process", async () => {
  const disk = newDisk();
  const fs = disk.mount();
  await fs.writeFileNew("/a", ONE);
  fs.kill();
  let settled = false;
  void fs.unlink("/a").finally(() => {
    settled = true;
  });
  expect(await textOf(disk.mount(), "/a")).toBe("one");
  expect(settled).toBe(false);
});

test("a failed sync of a file loses its pages, and the next one does not bring them back", async () => {
  const disk = newDisk();
  let fail = true;
  const fs = disk.mount({ before: (call) => (call.op === "syncFile" && fail ? "EIO" : undefined) });
  await fs.writeFileNew("/a", ONE);
  await fs.syncDir("/");
  await expect(fs.syncFile("/a")).rejects.toMatchObject({ code: "EIO" });
  fail = false;
  await fs.syncFile("/a");
  expect(await textOf(fs, "/a")).toBe("one");
  disk.powerCut(draws(1), "prefix");
  expect(await textOf(disk.mount(), "/a")).toBe("");
});

test("a failed sync of a directory ends all changes there until the next boot", async () => {
  const disk = newDisk();
  let fail = true;
  const fs = disk.mount({ before: (call) => (call.op === "syncDir" && fail ? "EIO" : undefined) });
  await fs.writeFileNew("/a", ONE);
  await expect(fs.syncDir("/")).rejects.toMatchObject({ code: "EIO" });
  fail = false;
  await expect(fs.syncDir("/")).rejects.toMatchObject({ code: "EIO" });
  await expect(fs.writeFileNew("/b", ONE)).rejects.toMatchObject({ code: "EROFS" });
  disk.powerCut(draws(1), "lose-all");
  const after = disk.mount();
  expect(await after.readdir("/")).toEqual([]);
  await after.writeFileNew("/b", ONE);
  await after.syncDir("/");
});

test("an error after the call leaves it done; full, read-only and linkless disks say so", async () => {
  const lost = newDisk().mount({ after: (call) => (call.op === "link" ? "EIO" : undefined) });
  await lost.writeFileNew("/a", ONE);
  await expect(lost.link("/a", "/b")).rejects.toMatchObject({ code: "EIO" });
  expect(await textOf(lost, "/b")).toBe("one");

  const small = new SimDisk({ now: () => 0, capacity: 5, links: false }).mount();
  await small.writeFileNew("/a", ONE);
  await expect(small.writeFileNew("/b", ONE)).rejects.toMatchObject({ code: "ENOSPC" });
  await small.unlink("/b");
  await small.unlink("/a");
  await small.writeFileNew("/c", ONE);
  await expect(small.link("/c", "/d")).rejects.toMatchObject({ code: "EPERM" });

  const disk = newDisk();
  disk.readOnly = true;
  await expect(disk.mount().mkdir("/a")).rejects.toMatchObject({ code: "EROFS" });
});

test("the world decides when an effect and when its answer come", async () => {
  const disk = newDisk();
  const steps: [() => void, DiskCall][] = [];
  const fs = disk.mount({ schedule: (step, call) => steps.push([step, call]) });
  const other = disk.mount();
  const log: string[] = [];
  const writing = fs.writeFileNew("/a", ONE).then(() => log.push("answered"));
  expect(await textOf(other, "/a")).toBe("ENOENT");
  steps.shift()?.[0]();
  expect(await textOf(other, "/a")).toBe("one");
  expect(log).toEqual([]);
  steps.shift()?.[0]();
  await writing;
  expect(log).toEqual(["answered"]);

  fs.watch("/", () => log.push("hint"));
  await other.unlink("/a");
  expect(steps.map(([, call]) => call.op)).toEqual(["hint"]);
  steps.shift()?.[0]();
  expect(log).toEqual(["answered", "hint"]);
});

test("what nobody syncs is written back in the end", async () => {
  const disk = newDisk();
  const fs = disk.mount();
  for (let n = 0; n < 5000; n++) await fs.writeFileNew(`/${n}`, ONE);
  disk.powerCut(draws(1), "lose-all");
  const names = await disk.mount().readdir("/");
  expect(names.length).toBeGreaterThan(500);
  expect(await textOf(disk.mount(), "/0")).toBe("one");
});
