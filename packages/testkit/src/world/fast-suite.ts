import { withCtx } from "@tidelock/core/crypto/labels";
import {
  needCost,
  needCount,
  needKdfKey,
  needLength,
  needOutput,
  type Suite,
  sizes,
} from "@tidelock/core/crypto/suite";

/** What separates one use of the hash from another. */
const use = {
  sha: 1,
  hash: 2,
  kdf: 3,
  signKey: 4,
  sign: 5,
  boxSecret: 6,
  boxKey: 7,
  boxSeal: 8,
  stream: 9,
  tag: 10,
  argon: 11,
} as const;

/**
 * A suite for simulated histories, under suite byte 0xff, which no release accepts. It keeps the
 * laws that code relies on (what was changed does not open, what another key made does not verify)
 * and has none of the strength: anyone who knows a public key can sign in its name, so a test
 * that plays an attacker must take a real suite.
 *
 * Its hash is MurmurHash3 x86_128 (Austin Appleby, public domain) under one key per use, drawn out
 * to the length asked for: 128 bits of state, enough that no two inputs of a simulation meet.
 */
export function createFastSuite(random: (n: number) => Uint8Array): Suite {
  const hasher = createHasher();
  const { start, absorb, absorbAll, finish } = hasher;

  function digest(purpose: number, length: number, ...parts: readonly Uint8Array[]): Uint8Array {
    start(purpose, length);
    absorbAll(parts);
    return finish(new Uint8Array(length), 0, length);
  }

  function seal(
    key: Uint8Array,
    nonce: Uint8Array,
    aad: Uint8Array,
    plain: Uint8Array,
    out: Uint8Array,
    at: number,
  ): void {
    const length = plain.length;
    hasher.stream(key, nonce, plain, out, at);
    start(use.tag, aad.length);
    absorb(key);
    absorb(nonce);
    absorb(aad);
    absorb(out.subarray(at, at + length));
    finish(out, at + length, sizes.tag);
  }

  function open(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | null {
    const length = sealed.length - sizes.tag;
    if (length < 0) return null;
    const cipher = sealed.subarray(0, length);
    start(use.tag, aad.length);
    absorb(key);
    absorb(nonce);
    absorb(aad);
    absorb(cipher);
    const tag = finish(new Uint8Array(sizes.tag), 0, sizes.tag);
    if (!same(tag, 0, sealed, length, sizes.tag)) return null;
    const plain = new Uint8Array(length);
    hasher.stream(key, nonce, cipher, plain, 0);
    return plain;
  }

  const noAad = new Uint8Array(0);
  const noNonce = new Uint8Array(sizes.nonce);

  return {
    id: 0xff,
    name: "fast (for tests: no security)",
    random(n) {
      needCount(n);
      return random(n);
    },
    aeadSeal(key, nonce, aad, plain) {
      needLength("key", key, sizes.key);
      needLength("nonce", nonce, sizes.nonce);
      const out = new Uint8Array(plain.length + sizes.tag);
      seal(key, nonce, aad, plain, out, 0);
      return out;
    },
    aeadOpen(key, nonce, aad, sealed) {
      needLength("key", key, sizes.key);
      needLength("nonce", nonce, sizes.nonce);
      return open(key, nonce, aad, sealed);
    },
    kdf(key, label, data, length) {
      needKdfKey(key);
      needOutput(length);
      return digest(use.kdf, length, padded(key), withCtx(label, data));
    },
    hash(data, length) {
      needOutput(length);
      return digest(use.hash, length, data);
    },
    sha256(...parts) {
      return digest(use.sha, sizes.digest, ...parts);
    },
    sha256Stream() {
      const parts: Uint8Array[] = [];
      return {
        update: (bytes) => void parts.push(bytes.slice()),
        digest: () => digest(use.sha, sizes.digest, ...parts),
      };
    },
    signPair(seed) {
      needLength("seed", seed, sizes.seed);
      const publicKey = digest(use.signKey, sizes.publicKey, seed);
      const secretKey = new Uint8Array(sizes.signSecretKey);
      secretKey.set(seed);
      secretKey.set(publicKey, sizes.seed);
      return { publicKey, secretKey };
    },
    sign(message, secretKey) {
      needLength("secret key", secretKey, sizes.signSecretKey);
      return digest(use.sign, sizes.signature, secretKey.subarray(sizes.seed), message);
    },
    verify(signature, message, publicKey) {
      if (signature.length !== sizes.signature || publicKey.length !== sizes.publicKey) return false;
      const expected = digest(use.sign, sizes.signature, publicKey, message);
      return same(expected, 0, signature, 0, sizes.signature);
    },
    validSignKey: admissible,
    validBoxKey: admissible,
    boxPair(seed) {
      needLength("seed", seed, sizes.seed);
      const secretKey = digest(use.boxSecret, sizes.boxSecretKey, seed);
      return { publicKey: digest(use.boxKey, sizes.publicKey, secretKey), secretKey };
    },
    sealTo(recipientPublic, plain) {
      needLength("public key", recipientPublic, sizes.publicKey);
      if (!admissible(recipientPublic)) throw new RangeError("public key was not admitted by validBoxKey");
      const ephemeral = random(sizes.key);
      const key = digest(use.boxSeal, sizes.key, ephemeral, recipientPublic);
      const out = new Uint8Array(plain.length + sizes.seal);
      out.set(ephemeral);
      seal(key, noNonce, noAad, plain, out, sizes.key);
      return out;
    },
    openSealed(pair, sealed) {
      needLength("public key", pair.publicKey, sizes.publicKey);
      needLength("secret key", pair.secretKey, sizes.boxSecretKey);
      if (sealed.length < sizes.seal) return null;
      const own = digest(use.boxKey, sizes.publicKey, pair.secretKey);
      if (!same(own, 0, pair.publicKey, 0, sizes.publicKey)) return null;
      const key = digest(use.boxSeal, sizes.key, sealed.subarray(0, sizes.key), own);
      return open(key, noNonce, noAad, sealed.subarray(sizes.key));
    },
    argon2id(password, salt, cost) {
      needLength("salt", salt, sizes.salt);
      needCost(cost);
      const numbers = Uint8Array.of(cost.memoryMiB >> 8, cost.memoryMiB, cost.passes);
      return digest(use.argon, sizes.key, salt, padded(numbers), password);
    },
    equal(a, b) {
      return a.length === b.length && same(a, 0, b, 0, a.length);
    },
    wipe(buffer) {
      buffer.fill(0);
    },
    deflate(plain) {
      return plain.slice();
    },
    inflate(raw, exactLength) {
      needCount(exactLength);
      return raw.length === exactLength ? raw.slice() : null;
    },
  };
}

function admissible(publicKey: Uint8Array): boolean {
  if (publicKey.length !== sizes.publicKey) return false;
  for (const b of publicKey) if (b !== 0) return true;
  return false;
}

function same(a: Uint8Array, atA: number, b: Uint8Array, atB: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[atA + i] !== b[atB + i]) return false;
  return true;
}

/** length ‖ bytes ‖ zeros to a whole block, so that what follows starts at a block. */
function padded(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array((bytes.length + 16) & ~15);
  out[0] = bytes.length;
  out.set(bytes, 1);
  return out;
}

interface Hasher {
  start(purpose: number, extra: number): void;
  /** The end of a call that is not a whole number of blocks is padded with zeros. */
  absorb(bytes: Uint8Array): void;
  /** As one `absorb` of the concatenation. */
  absorbAll(parts: readonly Uint8Array[]): void;
  finish(out: Uint8Array, at: number, length: number): Uint8Array;
  stream(key: Uint8Array, nonce: Uint8Array, input: Uint8Array, out: Uint8Array, at: number): void;
}

const C1 = 0x239b961b;
const C2 = 0xab0e9789;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93;

/** One state per suite, so that nothing is allocated but results: calls never nest or wait. */
function createHasher(): Hasher {
  let h1 = 0;
  let h2 = 0;
  let h3 = 0;
  let h4 = 0;
  let total = 0;
  let joined = new Uint8Array(1024);
  const last = new Uint8Array(16);

  function start(purpose: number, extra: number): void {
    h1 = purpose;
    h2 = extra;
    h3 = Math.imul(purpose, C3);
    h4 = Math.imul(extra, C4);
    total = 0;
  }

  function blocks(b: Uint8Array, end: number): void {
    let a1 = h1;
    let a2 = h2;
    let a3 = h3;
    let a4 = h4;
    for (let i = 0; i < end; i += 16) {
      let k1 = word(b, i);
      let k2 = word(b, i + 4);
      let k3 = word(b, i + 8);
      let k4 = word(b, i + 12);
      k1 = Math.imul(k1, C1);
      k1 = Math.imul((k1 << 15) | (k1 >>> 17), C2);
      a1 ^= k1;
      a1 = ((a1 << 19) | (a1 >>> 13)) + a2;
      a1 = (Math.imul(a1, 5) + 0x561ccd1b) | 0;
      k2 = Math.imul(k2, C2);
      k2 = Math.imul((k2 << 16) | (k2 >>> 16), C3);
      a2 ^= k2;
      a2 = ((a2 << 17) | (a2 >>> 15)) + a3;
      a2 = (Math.imul(a2, 5) + 0x0bcaa747) | 0;
      k3 = Math.imul(k3, C3);
      k3 = Math.imul((k3 << 17) | (k3 >>> 15), C4);
      a3 ^= k3;
      a3 = ((a3 << 15) | (a3 >>> 17)) + a4;
      a3 = (Math.imul(a3, 5) + 0x96cd1c35) | 0;
      k4 = Math.imul(k4, C4);
      k4 = Math.imul((k4 << 18) | (k4 >>> 14), C1);
      a4 ^= k4;
      a4 = ((a4 << 13) | (a4 >>> 19)) + a1;
      a4 = (Math.imul(a4, 5) + 0x32ac3b17) | 0;
    }
    h1 = a1;
    h2 = a2;
    h3 = a3;
    h4 = a4;
  }

  function absorbRange(bytes: Uint8Array, length: number): void {
    const whole = length & ~15;
    blocks(bytes, whole);
    if (whole < length) {
      last.fill(0);
      for (let i = whole; i < length; i++) last[i - whole] = bytes[i] as number;
      blocks(last, 16);
    }
    total = (total + length) | 0;
  }

  function absorb(bytes: Uint8Array): void {
    absorbRange(bytes, bytes.length);
  }

  function absorbAll(parts: readonly Uint8Array[]): void {
    if (parts.length === 1) {
      absorb(parts[0] as Uint8Array);
      return;
    }
    let length = 0;
    for (const part of parts) length += part.length;
    if (length > joined.length) joined = new Uint8Array(length * 2);
    let at = 0;
    for (const part of parts) {
      joined.set(part, at);
      at += part.length;
    }
    absorbRange(joined, length);
  }

  function mixed(): void {
    h1 ^= total;
    h2 ^= total;
    h3 ^= total;
    h4 ^= total;
    h1 = (h1 + h2 + h3 + h4) | 0;
    h2 = (h2 + h1) | 0;
    h3 = (h3 + h1) | 0;
    h4 = (h4 + h1) | 0;
    h1 = fmix(h1);
    h2 = fmix(h2);
    h3 = fmix(h3);
    h4 = fmix(h4);
    h1 = (h1 + h2 + h3 + h4) | 0;
    h2 = (h2 + h1) | 0;
    h3 = (h3 + h1) | 0;
    h4 = (h4 + h1) | 0;
  }

  /** xoshiro128 (Blackman and Vigna) from the mixed state: the next 32 bits. */
  function next(): number {
    const result = (Math.imul(rotated7(Math.imul(h2, 5)), 9) | 0) >>> 0;
    const t = h2 << 9;
    h3 ^= h1;
    h4 ^= h2;
    h2 ^= h3;
    h1 ^= h4;
    h3 ^= t;
    h4 = (h4 << 11) | (h4 >>> 21);
    return result;
  }

  function finish(out: Uint8Array, at: number, length: number): Uint8Array {
    mixed();
    // All four words of the state first: a 16 byte tag is then a bijection of it.
    const end = at + length;
    let i = at;
    for (let n = 0; i < end; n++) {
      const w = n === 0 ? h1 : n === 1 ? h2 : n === 2 ? h3 : n === 3 ? h4 : next();
      for (let b = 0; b < 4 && i < end; b++) out[i++] = w >>> (8 * b);
    }
    return out;
  }

  function stream(key: Uint8Array, nonce: Uint8Array, input: Uint8Array, out: Uint8Array, at: number): void {
    start(use.stream, 0);
    absorb(key);
    absorb(nonce);
    mixed();
    const length = input.length;
    for (let i = 0; i < length; i += 4) {
      const w = next();
      const end = i + 4 < length ? i + 4 : length;
      for (let j = i; j < end; j++) out[at + j] = (input[j] as number) ^ (w >>> (8 * (j & 3)));
    }
  }

  return { start, absorb, absorbAll, finish, stream };
}

function word(b: Uint8Array, i: number): number {
  return (
    (b[i] as number) |
    ((b[i + 1] as number) << 8) |
    ((b[i + 2] as number) << 16) |
    ((b[i + 3] as number) << 24)
  );
}

function rotated7(x: number): number {
  return (x << 7) | (x >>> 25);
}

function fmix(x: number): number {
  let h = x;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
