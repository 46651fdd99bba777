/** The drive as a file system asks for it, over real homes, a real folder remote and real files. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { concat } from "@tidelock/core/bytes/bytes";
import { ROOT } from "@tidelock/core/kinds/files/names";
import type { ItemId } from "@tidelock/core/kinds/files/types";
import { Stream } from "@tidelock/testkit/world/random";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createScheduler } from "../env.ts";
import { homePaths } from "../home/paths.ts";
import { openVault } from "../vault/open.ts";
import { openSession, type Session } from "../vault/session.ts";
import { createItemFs } from "./item-fs.ts";
import { FsError, type Handle, type ItemFs } from "./types.ts";

const keys = { insecureKeyFile: true };
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const read = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const noise = (n: number): Uint8Array => new Stream(7n, "item-fs").bytes(n);

interface Device {
  readonly session: Session;
  readonly fs: ItemFs;
  close(): Promise<void>;
}

let folder: string;
let words: readonly string[];
let open: Device[];
let a: Device;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidelock-items-"));
  open = [];
  const vault = await openVault({
    ...keys,
    home: join(folder, "a"),
    remote: join(folder, "remote"),
    onPrompt: async (prompt) => {
      if (prompt.kind === "phrase") words = prompt.words;
      return undefined;
    },
  });
  await vault.syncNow({ wait: true });
  await vault.close();
  a = await device("a");
});

afterEach(async () => {
  for (const one of open) await one.close();
  rmSync(folder, { recursive: true, force: true });
});

async function device(name: string): Promise<Device> {
  const session = await openSession({ paths: await homePaths({ home: join(folder, name) }), keys });
  const scheduler = createScheduler();
  const fs = await createItemFs({
    session,
    scheduler,
    log: { event: () => undefined },
  });
  const one: Device = {
    session,
    fs,
    close: async () => {
      open = open.filter((other) => other !== one);
      await fs.stop();
      scheduler.close();
      await session.close();
    },
  };
  open.push(one);
  return one;
}

async function second(): Promise<Device> {
  const vault = await openVault({
    ...keys,
    home: join(folder, "b"),
    remote: join(folder, "remote"),
    words: words.join(" "),
  });
  await vault.close();
  const b = await device("b");
  await b.session.sync({ wait: true });
  return b;
}

async function made({ fs }: Device, name: string, bytes: Uint8Array, parent: ItemId = ROOT): Promise<ItemId> {
  const { attr, handle } = fs.create(parent, name);
  await fs.write(handle, 0, bytes);
  fs.close(handle);
  await fs.settle();
  return attr.id;
}

async function contentOf({ fs }: Device, id: ItemId): Promise<Uint8Array> {
  const handle = fs.open(id);
  const bytes = await fs.read(handle, 0, 1 << 30);
  fs.close(handle);
  return bytes;
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof FsError) return error.code;
    throw error;
  }
  return "none";
}

const rejected = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "none",
    (error: unknown) => (error instanceof FsError ? error.code : String(error)),
  );

/** Versions that the log knows of it. */
const versions = ({ session }: Device, id: ItemId): number =>
  session.replica.read((tx) => session.kinds.files.history(tx, id).length + 1);

describe("names and folders", () => {
  test("[ITM1] what is made is there at once, by every form of its name, and in pages", async () => {
    const { fs } = a;
    const dir = fs.mkdir(ROOT, "Fotos");
    for (let i = 0; i < 25; i++)
      await made(a, `bild ${String(i).padStart(2, "0")}.jpg`, text(`${i}`), dir.id);
    expect(fs.lookup(ROOT, "FOTOS").id).toEqual(dir.id);
    const decomposed = "cafe\u0301";
    const cafe = await made(a, decomposed, text("x"));
    expect(fs.lookup(ROOT, "café").id).toEqual(cafe);
    const seen: string[] = [];
    for (let cursor: string | undefined; ; ) {
      const { items, next } = fs.list(dir.id, cursor, 10);
      seen.push(...items.map(({ name }) => name));
      if (next === undefined) break;
      cursor = next;
    }
    expect(seen).toEqual(Array.from({ length: 25 }, (_, i) => `bild ${String(i).padStart(2, "0")}.jpg`));
    expect(fs.attr(dir.id)).toMatchObject({ kind: "dir", name: "Fotos", parent: ROOT });
  });

  test("[ITM1] what no change has made yet is listed too, once", async () => {
    const { fs } = a;
    for (const name of ["a", "c", "e"]) await made(a, name, text(name));
    const open = ["b", "d", "f"].map((name) => fs.create(ROOT, name).handle);
    const pages = (limit: number): string[] => {
      const seen: string[] = [];
      for (let cursor: string | undefined; ; ) {
        const { items, next } = fs.list(ROOT, cursor, limit);
        seen.push(...items.map(({ name }) => name));
        if (next === undefined) return seen.sort();
        cursor = next;
      }
    };
    for (const limit of [1, 2, 3, 10]) expect(pages(limit)).toEqual(["a", "b", "c", "d", "e", "f"]);
    for (const handle of open) fs.close(handle);
    await fs.settle();
    expect(pages(2)).toEqual(["a", "b", "c", "d", "e", "f"]);
  });

  test("[ITM1] what cannot be is refused by a file system's own name for it, and nothing changes", async () => {
    const { fs } = a;
    const dir = fs.mkdir(ROOT, "d");
    const inner = fs.mkdir(dir.id, "inner");
    const file = await made(a, "f", text("f"));
    const link = fs.symlink(ROOT, "l", text("f"));
    expect(read(fs.readlink(link.id))).toBe("f");
    const before = JSON.stringify(fs.list(ROOT, undefined, 99));
    expect(codeOf(() => fs.lookup(ROOT, "none"))).toBe("not-found");
    expect(codeOf(() => fs.lookup(file, "x"))).toBe("not-dir");
    expect(codeOf(() => fs.mkdir(ROOT, "F"))).toBe("exists");
    expect(codeOf(() => fs.create(ROOT, "D"))).toBe("exists");
    for (const name of ["", ".", "..", "a/b", "a\0b", "\ud800", ".tidelock"])
      expect(codeOf(() => fs.mkdir(ROOT, name))).toBe("bad-name");
    expect(codeOf(() => fs.mkdir(ROOT, "é".repeat(128)))).toBe("name-too-long");
    expect(codeOf(() => fs.open(dir.id))).toBe("is-dir");
    expect(codeOf(() => fs.remove(dir.id))).toBe("not-empty");
    expect(codeOf(() => fs.open(new Uint8Array(16).fill(9) as ItemId))).toBe("not-found");
    expect(await rejected(fs.move(dir.id, inner.id, "x"))).toBe("cycle");
    expect(await rejected(fs.move(dir.id, dir.id, "x"))).toBe("cycle");
    expect(await rejected(fs.move(file, ROOT, "d"))).toBe("exists");
    expect(await rejected(fs.move(file, ROOT, "d", { replace: true }))).toBe("is-dir");
    expect(await rejected(fs.move(inner.id, ROOT, "f", { replace: true }))).toBe("not-dir");
    expect(await rejected(fs.read(99, 0, 1))).toBe("bad-handle");
    expect(JSON.stringify(fs.list(ROOT, undefined, 99))).toBe(before);
  });
});

describe("reading", () => {
  test("[ITM2] Y-3, Y-30: ranges come from the remote, each piece once for ten readers, and then from here", async () => {
    const bytes = noise(5_000_000);
    const id = await made(a, "large", bytes);
    await a.session.sync({ wait: true });
    const b = await second();
    const { fs } = b;
    let fetches = 0;
    const { remote } = b.session;
    if (remote === undefined) throw new Error("no remote");
    const get = remote.getBlob.bind(remote);
    Object.assign(remote, {
      getBlob: (...args: Parameters<typeof get>) => {
        fetches++;
        return get(...args);
      },
    });
    const handles = Array.from({ length: 10 }, () => fs.open(id));
    const all = await Promise.all(handles.map((handle) => fs.read(handle, 1_000_000, 100)));
    expect(all.map((part) => Buffer.from(part).equals(bytes.subarray(1_000_000, 1_000_100)))).toEqual(
      Array(10).fill(true),
    );
    expect(fetches).toBe(1);
    for (const [offset, length] of [
      [0, 10],
      [4_999_990, 100],
      [5_000_000, 10],
      [123_456, 2_000_000],
    ] as const) {
      const part = await fs.read(handles[0] as Handle, offset, length);
      expect(Buffer.from(part).equals(bytes.subarray(offset, offset + length))).toBe(true);
    }
    await contentOf(b, id);
    renameSync(join(folder, "remote"), join(folder, "away"));
    expect(Buffer.from(await contentOf(b, id)).equals(bytes)).toBe(true);
    renameSync(join(folder, "away"), join(folder, "remote"));
  });

  test("[ITM2] Y-4: without the remote an absent file is an error, never an empty one; a reader may give up", async () => {
    const id = await made(a, "large", noise(400_000));
    await a.session.sync({ wait: true });
    const b = await second();
    renameSync(join(folder, "remote"), join(folder, "away"));
    const handle = b.fs.open(id);
    expect(await rejected(b.fs.read(handle, 0, 10))).toBe("offline");
    renameSync(join(folder, "away"), join(folder, "remote"));
    const { remote } = b.session;
    const get = remote?.getBlob.bind(remote);
    Object.assign(remote as object, { getBlob: () => new Promise(() => undefined) });
    const stop = new AbortController();
    const reading = rejected(b.fs.read(handle, 0, 10, stop.signal));
    stop.abort();
    expect(await reading).toBe("interrupted");
    Object.assign(remote as object, { getBlob: get });
  });

  test("[ITM2] an open handle reads what it was opened on, also after another device has replaced it", async () => {
    const bytes = noise(300_000);
    const id = await made(a, "f", bytes);
    await a.session.sync({ wait: true });
    const b = await second();
    const handle = b.fs.open(id);
    const writer = a.fs.open(id, { write: true, truncate: true });
    await a.fs.write(writer, 0, text("other"));
    a.fs.close(writer);
    await a.fs.settle();
    await a.session.sync({ wait: true });
    await b.session.sync({ wait: true });
    expect(Buffer.from(await b.fs.read(handle, 0, 1 << 20)).equals(bytes)).toBe(true);
    expect(read(await contentOf(b, id))).toBe("other");
  });
});

describe("writing", () => {
  test("[ITM3] Y-26: many writes and saves are one version, seen by all readers at once", async () => {
    const { fs } = a;
    const { attr, handle } = fs.create(ROOT, "notes.txt", true);
    const reader = fs.open(attr.id);
    for (let i = 0; i < 100; i++) await fs.write(handle, i * 3, text(`${String(i).padStart(2, "0")} `));
    expect(fs.attr(attr.id)).toMatchObject({ size: 300, executable: true });
    expect(read(await fs.read(reader, 297, 9))).toBe("99 ");
    fs.close(handle);
    for (let i = 0; i < 20; i++) {
      const again = fs.open(attr.id, { write: true });
      await fs.write(again, 0, text(`save ${i}`));
      fs.close(again);
    }
    await fs.settle();
    expect(versions(a, attr.id)).toBe(1);
    expect(read(await fs.read(reader, 0, 7))).toBe("save 19");
    const same = fs.open(attr.id, { write: true });
    await fs.write(same, 0, text("save 19"));
    fs.close(same);
    await fs.settle();
    expect(versions(a, attr.id)).toBe(1);
    expect(readdirSync(join(a.session.folder, "drafts"))).toEqual([]);
  });

  test("[ITM3] a part of a file that is not here is written over: the rest is fetched first", async () => {
    const bytes = noise(700_000);
    const id = await made(a, "f", bytes);
    await a.session.sync({ wait: true });
    const b = await second();
    const handle = b.fs.open(id, { write: true });
    await Promise.all([b.fs.write(handle, 100, text("middle")), b.fs.write(handle, 700_000, text("end"))]);
    b.fs.close(handle);
    await b.fs.settle();
    await b.session.sync({ wait: true });
    await a.session.sync({ wait: true });
    const wanted = concat(bytes.subarray(0, 100), text("middle"), bytes.subarray(106), text("end"));
    expect(Buffer.from(await contentOf(a, id)).equals(wanted)).toBe(true);
    expect(versions(a, id)).toBe(2);
    const cut = a.fs.open(id, { write: true });
    await a.fs.truncate(cut, 106);
    a.fs.close(cut);
    await a.fs.settle();
    expect(read((await contentOf(a, id)).subarray(100))).toBe("middle");
  });

  test("[ITM4] Y-31: killed with files open, what was written is there after the next start", async () => {
    const old = noise(50_000);
    const id = await made(a, "old", old);
    const { attr, handle } = a.fs.create(ROOT, "new.txt");
    await a.fs.write(handle, 0, text("not closed"));
    await a.fs.sync(handle);
    const writer = a.fs.open(id, { write: true });
    await a.fs.write(writer, 0, text("changed"));
    a.fs.create(ROOT, "empty");
    // Nothing is closed, settled or sent first.
    await a.close();
    a = await device("a");
    expect(read(await contentOf(a, attr.id))).toBe("not closed");
    expect(a.fs.lookup(ROOT, "empty").size).toBe(0);
    const now = await contentOf(a, id);
    expect([read(now.subarray(0, 7)), Buffer.from(now.subarray(7)).equals(old.subarray(7))]).toEqual([
      "changed",
      true,
    ]);
    expect(readdirSync(join(a.session.folder, "drafts"))).toEqual([]);
    await a.session.sync({ wait: true });
  });

  test("[ITM6] on a full disk the write that finds no room says so; what was taken before stays", async (context) => {
    const disk = join(a.session.folder, "drafts");
    mkdirSync(disk, { recursive: true });
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], { stdio: "pipe" });
    } catch {
      process.stderr.write("skipped: no small disk can be mounted here (needs root)\n");
      return context.skip();
    }
    try {
      const { attr, handle } = a.fs.create(ROOT, "f");
      await a.fs.write(handle, 0, noise(100_000));
      expect(await rejected(a.fs.write(handle, 100_000, noise(400_000)))).toBe("no-space");
      await a.fs.truncate(handle, 100_000);
      a.fs.close(handle);
      await a.fs.settle();
      expect(Buffer.from(await contentOf(a, attr.id)).equals(noise(100_000))).toBe(true);
    } finally {
      await a.close();
      execFileSync("umount", [disk]);
    }
  });

  test("[ITM6] a copy of a home reads, and is told that it may not write", async () => {
    const id = await made(a, "f", text("f"));
    cpSync(join(folder, "a"), join(folder, "c"), { recursive: true });
    const { fs } = await device("c");
    expect(read(await fs.read(fs.open(id), 0, 9))).toBe("f");
    expect(codeOf(() => fs.open(id, { write: true }))).toBe("read-only");
    expect(codeOf(() => fs.create(ROOT, "g"))).toBe("read-only");
    expect(codeOf(() => fs.mkdir(ROOT, "g"))).toBe("read-only");
    expect(codeOf(() => fs.remove(id))).toBe("read-only");
    expect(fs.list(ROOT, undefined, 9).items.length).toBe(1);
  });

  test("[ITM3] closed, it is a change by itself after a moment", async () => {
    const { attr, handle } = a.fs.create(ROOT, "f");
    await a.fs.write(handle, 0, text("x"));
    a.fs.close(handle);
    expect(a.session.replica.waiting().pending).toBe(0);
    await new Promise<void>((resolve) => {
      const stop = a.fs.watch(() => {
        stop();
        resolve();
      });
    });
    expect(a.session.replica.waiting().pending).toBe(1);
    expect(versions(a, attr.id)).toBe(1);
  });

  test("[ITM5] saved beside and renamed over: the file keeps its id, and its history", async () => {
    const { fs } = a;
    const id = await made(a, "report.txt", text("first"));
    const { attr, handle } = fs.create(ROOT, ".report.txt.swap");
    await fs.write(handle, 0, text("second"));
    fs.close(handle);
    await fs.move(attr.id, ROOT, "report.txt", { replace: true });
    expect(fs.lookup(ROOT, "report.txt").id).toEqual(id);
    expect(read(await contentOf(a, id))).toBe("second");
    expect(versions(a, id)).toBe(2);
    expect(codeOf(() => fs.lookup(ROOT, ".report.txt.swap"))).toBe("not-found");
    const [one, two] = [fs.mkdir(ROOT, "one"), fs.mkdir(ROOT, "two")];
    await made(a, "in", text("x"), one.id);
    await fs.move(one.id, ROOT, "two", { replace: true });
    expect(fs.lookup(ROOT, "two").id).toEqual(one.id);
    expect(codeOf(() => fs.attr(two.id))).toBe("not-found");
  });

  test("[ITM1] what is not made yet is moved, marked and removed like everything else", async () => {
    const { fs } = a;
    const dir = fs.mkdir(ROOT, "d");
    const { attr, handle } = fs.create(ROOT, "draft");
    await fs.write(handle, 0, text("x"));
    await fs.move(attr.id, dir.id, "moved");
    fs.setExecutable(attr.id, true);
    expect(fs.lookup(dir.id, "moved")).toMatchObject({ executable: true, size: 1 });
    expect(codeOf(() => fs.remove(dir.id))).toBe("not-empty");
    fs.close(handle);
    await fs.settle();
    expect(fs.lookup(dir.id, "moved")).toMatchObject({ executable: true, size: 1 });
    const gone = fs.create(dir.id, "gone");
    await fs.write(gone.handle, 0, text("y"));
    fs.remove(gone.attr.id);
    expect(codeOf(() => fs.lookup(dir.id, "gone"))).toBe("not-found");
    fs.remove(attr.id);
    fs.remove(dir.id);
    expect(fs.list(ROOT, undefined, 9).items).toEqual([]);
    await a.session.sync({ wait: true });
  });
});
