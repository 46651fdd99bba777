import { concat, equalBytes } from "@tidelock/core/bytes/bytes";
import { kdfLabels } from "@tidelock/core/crypto/labels";
import type { Suite } from "@tidelock/core/crypto/suite";
import fc from "fast-check";
import { expect } from "vitest";
import type { SuiteCheck } from "./suite-contract.ts";

const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
const nonce = fc.uint8Array({ minLength: 24, maxLength: 24 });
const text = fc.uint8Array({ maxLength: 300 });
const length = fc.integer({ min: 16, max: 64 });
const none = new Uint8Array(0);
const cheap = { memoryMiB: 1, passes: 1 };

/** What every suite does, also one without strength. */
export const propertyChecks: readonly SuiteCheck[] = [
  {
    title: "[CRY1] what was sealed opens, and is 16 bytes longer",
    check: ({ suite }) =>
      holds(fc.tuple(key, nonce, text, text), ([k, n, aad, plain]) => {
        const sealed = suite.aeadSeal(k, n, aad, plain);
        expect(sealed.length).toBe(plain.length + 16);
        expect(suite.aeadOpen(k, n, aad, sealed)).toEqual(plain);
      }),
  },
  {
    title: "[CRY1] nothing changed opens: ciphertext, tag, associated data, nonce, key, length",
    check: ({ suite }) =>
      holds(fc.tuple(key, nonce, text, text, fc.nat()), ([k, n, aad, plain, at]) => {
        const sealed = suite.aeadSeal(k, n, aad, plain);
        const open = suite.aeadOpen;
        expect(open(k, n, aad, flip(sealed, at))).toBeNull();
        expect(open(flip(k, at), n, aad, sealed)).toBeNull();
        expect(open(k, flip(n, at), aad, sealed)).toBeNull();
        if (aad.length > 0) expect(open(k, n, flip(aad, at), sealed)).toBeNull();
        expect(open(k, n, concat(aad, Uint8Array.of(0)), sealed)).toBeNull();
        expect(open(k, n, aad, concat(sealed, Uint8Array.of(0)))).toBeNull();
        expect(open(k, n, aad, sealed.subarray(0, at % sealed.length))).toBeNull();
      }),
  },
  {
    title: "[CRY2] a wrong length of our own is a RangeError",
    check: ({ suite }) => wrongLengths(suite),
  },
  {
    title: "[CRY2] hostile bytes of any length are refused without an exception",
    check: ({ suite }) =>
      holds(fc.tuple(text, key), ([bytes, seed]) => {
        const pair = suite.boxPair(seed);
        expect(suite.aeadOpen(seed, new Uint8Array(24), none, bytes)).toBeNull();
        expect(suite.openSealed(pair, bytes)).toBeNull();
        expect(suite.verify(bytes, none, suite.signPair(seed).publicKey)).toBe(false);
        const [signature, short] = [new Uint8Array(64), bytes.subarray(0, 31)];
        expect(suite.verify(signature, bytes, bytes)).toBe(false);
        expect(suite.validSignKey(short)).toBe(false);
        expect(suite.validBoxKey(short)).toBe(false);
        if (bytes.length !== 32) expect(suite.validBoxKey(bytes)).toBe(false);
        expect(suite.equal(bytes, concat(bytes, seed))).toBe(false);
      }),
  },
  {
    title: "[CRY3] kdf depends on key, label, data and length, and on nothing else",
    check: ({ suite }) =>
      holds(fc.tuple(key, text, length, fc.nat()), ([k, data, n, at]) => {
        const out = suite.kdf(k, kdfLabels.content, data, n);
        expect(out.length).toBe(n);
        expect(suite.kdf(k.slice(), kdfLabels.content, data.slice(), n)).toEqual(out);
        const others = [
          suite.kdf(flip(k, at), kdfLabels.content, data, n),
          suite.kdf(concat(k, Uint8Array.of(0)), kdfLabels.content, data, n),
          suite.kdf(k, kdfLabels.epochPrev, data, n),
          suite.kdf(k, kdfLabels.content, concat(data, Uint8Array.of(0)), n),
          suite.kdf(k, kdfLabels.content, data, n === 64 ? 63 : n + 1).subarray(0, n),
          suite.hash(data, n),
        ];
        if (data.length > 0) others.push(suite.kdf(k, kdfLabels.content, flip(data, at), n));
        for (const other of others) expect(other).not.toEqual(out);
      }),
  },
  {
    title: "[CRY3] the unkeyed hash depends on data and length",
    check: ({ suite }) =>
      holds(fc.tuple(text, length, fc.nat()), ([data, n, at]) => {
        const out = suite.hash(data, n);
        expect(out.length).toBe(n);
        expect(suite.hash(data.slice(), n)).toEqual(out);
        expect(suite.hash(concat(data, Uint8Array.of(0)), n)).not.toEqual(out);
        if (data.length > 0) expect(suite.hash(flip(data, at), n)).not.toEqual(out);
      }),
  },
  {
    title: "[CRY4] sha256 of parts, and of pieces, is that of their concatenation",
    check: ({ suite }) => {
      holds(fc.tuple(fc.array(text, { maxLength: 6 }), fc.nat()), ([parts, at]) => {
        const whole = concat(...parts);
        const digest = suite.sha256(whole);
        expect(digest.length).toBe(32);
        expect(suite.sha256(...parts)).toEqual(digest);
        expect(suite.sha256(whole, none)).toEqual(digest);
        const [one, other] = [suite.sha256Stream(), suite.sha256Stream()];
        for (const part of parts) {
          one.update(part);
          other.update(Uint8Array.of(at & 0xff));
        }
        expect(one.digest()).toEqual(digest);
        expect(suite.sha256(whole, Uint8Array.of(0))).not.toEqual(digest);
        if (whole.length > 0) expect(suite.sha256(flip(whole, at))).not.toEqual(digest);
      });
      const large = Uint8Array.from({ length: 70_000 }, (_, i) => i * 31);
      expect(suite.sha256(large.subarray(0, 33_333), large.subarray(33_333))).toEqual(suite.sha256(large));
    },
  },
  {
    title: "[CRY5] a signature holds for its message and key alone",
    check: ({ suite }) =>
      holds(fc.tuple(key, text, fc.nat()), ([seed, message, at]) => {
        const pair = suite.signPair(seed);
        expect(pair.secretKey).toEqual(concat(seed, pair.publicKey));
        expect(suite.validSignKey(pair.publicKey)).toBe(true);
        const signature = suite.sign(message, pair.secretKey);
        expect(suite.sign(message, pair.secretKey)).toEqual(signature);
        expect(suite.verify(signature, message, pair.publicKey)).toBe(true);
        expect(suite.verify(flip(signature, at), message, pair.publicKey)).toBe(false);
        expect(suite.verify(signature, message, flip(pair.publicKey, at))).toBe(false);
        expect(suite.verify(signature, concat(message, Uint8Array.of(0)), pair.publicKey)).toBe(false);
        if (message.length > 0)
          expect(suite.verify(signature, flip(message, at), pair.publicKey)).toBe(false);
        expect(suite.verify(concat(signature, Uint8Array.of(0)), message, pair.publicKey)).toBe(false);
        expect(suite.verify(signature.subarray(0, 63), message, pair.publicKey)).toBe(false);
      }),
  },
  {
    title: "[CRY6] a sealed box opens for its recipient alone, and never repeats",
    check: ({ suite }) =>
      holds(fc.tuple(key, key, text, fc.nat()), ([seed, other, plain, at]) => {
        fc.pre(!suite.equal(seed, other));
        const pair = suite.boxPair(seed);
        expect(suite.boxPair(seed)).toEqual(pair);
        expect(suite.validBoxKey(pair.publicKey)).toBe(true);
        const sealed = suite.sealTo(pair.publicKey, plain);
        expect(sealed.length).toBe(plain.length + 48);
        expect(suite.openSealed(pair, sealed)).toEqual(plain);
        expect(suite.sealTo(pair.publicKey, plain)).not.toEqual(sealed);
        expect(suite.openSealed(suite.boxPair(other), sealed)).toBeNull();
        expect(suite.openSealed(pair, sealed.subarray(0, at % sealed.length))).toBeNull();
        expect(suite.openSealed(pair, concat(sealed, Uint8Array.of(0)))).toBeNull();
        // X25519 ignores the top bit of a public key (RFC 7748, 5): but the nonce covers it.
        expect(suite.openSealed(pair, flip(sealed, at))).toBeNull();
      }),
  },
  {
    title: "[CRY6] a key that no box can be sealed to is refused on admission",
    check: ({ suite }) => {
      expect(suite.validBoxKey(new Uint8Array(32))).toBe(false);
      expect(suite.validSignKey(new Uint8Array(32))).toBe(false);
      expect(() => suite.sealTo(new Uint8Array(32), none)).toThrow(RangeError);
    },
  },
  {
    title: "[CRY7] Argon2id depends on password, salt, memory and passes",
    check: ({ suite }) => {
      const salt = Uint8Array.from({ length: 16 }, (_, i) => i);
      const password = Uint8Array.of(1, 2, 3);
      const out = suite.argon2id(password, salt, cheap);
      expect(out.length).toBe(32);
      expect(suite.argon2id(password.slice(), salt.slice(), { ...cheap })).toEqual(out);
      for (const other of [
        suite.argon2id(concat(password, Uint8Array.of(0)), salt, cheap),
        suite.argon2id(none, salt, cheap),
        suite.argon2id(password, flip(salt, 5), cheap),
        suite.argon2id(password, salt, { memoryMiB: 2, passes: 1 }),
        suite.argon2id(password, salt, { memoryMiB: 1, passes: 2 }),
      ])
        expect(other).not.toEqual(out);
    },
  },
  {
    title: "[CRY8] inflate gives back what was deflated",
    check: ({ suite }) => {
      const repeated = fc
        .tuple(text, fc.integer({ min: 1, max: 40 }))
        .map(([bytes, n]) => concat(...Array.from({ length: n }, () => bytes)));
      holds(repeated, (plain) => {
        expect(equalBytes(suite.inflate(suite.deflate(plain), plain.length) ?? none, plain)).toBe(true);
      });
      const large = Uint8Array.from({ length: 1 << 20 }, (_, i) => (i % 1000) * (i >> 12));
      // A plain comparison: the matcher walks a megabyte element by element, for seconds.
      expect(equalBytes(suite.inflate(suite.deflate(large), large.length) ?? none, large)).toBe(true);
    },
  },
  {
    title: "[CRY8] inflate refuses another length, a cut and a longer stream",
    check: ({ suite }) =>
      holds(fc.tuple(text, fc.nat()), ([plain, at]) => {
        const raw = suite.deflate(plain);
        expect(suite.inflate(raw, plain.length + 1)).toBeNull();
        if (plain.length > 0) expect(suite.inflate(raw, plain.length - 1)).toBeNull();
        if (plain.length > 0) expect(suite.inflate(raw, 0)).toBeNull();
        expect(suite.inflate(concat(raw, Uint8Array.of(0)), plain.length)).toBeNull();
        if (raw.length > 0) expect(suite.inflate(raw.subarray(0, at % raw.length), plain.length)).toBeNull();
      }),
  },
  {
    title: "[CRY8] a stated length that the input cannot give is refused before allocation",
    check: ({ suite }) => {
      const raw = suite.deflate(new Uint8Array(100));
      // The first would be an allocation of 8 PiB.
      for (const length of [Number.MAX_SAFE_INTEGER, 2 ** 31, 1 << 24])
        expect(suite.inflate(raw, length)).toBeNull();
      const zeros = suite.deflate(new Uint8Array(1 << 20));
      expect(suite.inflate(zeros, 1000)).toBeNull();
    },
  },
  {
    title: "[CRY9] outputs are fresh plain arrays, inputs stay as they were",
    check: ({ suite }) => freshOutputs(suite),
  },
  {
    title: "[CRY9] a view into a larger buffer is read as the bytes it shows",
    check: ({ suite }) =>
      holds(fc.tuple(key, text, fc.integer({ min: 1, max: 9 })), ([k, data, offset]) => {
        const view = (bytes: Uint8Array): Uint8Array => {
          const wide = new Uint8Array(bytes.length + 2 * offset).fill(0xa5);
          wide.set(bytes, offset);
          return wide.subarray(offset, offset + bytes.length);
        };
        const n = new Uint8Array(24);
        expect(suite.aeadSeal(view(k), view(n), view(data), view(data))).toEqual(
          suite.aeadSeal(k, n, data, data),
        );
        expect(suite.sha256(view(data), view(k))).toEqual(suite.sha256(data, k));
        expect(suite.hash(view(data), 32)).toEqual(suite.hash(data, 32));
        const pair = suite.signPair(view(k));
        const signature = suite.sign(view(data), view(pair.secretKey));
        expect(suite.verify(view(signature), view(data), view(pair.publicKey))).toBe(true);
        const raw = suite.deflate(view(data));
        expect(suite.inflate(view(raw), data.length)).toEqual(data);
        const target = view(k);
        suite.wipe(target);
        expect(target).toEqual(new Uint8Array(32));
        expect(new Uint8Array(target.buffer)[0]).toBe(0xa5);
      }),
  },
  {
    title: "[CRY10] random has the length asked for and does not repeat",
    check: ({ suite }) => {
      for (const n of [0, 1, 7, 16, 1000]) expect(suite.random(n).length).toBe(n);
      const seen = new Set(Array.from({ length: 100 }, () => suite.random(16).join()));
      expect(seen.size).toBe(100);
    },
  },
  {
    title: "[CRY10] equal and wipe",
    check: ({ suite }) =>
      holds(fc.tuple(text, fc.nat()), ([bytes, at]) => {
        expect(suite.equal(bytes, bytes.slice())).toBe(true);
        if (bytes.length > 0) expect(suite.equal(bytes, flip(bytes, at))).toBe(false);
        const secret = bytes.slice();
        suite.wipe(secret);
        expect(secret).toEqual(new Uint8Array(bytes.length));
      }),
  },
];

function holds<T>(arbitrary: fc.Arbitrary<T>, predicate: (value: T) => void): void {
  fc.assert(fc.property(arbitrary, predicate), { numRuns: 40 });
}

/** One bit of one byte changed, which one chosen by `at`. */
function flip(bytes: Uint8Array, at: number): Uint8Array {
  const out = bytes.slice();
  const i = at % out.length;
  out[i] = (out[i] as number) ^ (1 << (at % 8));
  return out;
}

function wrongLengths(suite: Suite): void {
  const [k, n, short, long] = [32, 24, 15, 65].map((size) => new Uint8Array(size)) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  const sign = suite.signPair(k);
  const box = suite.boxPair(k);
  const salt = new Uint8Array(16);
  const calls: readonly (() => unknown)[] = [
    () => suite.aeadSeal(short, n, none, none),
    () => suite.aeadSeal(k, short, none, none),
    () => suite.aeadOpen(long, n, none, long),
    () => suite.aeadOpen(k, k, none, long),
    () => suite.kdf(short, kdfLabels.content, none, 32),
    () => suite.kdf(long, kdfLabels.content, none, 32),
    () => suite.kdf(k, kdfLabels.content, none, 15),
    () => suite.kdf(k, kdfLabels.content, none, 65),
    () => suite.hash(none, 65),
    () => suite.hash(none, 15),
    () => suite.hash(none, 16.5),
    () => suite.signPair(short),
    () => suite.sign(none, k),
    () => suite.boxPair(long),
    () => suite.sealTo(short, none),
    () => suite.openSealed({ ...box, secretKey: short }, new Uint8Array(80)),
    () => suite.openSealed({ ...box, publicKey: sign.secretKey }, new Uint8Array(80)),
    () => suite.argon2id(none, short, cheap),
    () => suite.argon2id(none, salt, { memoryMiB: 0, passes: 1 }),
    () => suite.argon2id(none, salt, { memoryMiB: 2048, passes: 1 }),
    () => suite.argon2id(none, salt, { memoryMiB: 1.5, passes: 1 }),
    () => suite.argon2id(none, salt, { memoryMiB: 1, passes: 0 }),
    () => suite.argon2id(none, salt, { memoryMiB: 1, passes: 11 }),
    () => suite.random(-1),
    () => suite.random(0.5),
    () => suite.inflate(none, -1),
    () => suite.inflate(none, Number.NaN),
  ];
  for (const [i, call] of calls.entries()) expect(call, `call ${i}`).toThrow(RangeError);
}

function freshOutputs(suite: Suite): void {
  const seed = Uint8Array.from({ length: 32 }, (_, i) => i + 1);
  const plain = Uint8Array.from({ length: 100 }, (_, i) => i % 7);
  const n = seed.subarray(0, 24);
  const aad = seed.subarray(3, 9);
  const before = concat(seed, plain);
  const sign = suite.signPair(seed);
  const box = suite.boxPair(seed);
  const sealed = suite.aeadSeal(seed, n, aad, plain);
  const outputs: Record<string, () => Uint8Array | null> = {
    random: () => suite.random(32),
    aeadSeal: () => suite.aeadSeal(seed, n, aad, plain),
    aeadOpen: () => suite.aeadOpen(seed, n, aad, sealed),
    kdf: () => suite.kdf(seed, kdfLabels.content, plain, 32),
    hash: () => suite.hash(plain, 32),
    sha256: () => suite.sha256(plain, seed),
    sha256One: () => suite.sha256(plain),
    signPublic: () => suite.signPair(seed).publicKey,
    signSecret: () => suite.signPair(seed).secretKey,
    sign: () => suite.sign(plain, sign.secretKey),
    boxPublic: () => suite.boxPair(seed).publicKey,
    boxSecret: () => suite.boxPair(seed).secretKey,
    sealTo: () => suite.sealTo(box.publicKey, plain),
    openSealed: () => suite.openSealed(box, suite.sealTo(box.publicKey, plain)),
    argon2id: () => suite.argon2id(plain, seed.subarray(0, 16), cheap),
    deflate: () => suite.deflate(plain),
    inflate: () => suite.inflate(suite.deflate(plain), plain.length),
  };
  for (const [name, make] of Object.entries(outputs)) {
    const first = make() as Uint8Array;
    expect(Object.getPrototypeOf(first), name).toBe(Uint8Array.prototype);
    const kept = first.slice();
    // Whoever gets an output may change it: neither an input nor a later output is the same memory.
    make()?.fill(0xee);
    expect(first, name).toEqual(kept);
    first.fill(0xdd);
    expect(concat(seed, plain), name).toEqual(before);
  }
}
