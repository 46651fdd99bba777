/** Content on its way to a remote and back, over a remote that loses and alters what it keeps. */
import { beforeEach, describe, expect, test } from "vitest";
import { partOf } from "../../../testkit/src/blob-part.ts";
import { MapReplicaStore } from "../../../testkit/src/map-store.ts";
import { createFastSuite } from "../../../testkit/src/world/fast-suite.ts";
import { Stream } from "../../../testkit/src/world/random.ts";
import { concat, equalBytes, toHex } from "../bytes/bytes.ts";
import { CHUNK_OVERHEAD } from "../log/chunk.ts";
import type { Content } from "../log/content.ts";
import { cutSizes, type Gear } from "../log/cut.ts";
import { addPack, isStored, type Location, locate, locationSpaces } from "../log/locations.ts";
import { PACK_HEAD, type Pack } from "../log/pack.ts";
import { paddedLength } from "../log/plaintext.ts";
import { digestedSpaces, Tx } from "../log/tx.ts";
import { type FetchDeps, readContent, streamContent } from "./fetch-content.ts";
import { ContentPacker } from "./pack-content.ts";

/** Real libsodium seals content in the tests of `log/` and of the drive; here the bytes are many. */
const draws = new Stream(3n, "suite");
const suite = createFastSuite((n) => draws.bytes(n));
const vault = new Uint8Array(32).fill(1);
/** Cuts as soon as it may: many chunks of little content. */
const gear: Gear = new Uint32Array(256);
/** xorshift32: many bytes soon. */
function noise(n: number, seed = 1n): Uint8Array {
  const words = new Uint32Array(Math.ceil(n / 4));
  let x = Number(BigInt.asUintN(31, seed)) + 0x9e3779b9;
  for (let i = 0; i < words.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x;
  }
  return new Uint8Array(words.buffer, 0, n);
}

let blobs: Map<string, Uint8Array>;
let reads: number;
/** Bytes of each request. */
let asked: number[];
let store: MapReplicaStore;
let digest = 0n;
let deps: FetchDeps;

beforeEach(() => {
  blobs = new Map();
  reads = 0;
  asked = [];
  digest = 0n;
  store = new MapReplicaStore(locationSpaces.map(({ name }) => name));
  deps = {
    suite,
    vault,
    read: tx,
    spooled: () => undefined,
    remote: {
      getBlob: async (id, part) => {
        reads++;
        asked.push(part?.length ?? Number.NaN);
        return { kind: "ok", value: partOf(blobs.get(toHex(id)), part) };
      },
    },
  };
});

function tx<T>(work: (tx: Tx) => T): T {
  return store.transaction(() => {
    const one = new Tx(store, suite, digestedSpaces(locationSpaces), digest);
    const result = work(one);
    digest = one.digest;
    return result;
  });
}

function packer(): ContentPacker {
  const secret = { vault, content: new Uint8Array(32).fill(2) };
  const packOf = (address: Uint8Array): Uint8Array | undefined => tx((t) => locate(t, address)[0]?.pack);
  return new ContentPacker({ suite, secret, gear, packOf });
}

let seq = 0;
function place(packs: readonly Pack[]): void {
  for (const { stored, bytes } of packs) {
    blobs.set(toHex(stored.pack), bytes);
    tx((t) => addPack(t, stored, { time: ++seq, device: 1 }));
  }
}

function stored(bytes: Uint8Array, compress = true): Content {
  const one = packer();
  const content = one.add(bytes, compress);
  place(one.finish());
  return content;
}

const fetched = async (content: Content): Promise<string> => {
  const pieces: Uint8Array[] = [];
  const taken = await streamContent(deps, content, (bytes) => void pieces.push(bytes));
  return taken.kind === "ok" ? hashOf(concat(...pieces)) : taken.kind;
};

const hashOf = (bytes: Uint8Array): string => toHex(suite.sha256(bytes));

describe("content", () => {
  test("[CNT7, CNT8] of every size comes back as it was, small content without a request", async () => {
    const sizes = [0, 1, 16 << 10, (16 << 10) + 1, cutSizes.least, cutSizes.least + 1, 3 << 20];
    for (const size of sizes) {
      const bytes = noise(size, BigInt(size));
      const content = stored(bytes);
      expect(content.body.kind).toBe(size <= 16 << 10 ? "inline" : "chunks");
      expect(tx((t) => isStored(t, content))).toBe(true);
      const before = reads;
      expect(await fetched(content)).toBe(hashOf(bytes));
      expect(reads - before).toBe(content.body.kind === "inline" ? 0 : 1);
    }
  });

  test("[CNT7, CNT8] more than 64 chunks are named by a list that is content itself, with the packs it needs", async () => {
    const bytes = noise(66 * (cutSizes.least + 1));
    const content = stored(bytes, false);
    if (content.body.kind !== "manifest") throw new Error(content.body.kind);
    expect(content.body.addresses.length).toBe(1);
    // The list lies in a pack of its own: it could not name that one.
    expect(content.body.packs.length).toBe(blobs.size - 1);
    expect(tx((t) => isStored(t, content))).toBe(true);
    expect(await fetched(content)).toBe(hashOf(bytes));
    expect(reads).toBe(blobs.size);
  });

  test("[CNT7] a list names the packs that had its chunks when they were cut, whatever becomes of them meanwhile", () => {
    const bytes = noise(66 * (cutSizes.least + 1));
    const first = packer();
    first.add(bytes, false);
    const packs = first.finish();
    place(packs.slice(0, 1));
    const [before] = packs as [Pack];
    const asked = new Set<string>();
    const secret = { vault, content: new Uint8Array(32).fill(2) };
    const packOf = (address: Uint8Array): Uint8Array | undefined => {
      const isAgain = asked.has(toHex(address));
      asked.add(toHex(address));
      return isAgain ? undefined : tx((t) => locate(t, address)[0]?.pack);
    };
    const { body } = new ContentPacker({ suite, secret, gear, packOf }).add(bytes, false);
    if (body.kind !== "manifest") throw new Error(body.kind);
    expect(body.packs.map(toHex)).toContain(toHex(before.stored.pack));
  });

  test("[CNT1, CNT7] what comes in pieces is cut as if it came whole, and packs are handed over as they fill", () => {
    const bytes = noise(13 << 20);
    const whole = packer();
    const content = whole.add(bytes, false);
    const packs = whole.finish();
    for (const step of [700_001, 5 << 20]) {
      const one = packer();
      const writer = one.open(false);
      const filled: Pack[] = [];
      // One buffer for all pieces, as a reader of a file has it.
      const buffer = new Uint8Array(step);
      for (let at = 0; at < bytes.length; at += step) {
        const piece = bytes.subarray(at, at + step);
        buffer.set(piece);
        writer.push(buffer.subarray(0, piece.length));
        filled.push(...one.take());
      }
      expect(filled.length).toBeGreaterThan(0);
      expect(writer.done()).toEqual(content);
      filled.push(...one.finish());
      expect(filled.map(({ stored: { chunks } }) => chunks)).toEqual(
        packs.map(({ stored: { chunks } }) => chunks),
      );
    }
    const small = packer().open();
    for (const byte of [1, 2, 3]) small.push(Uint8Array.of(byte));
    expect(small.done().body).toEqual({ kind: "inline", bytes: Uint8Array.of(1, 2, 3) });
    expect(packer().open().done()).toEqual(packer().add(new Uint8Array(0)));
  });

  test("[CNT7] many small files share a pack, and what is known already is not sent again", () => {
    const one = packer();
    const files = Array.from({ length: 50 }, (_, i) => noise(20_000, BigInt(i)));
    const contents = files.map((bytes) => one.add(bytes));
    place(one.finish());
    expect(blobs.size).toBe(1);
    const two = packer();
    for (const bytes of files) two.add(bytes);
    two.add(files[0] as Uint8Array);
    expect(two.finish()).toEqual([]);
    expect(contents.every((content) => tx((t) => isStored(t, content)))).toBe(true);
    // A byte more at the end of a large one is one chunk more.
    const large = noise(5 << 20);
    stored(large, false);
    const three = packer();
    three.add(concat(large, Uint8Array.of(1)), false);
    const [pack] = three.finish();
    expect(pack?.stored.chunks.length).toBe(1);
  });
});

describe("parts of content", () => {
  const LENGTH = cutSizes.least + 1;
  const bytes = noise(70 * LENGTH);
  const part = async (content: Content, from: number, to: number): Promise<Uint8Array> => {
    const pieces: Uint8Array[] = [];
    const taken = await readContent(deps, content, { from, to }, (piece) => void pieces.push(piece));
    expect(taken.kind).toBe("ok");
    return concat(...pieces);
  };

  test("[CNT9] any range is read, and only the pieces that it lies in", async () => {
    const content = stored(bytes.subarray(0, 10 * LENGTH), false);
    for (const [from, to] of [
      [0, 1],
      [LENGTH - 1, LENGTH + 1],
      [3 * LENGTH, 4 * LENGTH],
      [5 * LENGTH + 7, 9 * LENGTH + 1],
      [10 * LENGTH - 1, 10 * LENGTH],
      [0, 10 * LENGTH],
    ] as const) {
      asked = [];
      expect(equalBytes(await part(content, from, to), bytes.subarray(from, to))).toBe(true);
      const pieces = Math.ceil(to / LENGTH) - Math.floor(from / LENGTH);
      expect(asked).toEqual([pieces * (LENGTH + CHUNK_OVERHEAD)]);
    }
  });

  test("[CNT9] also of content whose pieces are named by a list; neighbours come in one request", async () => {
    const content = stored(bytes, false);
    expect(content.body.kind).toBe("manifest");
    asked = [];
    const [from, to] = [30 * LENGTH + 5, 33 * LENGTH];
    expect(equalBytes(await part(content, from, to), bytes.subarray(from, to))).toBe(true);
    // The list, and the pieces: two requests where they lie in two packs.
    expect(asked.length).toBeLessThanOrEqual(3);
  });

  test("[CNT8] a piece that came damaged is read once more", async () => {
    const content = stored(bytes.subarray(0, 3 * LENGTH), false);
    const { remote } = deps;
    let times = 0;
    deps = {
      ...deps,
      remote: {
        getBlob: async (id, at) => {
          const got = await (remote as NonNullable<typeof remote>).getBlob(id, at);
          if (got.kind !== "ok" || ++times > 1) return got;
          const value = (got.value as Uint8Array).slice();
          value[2 * LENGTH + 100] = (value[2 * LENGTH + 100] as number) ^ 1;
          return { kind: "ok", value };
        },
      },
    };
    expect(await fetched(content)).toBe(hashOf(bytes.subarray(0, 3 * LENGTH)));
    expect(times).toBe(2);
  });

  test("[CNT9] who says that a piece has another length cannot move what is read", async () => {
    const content = stored(bytes.subarray(0, 4 * LENGTH), false);
    const [first] = (content.body as { readonly addresses: readonly Uint8Array[] }).addresses;
    const { record } = tx((t) => locate(t, first as Uint8Array))[0] as Location;
    const liar = { ...record, plain: record.plain - 9, length: record.length - 9 };
    const size = paddedLength(PACK_HEAD + liar.length);
    for (const name of [0, 0xff]) {
      const pack = new Uint8Array(32).fill(name);
      tx((t) => addPack(t, { pack, size, chunks: [liar] }, { time: ++seq, device: 1 }));
    }
    const [from, to] = [LENGTH + 3, 2 * LENGTH];
    expect(equalBytes(await part(content, from, to), bytes.subarray(from, to))).toBe(true);
    expect(await fetched(content)).toBe(hashOf(bytes.subarray(0, 4 * LENGTH)));
  });
});

describe("a remote that is not to be trusted", () => {
  const bytes = noise(400_000);

  test("[CNT8] altered, cut, swapped and missing packs give nothing out", async () => {
    const content = stored(bytes);
    const [name] = [...blobs.keys()];
    const whole = blobs.get(name as string) as Uint8Array;
    const other = whole.slice();
    other[100_000] = (other[100_000] as number) ^ 1;
    for (const lie of [other, whole.subarray(0, 1000), new Uint8Array(0), noise(whole.length)]) {
      blobs.set(name as string, lie);
      expect(await fetched(content)).toBe("damaged");
    }
    blobs.clear();
    expect(await fetched(content)).toBe("damaged");
    blobs.set(name as string, whole);
    expect(await fetched(content)).toBe(hashOf(bytes));
  });

  test("[CNT8] a chunk that lies in two packs is read from the one that is whole", async () => {
    const one = packer();
    const content = one.add(bytes);
    const first = one.finish();
    const two = packer();
    two.add(bytes);
    place(first);
    place(two.finish());
    for (const name of blobs.keys()) {
      const whole = blobs.get(name) as Uint8Array;
      blobs.set(name, new Uint8Array(whole.length));
      expect(await fetched(content)).toBe(hashOf(bytes));
      blobs.set(name, whole);
    }
  });

  test("[CNT8] chunks of the right names in another order, or one too many, are not the content", async () => {
    const content = stored(noise(3 * (cutSizes.least + 1)), false);
    if (content.body.kind !== "chunks") throw new Error(content.body.kind);
    const [a, b, c] = content.body.addresses as [Uint8Array, Uint8Array, Uint8Array];
    for (const addresses of [
      [b, a, c],
      [a, b],
      [a, b, c, a],
      [a, a, a],
    ])
      expect(await fetched({ ...content, body: { kind: "chunks", addresses } })).toBe("damaged");
  });

  test("[CNT8] while it does not answer, that is what is said; what waits to be sent is read here", async () => {
    const one = packer();
    const content = one.add(bytes);
    const packs = one.finish();
    place(packs);
    deps = { ...deps, remote: { getBlob: async () => ({ kind: "unreachable", why: "gone" }) } };
    expect(await fetched(content)).toBe("unreachable");
    const [pack] = packs as [Pack];
    deps = { ...deps, spooled: (id) => (toHex(id) === toHex(pack.stored.pack) ? pack.bytes : undefined) };
    expect(await fetched(content)).toBe(hashOf(bytes));
    deps = { ...deps, remote: undefined, spooled: () => undefined };
    expect(await fetched(content)).toBe("damaged");
  });
});
