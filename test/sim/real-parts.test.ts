/** The disk and the cryptography of layer 3 are what ships; what a crash leaves of them is played. */
import { mkdirSync, mkdtempSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createPortableSuite } from "@tidelock/core/crypto/sodium-portable";
import { SPOOL } from "@tidelock/core/engine/spool";
import type { Disk } from "@tidelock/testkit/world/parts";
import { Stream } from "@tidelock/testkit/world/random";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { createRealParts } from "./real-parts.ts";
import { disks as memory } from "./scratch.ts";
import { createSqlDisks, type SqlDisks } from "./sql-disk.ts";

const SPACE = "x.rows";
const key = (n: number): Uint8Array => Uint8Array.of(n >> 8, n);
const value = (n: number): Uint8Array => new Uint8Array(3_000).fill(n);

let folder: string;
let disks: SqlDisks;
beforeEach(() => {
  mkdirSync(memory(), { recursive: true });
  folder = mkdtempSync(join(memory(), "disk-"));
  disks = createSqlDisks(folder);
});
afterEach(() => {
  disks.close();
  rmSync(folder, { recursive: true, force: true });
});
afterAll(() => {
  try {
    rmdirSync(memory());
  } catch {
    // Simulations of this process have theirs there, and take it away.
  }
});

function write({ store }: Disk, from: number, count: number): void {
  store.transaction(() => {
    for (let n = from; n < from + count; n++) store.put(SPACE, key(n), value(n));
  });
}

class Crash extends Error {}

/** The machine ends amid a transaction that writes `count` rows. */
function endAmid(disk: Disk, from: number, count: number, power: Stream | undefined): Disk {
  let found: ReturnType<Disk["end"]> | undefined;
  try {
    disk.store.transaction(() => {
      write(disk, from, count);
      found = disk.end(power);
      throw new Crash();
    });
  } catch (error) {
    if (!(error instanceof Crash)) throw error;
  }
  if (found === undefined) throw new Error("it did not end");
  return found.open();
}

describe("a replica of layer 3 after a crash", () => {
  test("holds every transaction that returned and nothing of the one under way, wherever its log was cut", () => {
    for (let seed = 1n; seed <= 12n; seed++) {
      const random = new Stream(seed, "crashes");
      let disk = disks.make([SPACE, SPOOL]);
      let rows = 0;
      for (let life = 0; life < 4; life++) {
        // Some of it is more than a checkpoint: then the log begins again over its old frames.
        const count = random.pick([1, 7, 40, 500]);
        write(disk, rows, count);
        rows += count;
        disk = endAmid(disk, rows, random.pick([1, 20]), random.chance(0.7) ? random : undefined);
        expect(disk.store.count(SPACE)).toBe(rows);
      }
      disk.end(undefined);
    }
  });

  test("an image stays what it was when it was taken, and opens more than once", () => {
    const disk = disks.make([SPACE, SPOOL]);
    write(disk, 0, 2);
    const image = disk.image();
    write(disk, 2, 2);
    expect([image, image].map((one) => one.open().store.count(SPACE))).toEqual([2, 2]);
    expect(disk.store.count(SPACE)).toBe(4);
  });

  test("what lies in files of its own is there with its row, and goes without it", () => {
    const large = new Uint8Array(5_000).fill(7);
    const disk = disks.make([SPACE, SPOOL]);
    disk.store.put(SPOOL, key(1), large);
    let found: ReturnType<Disk["end"]> | undefined;
    expect(() =>
      disk.store.transaction(() => {
        disk.store.put(SPOOL, key(2), large);
        found = disk.end(undefined);
        throw new Crash();
      }),
    ).toThrow(Crash);
    const again = found?.open();
    expect(again?.store.get(SPOOL, key(1))).toEqual(large);
    expect(again?.store.get(SPOOL, key(2))).toBeUndefined();
  });

  test("a full disk is SQLite's own answer, and it goes on once there is room", () => {
    const disk = disks.make([SPACE, SPOOL]);
    const free = disk.fill?.();
    expect(() => write(disk, 0, 500)).toThrow(expect.objectContaining({ code: "disk-full" }));
    free?.();
    expect(disk.store.count(SPACE)).toBe(0);
    write(disk, 0, 500);
    expect(disk.store.count(SPACE)).toBe(500);
  });

  test("commits that nobody flushed are lost, the newest first", () => {
    const counts = new Set<number>();
    for (let seed = 1n; seed <= 20n; seed++) {
      const disk = disks.make([SPACE, SPOOL]);
      disks.opened().at(-1)?.pragma("synchronous = NORMAL");
      for (let n = 0; n < 10; n++) write(disk, n, 1);
      const again = disk.end(new Stream(seed, "cut")).open();
      const there = again.store.count(SPACE);
      for (let n = 0; n < there; n++) expect(again.store.get(SPACE, key(n))).toEqual(value(n));
      counts.add(there);
      again.end(undefined);
    }
    expect(counts.size).toBeGreaterThan(3);
  });
});

describe("the cryptography of layer 3", () => {
  test("equal draws give equal envelopes, and both builds open them", async () => {
    const seeded = () => {
      const random = new Stream(7n, "envelopes");
      const parts = createRealParts();
      parts.close();
      return parts.suite((n) => random.bytes(n));
    };
    const [one, other, portable] = [seeded(), seeded(), await createPortableSuite()];
    const pair = portable.boxPair(new Uint8Array(32).fill(3));
    const plain = Uint8Array.of(1, 2, 3);
    const sealed = one.sealTo(pair.publicKey, plain);
    expect(sealed).toEqual(other.sealTo(pair.publicKey, plain));
    expect(sealed).not.toEqual(one.sealTo(pair.publicKey, plain));
    expect(portable.openSealed(pair, sealed)).toEqual(plain);
    expect(one.openSealed(pair, sealed)).toEqual(plain);
  });
});
