/** What the log says of packs, and what may be given up. */
import { describe, expect, test } from "vitest";
import { MapReplicaStore } from "../../../testkit/src/map-store.ts";
import { forSeeds } from "../../../testkit/src/suites/seeds.ts";
import { createFastSuite } from "../../../testkit/src/world/fast-suite.ts";
import { Stream } from "../../../testkit/src/world/random.ts";
import { toHex } from "../bytes/bytes.ts";
import { type ChunkSecret, type SealedChunk, sealChunk } from "./chunk.ts";
import type { Content } from "./content.ts";
import { createHousekeeping, encodeHousekeeping, type HousekeepingRecord } from "./housekeeping.ts";
import {
  isStored,
  locate,
  locateHeld,
  locationSpaces,
  PACK_KEPT,
  packOf,
  relyOn,
  standingOf,
} from "./locations.ts";
import { PACK_HEAD, PackBuilder, type Stored } from "./pack.ts";
import { digestedSpaces, Tx } from "./tx.ts";

let drawn = 0;
const suite = createFastSuite((n) => new Uint8Array(n).fill(++drawn));
const kind = createHousekeeping();
const secret: ChunkSecret = { vault: new Uint8Array(32), content: new Uint8Array(32) };
const chunk = (n: number): SealedChunk => sealChunk(suite, secret, new Uint8Array(10).fill(n), false);

function pack(...chunks: readonly SealedChunk[]): Stored {
  const builder = new PackBuilder(suite);
  for (const one of chunks) builder.add(one);
  return builder.done().stored;
}

function named(body: Content["body"]): Content {
  return { size: 10, hash: new Uint8Array(32), body };
}

const ofChunks = (...chunks: readonly SealedChunk[]): Content =>
  named({ kind: "chunks", addresses: chunks.map(({ record }) => record.id) });

class Log {
  readonly #store = new MapReplicaStore(locationSpaces.map((space) => space.name));
  #digest = 0n;
  #seq = 0;
  /** Log time. */
  time = 0;

  tx<T>(work: (tx: Tx) => T): T {
    return this.#store.transaction(() => {
      const tx = new Tx(this.#store, suite, digestedSpaces(locationSpaces), this.#digest);
      const result = work(tx);
      this.#digest = tx.digest;
      return result;
    });
  }

  say(...records: readonly HousekeepingRecord[]): void {
    const decoded = kind.decode(encodeHousekeeping(records));
    if (decoded === null) throw new Error("not decoded");
    this.tx((tx) =>
      kind.apply(tx, [decoded.value], { seq: ++this.#seq, time: this.time, device: 1, own: false }),
    );
  }

  stored(...packs: readonly Stored[]): void {
    this.say(...packs.map((stored) => ({ kind: "stored", stored }) as const));
  }

  /** When nothing is new any more. */
  condemn(...packs: readonly Stored[]): void {
    this.time += PACK_KEPT;
    this.say({ kind: "condemned", packs: packs.map((one) => one.pack) });
  }

  has(content: Content): boolean {
    return this.tx((tx) => isStored(tx, content));
  }

  get digest(): bigint {
    return this.#digest;
  }
}

describe("where content lies", () => {
  test("[CNT5] a chunk lies where the packs that hold it say, each once", () => {
    const log = new Log();
    const [a, b] = [chunk(1), chunk(2)];
    const [one, two] = [pack(a, b), pack(b)];
    log.stored(one, two);
    const places = log.tx((tx) => locate(tx, b.record.id));
    expect(places.map((place) => [toHex(place.pack), place.offset, place.record])).toEqual(
      [
        [toHex(one.pack), PACK_HEAD + a.bytes.length, b.record],
        [toHex(two.pack), PACK_HEAD, b.record],
      ].sort(([x], [y]) => ((x as string) < (y as string) ? -1 : 1)),
    );
    expect(log.tx((tx) => locate(tx, chunk(3).record.id))).toEqual([]);
  });

  test("[CNT5] content is there if all it names is, and a manifest's packs too", () => {
    const log = new Log();
    const [a, b] = [chunk(1), chunk(2)];
    const one = pack(a);
    const manifest = (packs: readonly Uint8Array[]): Content =>
      named({ kind: "manifest", addresses: [a.record.id], packs });
    expect(log.has(named({ kind: "inline", bytes: new Uint8Array(10) }))).toBe(true);
    expect(log.has(ofChunks(a))).toBe(false);
    log.stored(one);
    expect([log.has(ofChunks(a)), log.has(ofChunks(a, b))]).toEqual([true, false]);
    expect([log.has(manifest([one.pack])), log.has(manifest([pack(b).pack]))]).toEqual([true, false]);
  });

  test("[CNT5] said again it is only newer; a pack never holds anything else than was said first", () => {
    const log = new Log();
    const [a, b] = [chunk(1), chunk(2)];
    const one = pack(a);
    log.stored(one);
    const before = log.digest;
    log.stored({ ...one, chunks: [{ ...b.record, length: a.record.length }] });
    expect(log.digest).toBe(before);
    expect(log.has(ofChunks(b))).toBe(false);
    log.time = 1;
    log.stored(one);
    expect(log.tx((tx) => packOf(tx, one.pack))).toEqual(one);
    expect(log.digest).not.toBe(before);
  });
});

describe("what has no verdict yet", () => {
  test("[CNT5] is found where its run has put it, as long as that waits, and counts for nothing", () => {
    const log = new Log();
    const [a, b] = [chunk(1), chunk(2)];
    const one = pack(a, b);
    const places = (of: SealedChunk): readonly number[] =>
      log.tx((tx) => locateHeld(tx, of.record.id)).map((place) => place.offset);
    log.tx((tx) => kind.hold(tx, 7, [[{ kind: "stored", stored: one }], []]));
    log.tx((tx) => kind.hold(tx, 8, [[{ kind: "stored", stored: pack(b) }]]));
    expect([places(a), places(b).length]).toEqual([[PACK_HEAD], 2]);
    expect([log.has(ofChunks(a)), log.digest]).toEqual([false, 0n]);
    log.tx((tx) => kind.release(tx, 7));
    expect([places(a), places(b)]).toEqual([[], [PACK_HEAD]]);
  });
});

describe("what is given up", () => {
  test("[CNT6] is gone for ever: its chunks have no place there, and no record brings it back", () => {
    const log = new Log();
    const a = chunk(1);
    const [one, two] = [pack(a), pack(a)];
    log.stored(one);
    log.condemn(one);
    expect(log.has(ofChunks(a))).toBe(false);
    log.stored(one);
    expect(log.has(ofChunks(a))).toBe(false);
    log.stored(two);
    expect(log.has(ofChunks(a))).toBe(true);
  });

  test("[CNT6] not the only place of a chunk that content names, nor a pack that a manifest relies on", () => {
    const log = new Log();
    const [a, b] = [chunk(1), chunk(2)];
    const [one, two, three] = [pack(a), pack(a), pack(b)];
    log.stored(one, two, three);
    const manifest = named({ kind: "manifest", addresses: [b.record.id], packs: [two.pack, three.pack] });
    log.tx((tx) => {
      relyOn(tx, ofChunks(a), 1);
      relyOn(tx, ofChunks(a), 1);
      relyOn(tx, manifest, 1);
    });
    log.condemn(one, two, three);
    expect(log.tx((tx) => [one, two, three].map(({ pack }) => packOf(tx, pack) !== undefined))).toEqual([
      false,
      true,
      true,
    ]);
    log.tx((tx) => relyOn(tx, manifest, -1));
    log.condemn(two, three);
    expect(log.tx((tx) => [two, three].map(({ pack }) => packOf(tx, pack) !== undefined))).toEqual([
      true,
      false,
    ]);
    log.tx((tx) => {
      relyOn(tx, ofChunks(a), -1);
      relyOn(tx, ofChunks(a), -1);
    });
    log.condemn(two);
    expect(log.has(ofChunks(a))).toBe(false);
  });

  test("[CNT6] one without a record is gone before its record comes, and stays what it is said again", () => {
    const log = new Log();
    const one = pack(chunk(1));
    log.condemn(one);
    const { digest } = log;
    log.stored(one);
    log.condemn(one);
    expect(log.has(ofChunks(chunk(1)))).toBe(false);
    expect(log.digest).toBe(digest);
  });

  test("[CNT6] not what was recorded within 7 days of log time, by anybody, the last time", () => {
    const log = new Log();
    const one = pack(chunk(1));
    log.stored(one);
    log.time = PACK_KEPT - 1;
    log.say({ kind: "condemned", packs: [one.pack] });
    expect(log.has(ofChunks(chunk(1)))).toBe(true);
    log.stored(one);
    log.time += 1;
    log.say({ kind: "condemned", packs: [one.pack] });
    expect(log.has(ofChunks(chunk(1)))).toBe(true);
    expect(log.tx((tx) => standingOf(tx, one.pack))).toEqual({
      kind: "idle",
      time: PACK_KEPT - 1,
      device: 1,
    });
    log.condemn(one);
    expect(log.has(ofChunks(chunk(1)))).toBe(false);
    expect(log.tx((tx) => standingOf(tx, one.pack))).toEqual({ kind: "gone", seq: 5 });
  });
});

test("[CNT5, CNT6] stored, condemned, named and forgotten in any order: what something holds is always somewhere", async () => {
  await forSeeds(60, async (seed) => {
    const random = new Stream(BigInt(seed), "locations");
    const log = new Log();
    const chunks = Array.from({ length: 5 }, (_, n) => chunk(n));
    const packs = Array.from({ length: 8 }, () =>
      pack(...chunks.filter(() => random.int(0, 2) === 0), chunks[random.int(0, 4)] as SealedChunk),
    );
    const held: Content[] = [];
    for (let step = 0; step < 60; step++) {
      const some = packs.filter(() => random.int(0, 2) === 0);
      switch (random.int(0, 3)) {
        case 0:
          log.stored(...some);
          break;
        case 1:
          log.time += random.int(0, 1) * PACK_KEPT;
          log.say({
            kind: "condemned",
            packs: packs
              .map((one) => one.pack)
              .filter(() => random.int(0, 1) === 0)
              .concat(random.bytes(32)),
          });
          break;
        case 2: {
          const named = chunks.filter(() => random.int(0, 1) === 0).map(({ record }) => record.id);
          const content =
            random.int(0, 1) === 0
              ? { size: 10, hash: new Uint8Array(32), body: { kind: "chunks", addresses: named } as const }
              : {
                  size: 10,
                  hash: new Uint8Array(32),
                  body: { kind: "manifest", addresses: named, packs: some.map((one) => one.pack) } as const,
                };
          // As a change is judged: void where it is nowhere.
          if (!log.has(content)) break;
          log.tx((tx) => relyOn(tx, content, 1));
          held.push(content);
          break;
        }
        default:
          for (const one of held.splice(random.int(0, held.length), 1)) log.tx((tx) => relyOn(tx, one, -1));
      }
      for (const one of held) expect(log.has(one)).toBe(true);
    }
  });
});

describe("the section", () => {
  test("[CNT5] an empty one attests, and everything else has one encoding", () => {
    expect(kind.decode(new Uint8Array(0))).toEqual({ changes: 0, value: [] });
    const records: readonly HousekeepingRecord[] = [
      { kind: "stored", stored: pack(chunk(1), chunk(2)) },
      { kind: "condemned", packs: [new Uint8Array(32).fill(5)] },
    ];
    const bytes = encodeHousekeeping(records);
    expect(kind.decode(bytes)).toEqual({ changes: 2, value: records });
    for (let n = 1; n < bytes.length; n++) expect(kind.decode(bytes.subarray(0, n))).toBeNull();
    for (const other of [[2], [1, 0], [1, 1, 2], [1, 1, 1, 0], [1, 0xff, 0xff, 0x03]])
      expect(kind.decode(Uint8Array.from(other))).toBeNull();
  });
});
