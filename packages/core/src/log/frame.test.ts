import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fastKit } from "../../../testkit/src/vault-kit.ts";
import { concat } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { deviceKeys } from "../crypto/identity.ts";
import { createPortableSuite } from "../crypto/sodium-portable.ts";
import {
  encodeHeader,
  FRAME_OVERHEAD,
  type Frame,
  type FrameHeader,
  frameKey,
  openFrame,
  parseFrame,
  sealFrame,
  signFrame,
  verifyFrame,
} from "./frame.ts";

const suite = await createPortableSuite();
const fast = fastKit(1).suite;
const seed = (n: number): Uint8Array => new Uint8Array(32).fill(n);
const vault = seed(7);
const keys = deviceKeys(suite, { sign: seed(1), box: seed(2) });
const key = frameKey(suite, seed(9), vault, seed(3));
const plain = new Uint8Array(64).fill(5);
const header: FrameHeader = {
  suite: 1,
  kind: 1,
  flags: 0,
  epoch: 1,
  device: 3,
  deviceSeq: 300,
  anchorSeq: 70_000,
  anchor: seed(4),
  sealedAt: 1_700_000_000,
  nonce: new Uint8Array(24).fill(6),
};
const sealed = sealFrame(suite, vault, header, plain, key, keys.signSecret);

const huge = fc.oneof(fc.nat(300), fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER));
const anyHeader: fc.Arbitrary<FrameHeader> = fc.record({
  suite: fc.nat(255),
  kind: fc.constant(1),
  flags: fc.constantFrom(0, 1, 4, 5),
  epoch: huge,
  device: fc.nat(2 ** 32 - 1),
  deviceSeq: huge.map((n) => Math.max(1, n)),
  anchorSeq: huge,
  anchor: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  sealedAt: huge,
  nonce: fc.uint8Array({ minLength: 24, maxLength: 24 }),
});

/** A frame of any header and body, signed by nobody: what parsing looks at. */
function raw(h: FrameHeader, body: Uint8Array, claimed: number = body.length): Uint8Array {
  return concat(encodeHeader(h, claimed), body, new Uint8Array(64));
}

describe("frame", () => {
  test("[FRM1] every frame is read back as it was written", () => {
    fc.assert(
      fc.property(anyHeader, fc.uint8Array({ maxLength: 300 }), (h, body) => {
        const bytes = raw(h, body);
        const frame = parseFrame(bytes) as Frame;
        expect(frame).toMatchObject({ ...h, format: 1, body });
        expect(concat(frame.header, frame.body, frame.signature)).toEqual(bytes);
      }),
    );
  });

  test("[FRM1] what is read has one spelling: a mutant is refused, or is the encoding of what it says", () => {
    const change = fc.tuple(fc.nat(200), fc.nat(255));
    fc.assert(
      fc.property(
        anyHeader,
        fc.array(change, { maxLength: 4 }),
        fc.integer({ min: -3, max: 3 }),
        (h, changes, cut) => {
          const mutant = raw(h, new Uint8Array(20));
          for (const [at, to] of changes) mutant[at % mutant.length] = to;
          const bytes = cut > 0 ? mutant.slice(0, -cut) : concat(mutant, new Uint8Array(-cut));
          const frame = parseFrame(bytes);
          if (frame === null) return;
          const again = encodeHeader(frame, frame.body.length);
          again[0] = frame.format;
          expect(concat(again, frame.body, frame.signature)).toEqual(bytes);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test("[FRM1] kinds, flags, numbers and sizes outside their bounds are malformed", () => {
    const of = (over: Partial<FrameHeader>, body = new Uint8Array(20)): Frame | null =>
      parseFrame(raw({ ...header, ...over }, body));
    expect(of({})).not.toBeNull();
    for (const kind of [0, 3, 4, 15, 255]) expect(of({ kind }), `kind ${kind}`).toBeNull();
    for (const flags of [2, 3, 6, 7, 8, 128, 255]) expect(of({ flags }), `flags ${flags}`).toBeNull();
    for (const flags of [1, 4, 5]) expect(of({ kind: 2, flags }), `membership, flags ${flags}`).toBeNull();
    expect(of({ deviceSeq: 0 })).toBeNull();
    // A device index is kept in 32 bits: no number may stand for another one.
    expect(of({ device: 2 ** 32 - 1 })).not.toBeNull();
    for (const device of [2 ** 32, 2 ** 32 + 3, Number.MAX_SAFE_INTEGER]) expect(of({ device })).toBeNull();
    const room = limits.frame - raw(header, new Uint8Array(0)).length - 2;
    expect(of({}, new Uint8Array(room))?.body.length).toBe(room);
    expect(of({}, new Uint8Array(room + 1))).toBeNull();
    const roomOfMembers = limits.membershipFrame - raw(header, new Uint8Array(0)).length - 2;
    expect(of({ kind: 2 }, new Uint8Array(roomOfMembers))).not.toBeNull();
    expect(of({ kind: 2 }, new Uint8Array(roomOfMembers + 1))).toBeNull();
    // R9: a length far beyond the input.
    for (const claimed of [21, limits.frame, 2 ** 31, Number.MAX_SAFE_INTEGER])
      expect(parseFrame(raw(header, new Uint8Array(20), claimed))).toBeNull();
    for (const bytes of [new Uint8Array(0), Uint8Array.of(1), new Uint8Array(limits.frame + 1)])
      expect(parseFrame(bytes)).toBeNull();
  });

  test("[FRM1] the overhead is what a frame is longer than its plaintext, at most", () => {
    const most: FrameHeader = {
      ...header,
      epoch: Number.MAX_SAFE_INTEGER,
      device: 2 ** 32 - 1,
      deviceSeq: Number.MAX_SAFE_INTEGER,
      anchorSeq: Number.MAX_SAFE_INTEGER,
      sealedAt: Number.MAX_SAFE_INTEGER,
    };
    const long = new Uint8Array(limits.frame - FRAME_OVERHEAD);
    expect(sealFrame(suite, vault, most, long, key, keys.signSecret).length).toBeLessThanOrEqual(
      limits.frame,
    );
    // A lone small change: 64 bytes of plaintext in what a frame costs today.
    expect(sealed.length).toBe(64 + 16 + 64 + 4 + 1 + 1 + 2 + 3 + 5 + 32 + 24 + 1);
  });
});

describe("signature", () => {
  const holds = (bytes: Uint8Array, over: { vault?: Uint8Array; key?: Uint8Array } = {}): boolean => {
    const frame = parseFrame(bytes);
    return frame !== null && verifyFrame(suite, over.vault ?? vault, frame, over.key ?? keys.sign);
  };

  test("[FRM2] L5: holds for this vault and this device alone", () => {
    expect(holds(sealed)).toBe(true);
    expect(holds(sealed, { vault: seed(8) })).toBe(false);
    expect(holds(sealed, { key: deviceKeys(suite, { sign: seed(5), box: seed(2) }).sign })).toBe(false);
  });

  test("[FRM2] L1: changed in any bit it is signed by nobody", () => {
    for (let i = 0; i < sealed.length; i++) {
      const mutant = sealed.slice();
      mutant[i] = (mutant[i] as number) ^ (1 << (i % 8));
      expect(holds(mutant), `byte ${i}`).toBe(false);
    }
  });

  test("[FRM2] a signature made for another purpose does not pass for one of a frame", () => {
    const parsed = parseFrame(sealed) as Frame;
    for (const message of [
      sealed.slice(0, -64),
      concat(vault, parsed.header, parsed.body),
      suite.sha256(sealed),
    ]) {
      const forged = concat(sealed.slice(0, -64), suite.sign(message, keys.signSecret));
      expect(holds(forged)).toBe(false);
    }
  });
});

describe("body", () => {
  const open = (bytes: Uint8Array, over: { vault?: Uint8Array; key?: Uint8Array } = {}): Uint8Array | null =>
    openFrame(suite, over.vault ?? vault, parseFrame(bytes) as Frame, over.key ?? key);

  test("[FRM3] opens under the key of its epoch and device, for this vault", () => {
    expect(open(sealed)).toEqual(plain);
    expect(open(sealed, { vault: seed(8) })).toBeNull();
    expect(open(sealed, { key: frameKey(suite, seed(10), vault, seed(3)) })).toBeNull();
    expect(open(sealed, { key: frameKey(suite, seed(9), vault, seed(4)) })).toBeNull();
    expect(open(sealed, { key: frameKey(suite, seed(9), seed(8), seed(3)) })).toBeNull();
  });

  test("[FRM3] under another header, signed by the same device, it does not open", () => {
    const { body } = parseFrame(sealed) as Frame;
    const changes: Partial<FrameHeader>[] = [
      { flags: 1 },
      { epoch: 2 },
      { device: 4 },
      { deviceSeq: 301 },
      { anchorSeq: 70_001 },
      { anchor: seed(5) },
      { sealedAt: 1 },
      { nonce: new Uint8Array(24) },
    ];
    for (const over of changes) {
      const moved = signFrame(
        suite,
        vault,
        encodeHeader({ ...header, ...over }, body.length),
        body,
        keys.signSecret,
      );
      expect(verifyFrame(suite, vault, parseFrame(moved) as Frame, keys.sign)).toBe(true);
      expect(open(moved), JSON.stringify(over)).toBeNull();
    }
  });

  test("[FRM6] sealing again makes other bytes, and so another frame", () => {
    const again = (): Uint8Array =>
      sealFrame(suite, vault, { ...header, nonce: suite.random(24) }, plain, key, keys.signSecret);
    expect(again()).not.toEqual(again());
    expect(sealFrame(suite, vault, header, plain, key, keys.signSecret)).toEqual(sealed);
  });

  test("[FRM2, FRM3] the laws hold for the suite of simulated histories too", () => {
    const pair = deviceKeys(fast, { sign: seed(1), box: seed(2) });
    fc.assert(
      fc.property(anyHeader, fc.uint8Array({ maxLength: 200 }), fc.nat(), fc.nat(7), (h, text, at, bit) => {
        const bytes = sealFrame(fast, vault, h, text, key, pair.signSecret);
        const frame = parseFrame(bytes) as Frame;
        expect(verifyFrame(fast, vault, frame, pair.sign)).toBe(true);
        expect(openFrame(fast, vault, frame, key)).toEqual(text);
        const mutant = bytes.slice();
        mutant[at % mutant.length] = (mutant[at % mutant.length] as number) ^ (1 << bit);
        const parsed = parseFrame(mutant);
        expect(parsed !== null && verifyFrame(fast, vault, parsed, pair.sign)).toBe(false);
      }),
    );
  });
});
