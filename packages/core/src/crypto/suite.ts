import type { Label } from "./labels.ts";

/** Sizes in bytes that every suite shares. */
export const sizes = {
  key: 32,
  nonce: 24,
  tag: 16,
  seed: 32,
  signature: 64,
  publicKey: 32,
  signSecretKey: 64,
  boxSecretKey: 32,
  /** What a sealed box adds: the ephemeral key and a tag. */
  seal: 48,
  salt: 16,
  digest: 32,
  /** BLAKE2b: shortest and longest output and key this project uses. */
  hashMin: 16,
  hashMax: 64,
} as const;

/** What Argon2id is called with: at least what a vector needs, at most what every library can. */
export const argonLimits = { memoryMiB: 1024, passes: 10 } as const;

/** Ed25519. The secret key is seed ‖ public key, 64 B. */
export interface SignPair {
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
}

/** X25519. Both halves are 32 B. */
export interface BoxPair {
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
}

export interface ArgonCost {
  readonly memoryMiB: number;
  readonly passes: number;
}

/**
 * All cryptography of the project goes through this door, synchronously. Two implementations of
 * suite 1 give equal bytes and equal refusals; `describeSuite` in the test kit is what entitles
 * code to use either.
 *
 * A wrong length or type of something of our own (key, nonce, seed, cost) is a programming error
 * and throws `RangeError`. Whatever can come from outside (ciphertext, signature, public key,
 * compressed bytes) is answered with `null` or `false`, never with an exception.
 *
 * Inputs are not kept and not changed; outputs are fresh `Uint8Array`s of their own (never a
 * Node `Buffer`, whose `slice` shares memory).
 */
export interface Suite {
  /** The suite byte of every object: 1. The test kit's fast suite is 0xff. */
  readonly id: number;
  /** For `doctor` and logs: the library and its version. */
  readonly name: string;
  random(n: number): Uint8Array;
  /** XChaCha20-Poly1305: ciphertext ‖ tag 16. Key 32 B, nonce 24 B. */
  aeadSeal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plain: Uint8Array): Uint8Array;
  aeadOpen(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | null;
  /** BLAKE2b(length, key, ctx(label) ‖ data); key and output 16 .. 64 B. */
  kdf(key: Uint8Array, label: Label, data: Uint8Array, length: number): Uint8Array;
  /** BLAKE2b without a key, 16 .. 64 B. */
  hash(data: Uint8Array, length: number): Uint8Array;
  /** SHA-256 of the concatenation. */
  sha256(...parts: readonly Uint8Array[]): Uint8Array;
  /** SHA-256 of what comes piece by piece. */
  sha256Stream(): HashStream;
  signPair(seed: Uint8Array): SignPair;
  sign(message: Uint8Array, secretKey: Uint8Array): Uint8Array;
  /**
   * Holds if S < L, R is not of small order and R's bytes equal enc([S]B − [k]A). Whether the key
   * is admissible at all is asked once, when it enters a vault: `validSignKey`.
   */
  verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean;
  /** A canonical encoding of a point of prime order. */
  validSignKey(publicKey: Uint8Array): boolean;
  /** X25519 with it gives a result that is not all zero, so a sealed box to it can be made. */
  validBoxKey(publicKey: Uint8Array): boolean;
  boxPair(seed: Uint8Array): BoxPair;
  /** X25519 sealed box, 48 B longer than `plain`. The key has passed `validBoxKey`. */
  sealTo(recipientPublic: Uint8Array, plain: Uint8Array): Uint8Array;
  openSealed(pair: BoxPair, sealed: Uint8Array): Uint8Array | null;
  /** Argon2id v1.3, one lane, 32 B out. Slow: runs in a worker, never on a UI thread. */
  argon2id(password: Uint8Array, salt: Uint8Array, cost: ArgonCost): Uint8Array;
  /** In constant time for equal lengths. */
  equal(a: Uint8Array, b: Uint8Array): boolean;
  /** Overwrites with zeros, best effort. */
  wipe(buffer: Uint8Array): void;
  /** Raw deflate (RFC 1951). Two libraries may compress differently. */
  deflate(plain: Uint8Array): Uint8Array;
  /**
   * The one raw deflate stream that fills `raw`, giving exactly `exactLength` bytes; null for
   * anything else. Never allocates more output than that. The caller bounds `exactLength` first.
   */
  inflate(raw: Uint8Array, exactLength: number): Uint8Array | null;
}

export interface HashStream {
  update(bytes: Uint8Array): void;
  /** Once: nothing follows it. */
  digest(): Uint8Array;
}

/** A raw deflate stream gives at most 258 B for two bits (RFC 1951, 3.2.5): more is refused unread. */
export const MAX_INFLATE_RATIO = 1032;

/** Throws for a length of our own that cannot be right. Names no value. */
export function needLength(what: string, bytes: Uint8Array, length: number): void {
  if (bytes.length !== length) throw new RangeError(`${what} is not ${length} bytes`);
}

export function needOutput(length: number): void {
  if (!Number.isInteger(length) || length < sizes.hashMin || length > sizes.hashMax)
    throw new RangeError("hash output is not 16 to 64 bytes");
}

export function needKdfKey(key: Uint8Array): void {
  if (key.length < sizes.hashMin || key.length > sizes.hashMax)
    throw new RangeError("key is not 16 to 64 bytes");
}

export function needCost(cost: ArgonCost): void {
  const { memoryMiB, passes } = cost;
  if (!Number.isInteger(memoryMiB) || memoryMiB < 1 || memoryMiB > argonLimits.memoryMiB)
    throw new RangeError("Argon2id memory is not 1 to 1024 MiB");
  if (!Number.isInteger(passes) || passes < 1 || passes > argonLimits.passes)
    throw new RangeError("Argon2id passes are not 1 to 10");
}

export function needCount(n: number): void {
  if (!Number.isSafeInteger(n) || n < 0) throw new RangeError("not a number of bytes");
}

/**
 * Two functions under a suite that its own calls narrow (Argon2id to MiB and 32 B, X25519 to
 * sealed boxes): published vectors can only be put to these. Used by tests.
 */
export interface RawSuite {
  argon2id(
    password: Uint8Array,
    salt: Uint8Array,
    memoryBytes: number,
    passes: number,
    length: number,
  ): Uint8Array;
  /** Null when the result is all zero. */
  x25519(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array | null;
}
