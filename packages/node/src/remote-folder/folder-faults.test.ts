import { createHash } from "node:crypto";
import type { Sealed } from "@tidelock/core/bytes/brand";
import { decodeUtf8, encodeUtf8, toHex } from "@tidelock/core/bytes/bytes";
import { TidelockError } from "@tidelock/core/errors";
import type { Fs } from "@tidelock/core/ports-fs";
import { draws } from "@tidelock/testkit/suites/seeds";
import { type DiskCall, type DiskHooks, SimDisk } from "@tidelock/testkit/world/sim-disk";
import { expect, test } from "vitest";
import { createFolderRemote, type FolderOptions, type FolderRemote } from "./folder.ts";
import { mirrorOf } from "./synced.ts";

const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash("sha256").update(bytes).digest());
const sealed = (text: string): Sealed => encodeUtf8(text) as Uint8Array as Sealed;
const GENESIS = sealed("genesis");
const START = 1_700_000_000_000;
const want = { frames: 99, bytes: 99_999 };
const seen = (seq: number): { seq: number; hash: Uint8Array } => ({ seq, hash: new Uint8Array(32) });

/** A disk with a clock of its own, and devices whose clock may differ. */
class Bench {
  time = START;
  storeOffset = 0;
  readonly disk: SimDisk;
  readonly fs: Fs;
  readonly #random = draws(5);

  constructor(options: { links?: boolean; capacity?: number } = {}) {
    this.disk = new SimDisk({ now: () => this.time + this.storeOffset, ...options });
    this.fs = this.disk.mount();
  }

  device(hooks: DiskHooks = {}, over: Partial<FolderOptions> = {}): FolderRemote {
    return createFolderRemote({
      directory: "/vault",
      fs: this.disk.mount(hooks),
      clock: { now: () => this.time, mono: () => this.time - START },
      random: (n) => Uint8Array.from({ length: n }, () => this.#random() * 256),
      sha256,
      ...over,
    });
  }

  async founded(hooks: DiskHooks = {}): Promise<FolderRemote> {
    expect(await this.device().create(GENESIS)).toEqual({ kind: "ok", value: "created" });
    return this.device(hooks);
  }

  async textAt(path: string): Promise<string | undefined> {
    return decodeUtf8(await this.fs.readFile(path, 9999));
  }
}

async function codeOf(call: Promise<unknown>): Promise<unknown> {
  try {
    return ["answered", await call];
  } catch (error) {
    return error instanceof TidelockError ? error.code : error;
  }
}

test("[REM20] a folder holds these names and nothing else, and every one of them is digits or hex", async () => {
  const bench = new Bench();
  const remote = await bench.founded();
  const blob = sealed("a blob");
  await remote.append([sealed("one"), sealed("two")], seen(0));
  await remote.append([sealed("three")], seen(2));
  await remote.putBlob(sha256(blob), blob);
  const id = toHex(sha256(blob));
  expect([...(await bench.fs.readdir("/vault"))].sort()).toEqual(["blob", "genesis", "log", "remote", "tmp"]);
  expect(await bench.textAt("/vault/remote")).toBe("tidelock folder 1 link\n");
  expect(await bench.textAt("/vault/genesis")).toBe("genesis");
  expect([...(await bench.fs.readdir("/vault/log"))].sort()).toEqual(["000000000001", "000000000003"]);
  expect(await bench.textAt(`/vault/blob/${id.slice(0, 2)}/${id}`)).toBe("a blob");
  expect(await bench.fs.readdir("/vault/tmp")).toEqual([]);
});

test("[REM20] without hard links an object is a directory, published by a rename", async () => {
  const bench = new Bench({ links: false });
  const remote = await bench.founded();
  expect(await remote.append([sealed("one")], seen(0))).toEqual({ kind: "committed", first: 1 });
  expect(await bench.textAt("/vault/remote/data")).toBe("tidelock folder 1 rename-dir\n");
  expect(await bench.fs.readdir("/vault/log/000000000001")).toEqual(["data"]);
  expect(await remote.prepare()).toEqual({ kind: "ok", value: "rename-dir" });
  // What somebody left empty at a number is in nobody's way; what is not empty is garbage.
  await bench.fs.mkdir("/vault/log/000000000002");
  expect(await remote.append([sealed("two")], seen(1))).toEqual({ kind: "committed", first: 2 });
  await bench.fs.mkdir("/vault/log/000000000003");
  await bench.fs.mkdir("/vault/log/000000000003/x");
  expect(await remote.append([sealed("three")], seen(2))).toEqual({ kind: "behind" });
  expect(await remote.read(2, want)).toMatchObject({
    value: { objects: [{ kind: "garbage", first: 3 }], head: 3 },
  });
});

test("[REM20] an unsynced page is never published: the outcome is unknown, and the same bytes go in later", async () => {
  for (const op of ["syncFile", "syncDir"] as const) {
    const bench = new Bench();
    let fail = false;
    const remote = await bench.founded({
      after: (call) => (fail && call.op === op && /log|tmp/.test(call.path) ? "EIO" : undefined),
    });
    await remote.append([sealed("one")], seen(0));
    fail = true;
    expect(await remote.append([sealed("two")], seen(1))).toEqual({ kind: "unknown" });
    fail = false;
    expect(await remote.append([sealed("two")], seen(1))).toEqual({ kind: "committed", first: 2 });
  }
});

test("[REM21] a place whose links replace, or only look before they leap, is refused by the race, and left as it was", async () => {
  const replaces = (fs: Fs): Fs => ({
    ...plain(fs),
    link: async (from, to) => overwrite(fs, from, to),
    rename: (from, to) => overwrite(fs, from, to),
  });
  const looks = (fs: Fs): Fs => {
    const looking = async (from: string, to: string): Promise<void> => {
      const names = await fs.readdir(to.slice(0, to.lastIndexOf("/")));
      if (names.includes(to.slice(to.lastIndexOf("/") + 1)))
        throw Object.assign(new Error("there"), { code: "EEXIST" });
      await overwrite(fs, from, to);
    };
    return { ...plain(fs), link: looking, rename: looking };
  };
  for (const spoil of [replaces, looks]) {
    const bench = new Bench();
    // Answers come one step later, as they do on any real disk: only then can two look before either leaps.
    const later = bench.disk.mount({ schedule: (step) => setImmediate(step) });
    const remote = bench.device({}, { fs: spoil(later) });
    expect(await codeOf(remote.create(GENESIS))).toBe("remote-no-cas");
    expect(await bench.fs.readdir("/")).toEqual([]);

    await bench.founded();
    const opened = bench.device({}, { fs: spoil(later) });
    expect(await codeOf(opened.prepare())).toBe("remote-no-cas");
    expect((await opened.append([sealed("one")], seen(0))).kind).toBe("denied");
    expect((await opened.read(0, want)).kind).toBe("ok");
  }
});

/** Its methods as own properties, so that a spread carries them. */
function plain(fs: Fs): Fs {
  return {
    readFile: (path, max, at) => fs.readFile(path, max, at),
    writeFileNew: (path, bytes) => fs.writeFileNew(path, bytes),
    syncFile: (path) => fs.syncFile(path),
    link: (from, to) => fs.link(from, to),
    unlink: (path) => fs.unlink(path),
    mkdir: (path) => fs.mkdir(path),
    rmdir: (path) => fs.rmdir(path),
    rename: (from, to) => fs.rename(from, to),
    readdir: (path) => fs.readdir(path),
    stat: (path) => fs.stat(path),
    syncDir: (path) => fs.syncDir(path),
    watch: (path, hint) => fs.watch(path, hint),
  };
}

/** Puts `from` in the place of `to`, whatever stands there and however often it comes back. */
async function overwrite(fs: Fs, from: string, to: string): Promise<void> {
  for (let done = false; !done; ) {
    for (const path of [`${to}/data`, to]) await fs.unlink(path).catch(() => {});
    await fs.rmdir(to).catch(() => {});
    done = await fs.rename(from, to).then(
      () => true,
      () => false,
    );
  }
}

test("[REM21] a file system that cannot flush directories is refused", async () => {
  const bench = new Bench();
  const remote = bench.device({
    before: (call) => (call.op === "syncDir" && call.path.includes("probe") ? "EINVAL" : undefined),
  });
  expect(await codeOf(remote.create(GENESIS))).toBe("remote-no-cas");
});

test("[REM22] folders that a program mirrors are known by their names and their markers", async () => {
  const bench = new Bench();
  const names: Record<string, string | undefined> = {
    "/home/a/Dropbox/vault": "Dropbox",
    "/home/a/Dropbox (Personal)/vault": "Dropbox",
    "/Users/a/Library/Mobile Documents/com~apple~CloudDocs/vault": "iCloud Drive",
    "C:/Users/a/OneDrive - Contoso/vault": "OneDrive",
    "G:/My Drive/vault": "Google Drive",
    "/Users/a/Library/CloudStorage/Box-Box/vault": "a cloud drive",
    "/home/a/Nextcloud/vault": "Nextcloud",
    "/srv/vaults/dropboxes/vault": undefined,
    "/mnt/share/vault": undefined,
  };
  for (const [path, program] of Object.entries(names))
    expect([path, await mirrorOf(bench.fs, path)]).toEqual([path, program]);
  const markers: Record<string, string> = {
    ".stfolder": "Syncthing",
    ".dropbox.cache": "Dropbox",
    ".sync_0a1b2c3d.db": "Nextcloud",
    "._sync_0a1b2c3d.db": "Nextcloud",
    ".tmp.drivedownload": "Google Drive",
    ".notes.txt.icloud": "iCloud Drive",
    ".849C9593-D756-4E56-8D6E-42412F2A707B": "OneDrive",
  };
  for (const [i, [marker, program]] of Object.entries(markers).entries()) {
    for (const path of [`/m${i}`, `/m${i}/sub`]) await bench.fs.mkdir(path);
    await bench.fs.mkdir(`/m${i}/${marker}`);
    for (const path of [`/m${i}`, `/m${i}/sub`, `/m${i}/sub/vault`])
      expect([marker, await mirrorOf(bench.fs, path)]).toEqual([marker, program]);
    const remote = bench.device({}, { directory: `/m${i}/sub/vault` });
    expect(await codeOf(remote.create(GENESIS))).toBe("remote-no-cas");
    expect(await bench.fs.readdir(`/m${i}/sub`)).toEqual([]);
  }
});

test("[REM23] what a crash left in tmp is removed after a day, younger things are not", async () => {
  const bench = new Bench({ links: true });
  await bench.founded();
  await bench.fs.writeFileNew("/vault/tmp/old", Uint8Array.of(1));
  await bench.fs.mkdir("/vault/tmp/old-probe");
  await bench.fs.mkdir("/vault/tmp/old-probe/contender");
  await bench.fs.writeFileNew("/vault/tmp/old-probe/contender/data", Uint8Array.of(1));
  bench.time += 23 * 3_600_000;
  await bench.fs.writeFileNew("/vault/tmp/young", Uint8Array.of(1));
  await bench.device().prepare();
  expect((await bench.fs.readdir("/vault/tmp")).length).toBe(3);
  bench.time += 2 * 3_600_000;
  await bench.device().prepare();
  expect(await bench.fs.readdir("/vault/tmp")).toEqual(["young"]);
});

test("[REM23] a tmp that somebody removed is made again", async () => {
  const bench = new Bench();
  const remote = await bench.founded();
  await remote.append([sealed("one")], seen(0));
  await bench.fs.rmdir("/vault/tmp");
  expect(await remote.append([sealed("two")], seen(1))).toEqual({ kind: "committed", first: 2 });
});

test("[REM16] nothing is made where the folder or its parent is missing, or where another layout is", async () => {
  const bench = new Bench();
  const lost = bench.device({}, { directory: "/absent/vault" });
  expect((await lost.create(GENESIS)).kind).toBe("unreachable");
  const empty = bench.device();
  for (const result of [
    await empty.read(0, want),
    await empty.genesis(),
    await empty.append([sealed("x")], seen(0)),
    await empty.prepare(),
  ]) {
    expect(result.kind).toBe("unreachable");
  }
  expect(await bench.fs.readdir("/")).toEqual([]);
  await bench.founded();
  await bench.fs.unlink("/vault/remote");
  await bench.fs.writeFileNew("/vault/remote", sealed("tidelock folder 2 link\n"));
  expect((await bench.device().append([sealed("x")], seen(0))).kind).toBe("corrupt");
});

test("[REM24] errors of the file system have their own answers, and nothing is placed", async () => {
  const answers = {
    ENOSPC: "quota",
    EDQUOT: "quota",
    EACCES: "denied",
    EROFS: "denied",
    EMFILE: "busy",
    EIO: "unreachable",
    ESTALE: "unreachable",
  };
  for (const [code, kind] of Object.entries(answers)) {
    const bench = new Bench();
    let fail: DiskCall["op"] | undefined;
    const remote = await bench.founded({ before: (call) => (call.op === fail ? code : undefined) });
    await remote.append([sealed("one")], seen(0));
    fail = "writeFileNew";
    expect([code, (await remote.append([sealed("two")], seen(1))).kind]).toEqual([code, kind]);
    expect([code, (await remote.putBlob(sha256(sealed("x")), sealed("x"))).kind]).toEqual([code, kind]);
    fail = "readFile";
    expect([code, (await remote.read(0, want)).kind]).toEqual([code, kind]);
    fail = undefined;
    expect(await remote.read(0, want)).toMatchObject({ kind: "ok", value: { head: 1 } });
    expect(await bench.fs.readdir("/vault/tmp")).toEqual([]);
  }
});

test("[REM24] a full disk leaves nothing half placed, and takes up again when there is room", async () => {
  const bench = new Bench({ capacity: 2000 });
  const remote = await bench.founded();
  await bench.fs.writeFileNew("/ballast", new Uint8Array(1500));
  const large = new Uint8Array(900).fill(1) as ReturnType<typeof sealed>;
  expect((await remote.append([large], seen(0))).kind).toBe("quota");
  expect((await remote.putBlob(sha256(large), large)).kind).toBe("quota");
  expect(await remote.read(0, want)).toMatchObject({ kind: "ok", value: { objects: [], head: 0 } });
  await bench.fs.unlink("/ballast");
  expect(await remote.append([large], seen(0))).toEqual({ kind: "committed", first: 1 });
});

test("[REM25] an error that is none of the file system's comes out as it is", async () => {
  const bench = new Bench();
  await bench.founded();
  const bug = new TypeError("a fault of ours");
  const fs: Fs = { ...plain(bench.fs), stat: () => Promise.reject(bug), readFile: () => Promise.reject(bug) };
  await expect(bench.device({}, { fs }).read(0, want)).rejects.toBe(bug);
});

test("[REM26] the receive time is the store's, as far as its files show it", async () => {
  const timeOf = async (bench: Bench, remote: FolderRemote, seq: number): Promise<number> => {
    await remote.append([sealed(`frame ${seq}`)], seen(seq));
    const page = await bench.device().read(seq, want);
    const object = page.kind === "ok" ? page.value.objects[0] : undefined;
    return object?.kind === "page" ? (object.entries[0]?.time ?? -1) - START : -1;
  };
  const bench = new Bench();
  const remote = await bench.founded();
  bench.storeOffset = 2000;
  expect(await timeOf(bench, remote, 0)).toBe(0);
  // This device's clock jumps an hour ahead of the disk's.
  bench.time += 3_600_000;
  bench.storeOffset = -3_600_000;
  const jumped = bench.device({}, { clock: { now: () => bench.time, mono: () => 5 } });
  expect(await timeOf(bench, jumped, 1)).toBe(0);
  bench.storeOffset = 60_000;
  expect(await timeOf(bench, jumped, 2)).toBe(0);
  bench.time += 10_000;
  bench.storeOffset = -3_600_000;
  expect(await timeOf(bench, jumped, 3)).toBe(10_000);
});

test("[REM27] an idle poll costs three looks and no listing; a long pull lists now and then", async () => {
  const bench = new Bench();
  const calls: string[] = [];
  const writer = await bench.founded();
  for (let seq = 0; seq < 200; seq++) await writer.append([sealed(`frame ${seq}`)], seen(seq));
  const reader = bench.device({
    before: ({ op }) => {
      calls.push(op);
      bench.time++;
      return undefined;
    },
  });
  for (let after = 0; after < 200; ) {
    const page = await reader.read(after, { frames: 50, bytes: 1 << 20 });
    if (page.kind !== "ok") throw new Error(page.kind);
    after += page.value.objects.length;
  }
  expect(calls.filter((op) => op === "readdir").length).toBeLessThanOrEqual(4);
  expect(calls.length).toBeLessThan(240);
  for (let n = 0; n < 3; n++) {
    bench.time += 3000;
    await reader.read(200, want);
  }
  calls.length = 0;
  for (let n = 0; n < 10; n++) {
    bench.time += 3000;
    expect(await reader.read(200, want)).toEqual({ kind: "ok", value: { objects: [], head: 200 } });
  }
  expect(calls).toEqual(Array(10).fill(["readFile", "stat", "stat"]).flat());
  // A change of the same file time as the last look is not missed.
  await bench.fs.unlink("/vault/log/000000000200");
  bench.time += 3000;
  expect(await reader.read(200, want)).toMatchObject({ value: { objects: [], head: 199 } });
});

test("[REM14] a failed flush hands out nothing that the next boot takes back", async () => {
  const bench = new Bench();
  const writer = await bench.founded();
  await writer.append([sealed("one")], seen(0));
  // Published by somebody who never came to the sync.
  await bench.fs.writeFileNew(
    "/vault/tmp/x",
    (await bench.fs.readFile("/vault/log/000000000001", 999)).slice(),
  );
  let fail = true;
  const reader = bench.device({
    before: (call) => (fail && call.op === "syncDir" && call.path.endsWith("/log") ? "EIO" : undefined),
  });
  await bench.fs.link("/vault/tmp/x", "/vault/log/000000000002");
  expect((await reader.read(0, want)).kind).toBe("unreachable");
  fail = false;
  expect((await reader.read(0, want)).kind).toBe("unreachable");
  bench.disk.powerCut(() => 0.5, "lose-all");
  expect(await bench.device().read(0, want)).toMatchObject({ kind: "ok", value: { head: 1 } });
});
