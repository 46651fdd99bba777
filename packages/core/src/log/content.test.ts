import { describe, expect, test } from "vitest";
import { Stream } from "../../../testkit/src/world/random.ts";
import { concat, toHex } from "../bytes/bytes.ts";
import { decodeWith } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import { createPortableSuite } from "../crypto/sodium-portable.ts";
import { CHUNK_OVERHEAD, type ChunkRecord, openChunk, sealChunk } from "./chunk.ts";
import { cutLength, cutSizes, gearOf } from "./cut.ts";
import {
  offsetsOf,
  PACK_HEAD,
  PackBuilder,
  packLimits,
  readStored,
  type Stored,
  writeStored,
} from "./pack.ts";
import { paddedLength } from "./plaintext.ts";

const suite = await createPortableSuite();
const gear = gearOf(suite, new Uint8Array(32).fill(1));
const secret = { vault: new Uint8Array(32).fill(2), content: new Uint8Array(32).fill(3) };
const noise = (n: number, seed = 1n): Uint8Array => new Stream(seed, "content").bytes(n);
const text = new Uint8Array(100_000).fill(97);

function cut(bytes: Uint8Array, by = gear): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += (chunks.at(-1) as Uint8Array).length)
    chunks.push(bytes.subarray(at, at + cutLength(by, bytes.subarray(at, at + cutSizes.most))));
  return chunks;
}

describe("cutting", () => {
  const large = noise(24 << 20);

  test("[CNT1] the pieces are the whole, and of the sizes that are said", () => {
    const pieces = cut(large);
    expect(toHex(suite.sha256(...pieces))).toBe(toHex(suite.sha256(large)));
    const sized = pieces.slice(0, -1);
    for (const { length } of sized) {
      expect(length).toBeGreaterThan(cutSizes.least);
      expect(length).toBeLessThanOrEqual(cutSizes.most);
    }
    const average = large.length / pieces.length;
    expect(average).toBeGreaterThan(0.8 * cutSizes.normal);
    expect(average).toBeLessThan(1.6 * cutSizes.normal);
    for (const n of [0, 1, cutSizes.least]) expect(cutLength(gear, noise(n))).toBe(n);
    // Where no cut comes by itself.
    expect(cutLength(gear, new Uint8Array(cutSizes.most + 1))).toBe(cutSizes.most);
  });

  test("[CNT1] one byte more moves few cuts, and another vault cuts elsewhere", () => {
    const names = (bytes: Uint8Array, by = gear): Set<string> =>
      new Set(cut(bytes, by).map((piece) => toHex(suite.sha256(piece))));
    const before = names(large);
    for (const at of [0, 5_000_000, 12_345_678, large.length - 1]) {
      const after = names(concat(large.subarray(0, at), Uint8Array.of(7), large.subarray(at)));
      expect([...after].filter((name) => !before.has(name)).length).toBeLessThanOrEqual(2);
    }
    const other = names(large, gearOf(suite, new Uint8Array(32).fill(9)));
    expect([...other].filter((name) => before.has(name))).toEqual([]);
  });

  test("[CNT1] golden", () => {
    expect(
      cut(large)
        .map((piece) => piece.length)
        .slice(0, 6),
    ).toEqual([1149522, 998792, 1071243, 940757, 1372667, 1109600]);
  });
});

describe("chunks", () => {
  const opened = (record: ChunkRecord, bytes: Uint8Array, vault = secret.vault): string => {
    const result = openChunk(suite, vault, record, bytes);
    return result.kind === "ok" ? toHex(suite.sha256(result.plain)) : result.why;
  };

  test("[CNT2] open to what was sealed, compressed where that helps", () => {
    for (const [plain, compress, codec] of [
      [text, true, "deflate"],
      [text, false, "stored"],
      [noise(100_000), true, "stored"],
      [noise(10), true, "stored"],
    ] as const) {
      const { record, bytes } = sealChunk(suite, secret, plain, compress);
      expect(record.codec).toBe(codec);
      expect(opened(record, bytes)).toBe(toHex(suite.sha256(plain)));
      if (codec === "stored") expect(bytes.length).toBe(plain.length + CHUNK_OVERHEAD);
    }
  });

  test("[CNT2] noise is known by how often each byte comes; what repeats itself or is even is no noise", () => {
    const calls: number[] = [];
    const counted = {
      ...suite,
      deflate: (bytes: Uint8Array): Uint8Array => {
        calls.push(bytes.length);
        return suite.deflate(bytes);
      },
    };
    const once = noise(1024, 1n);
    const codecs = [
      noise(4096, 2n),
      concat(once, once, once, once),
      Uint8Array.from({ length: 4096 }, (_, i) => i),
    ].map((plain) => sealChunk(counted, secret, plain, true).record.codec);
    expect(codecs).toEqual(["stored", "deflate", "deflate"]);
    expect(calls).toHaveLength(2);
  });

  test("[CNT2] the same content is the same chunk in one vault, and another in any other", () => {
    const id = (with_: typeof secret, plain = text): string =>
      toHex(sealChunk(suite, with_, plain, true).record.id);
    expect(id(secret)).toBe(id(secret));
    const others = [
      { ...secret, vault: new Uint8Array(32) },
      { ...secret, content: new Uint8Array(32) },
    ];
    for (const other of others) expect(id(other)).not.toBe(id(secret));
    // Compressed or not, the bytes that are encrypted have a key of their own.
    const [a, b] = [true, false].map((compress) => sealChunk(suite, secret, text, compress).record);
    expect(toHex(a?.key as Uint8Array)).not.toBe(toHex(b?.key as Uint8Array));
  });

  test("[CNT3] any byte changed, cut or added, another key, vault or record: nothing is given out", () => {
    const { record, bytes } = sealChunk(suite, secret, text.subarray(0, 300), true);
    for (let at = 0; at < bytes.length; at++) {
      const other = bytes.slice();
      other[at] = (other[at] as number) ^ 1;
      expect(opened(record, other)).toBe("blob-hash");
      // Also where the log names what was changed.
      expect(opened({ ...record, id: suite.sha256(other) }, other)).toBe("chunk-open");
    }
    for (const other of [bytes.subarray(1), concat(bytes, Uint8Array.of(0)), new Uint8Array(0)])
      expect(opened(record, other)).toBe("blob-length");
    expect(opened({ ...record, key: new Uint8Array(32) }, bytes)).toBe("chunk-open");
    expect(opened(record, bytes, new Uint8Array(32))).toBe("chunk-open");
    for (const plain of [299, 301, cutSizes.most])
      expect(opened({ ...record, plain }, bytes)).toBe("chunk-open");
    expect(opened({ ...record, plain: cutSizes.most + 1 }, bytes)).toBe("blob-length");
    expect(opened({ ...record, codec: "stored" }, bytes)).toBe("chunk-open");
  });
});

describe("packs", () => {
  const builder = (): PackBuilder => new PackBuilder(suite);
  const encode = (stored: Stored): Uint8Array => {
    const w = new Writer();
    writeStored(w, stored);
    return w.done();
  };
  const decode = (bytes: Uint8Array): Stored | null => decodeWith(bytes, readStored);

  test("[CNT4] every chunk lies where the record says, the pack is named by its hash, its length tells little", () => {
    const chunks = [text, noise(70_000), noise(5)].map((plain) => sealChunk(suite, secret, plain, true));
    const one = builder();
    for (const chunk of [...chunks, ...chunks]) expect(one.add(chunk)).toBe(false);
    const { stored, bytes } = one.done();
    expect(one.isEmpty).toBe(true);
    expect(toHex(stored.pack)).toBe(toHex(suite.sha256(bytes)));
    expect(stored.chunks.length).toBe(3);
    const used = chunks.reduce((sum, chunk) => sum + chunk.bytes.length, PACK_HEAD);
    expect([stored.size, bytes.length]).toEqual([paddedLength(used), paddedLength(used)]);
    for (const [i, at] of offsetsOf(stored).entries()) {
      const record = stored.chunks[i] as ChunkRecord;
      expect(openChunk(suite, secret.vault, record, bytes.subarray(at, at + record.length)).kind).toBe("ok");
    }
    const again = builder();
    for (const chunk of chunks) again.add(chunk);
    expect(toHex(again.done().stored.pack)).not.toBe(toHex(stored.pack));
  });

  test("[CNT4] is full at 8 MiB or 2,048 chunks", () => {
    const big = builder();
    const half = sealChunk(suite, secret, noise(4 << 20), false);
    expect(big.add(half)).toBe(false);
    expect(big.add(sealChunk(suite, secret, noise(4 << 20, 2n), false))).toBe(true);
    expect(big.done().bytes.length).toBeLessThanOrEqual(16 << 20);
    const many = builder();
    let full = false;
    for (let i = 0; i < packLimits.chunks; i++)
      full = many.add(sealChunk(suite, secret, Uint8Array.of(1, i >> 8, i & 255), false));
    expect(full).toBe(true);
  });

  test("[CNT4] a record is read as it was written, and one that cannot be a pack's is refused", () => {
    const pack = builder();
    pack.add(sealChunk(suite, secret, text, true));
    pack.add(sealChunk(suite, secret, noise(500), true));
    const { stored } = pack.done();
    expect(decode(encode(stored))).toEqual(stored);
    const [first, second] = stored.chunks as [ChunkRecord, ChunkRecord];
    const lies: readonly Stored[] = [
      { ...stored, size: stored.size + 1 },
      { ...stored, chunks: [] },
      { ...stored, chunks: [first] },
      { ...stored, chunks: [first, { ...second, plain: 501 }] },
      { ...stored, chunks: [{ ...first, plain: 0 }, second] },
      { ...stored, chunks: [{ ...first, plain: (4 << 20) + 1 }, second] },
      { ...stored, chunks: [{ ...first, length: CHUNK_OVERHEAD }, second] },
    ];
    for (const lie of lies) expect(decode(encode(lie))).toBeNull();
    const bytes = encode(stored);
    for (let n = 0; n < bytes.length; n++) expect(decode(bytes.subarray(0, n))).toBeNull();
  });
});
