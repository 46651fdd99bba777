import { createHash, hash as hashOnce } from "node:crypto";
import { createRequire } from "node:module";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { withCtx } from "@tidelock/core/crypto/labels";
import {
  type HashStream,
  MAX_INFLATE_RATIO,
  needCost,
  needCount,
  needKdfKey,
  needLength,
  needOutput,
  type RawSuite,
  type Suite,
  sizes,
} from "@tidelock/core/crypto/suite";

/** What is used of sodium-native, which ships no types. Outputs are filled in place. */
interface Sodium {
  readonly crypto_pwhash_ALG_ARGON2ID13: number;
  randombytes_buf(out: Uint8Array): void;
  crypto_aead_xchacha20poly1305_ietf_encrypt(
    out: Uint8Array,
    plain: Uint8Array,
    aad: Uint8Array,
    none: null,
    nonce: Uint8Array,
    key: Uint8Array,
  ): number;
  crypto_aead_xchacha20poly1305_ietf_decrypt(
    out: Uint8Array,
    none: null,
    sealed: Uint8Array,
    aad: Uint8Array,
    nonce: Uint8Array,
    key: Uint8Array,
  ): number;
  crypto_generichash(out: Uint8Array, input: Uint8Array, key?: Uint8Array): void;
  crypto_sign_seed_keypair(pk: Uint8Array, sk: Uint8Array, seed: Uint8Array): void;
  crypto_sign_detached(out: Uint8Array, message: Uint8Array, sk: Uint8Array): void;
  crypto_sign_verify_detached(sig: Uint8Array, message: Uint8Array, pk: Uint8Array): boolean;
  crypto_core_ed25519_is_valid_point(pk: Uint8Array): boolean;
  crypto_scalarmult(out: Uint8Array, sk: Uint8Array, pk: Uint8Array): void;
  crypto_box_seed_keypair(pk: Uint8Array, sk: Uint8Array, seed: Uint8Array): void;
  crypto_box_seal(out: Uint8Array, plain: Uint8Array, pk: Uint8Array): void;
  crypto_box_seal_open(out: Uint8Array, sealed: Uint8Array, pk: Uint8Array, sk: Uint8Array): boolean;
  crypto_pwhash(
    out: Uint8Array,
    password: Uint8Array,
    salt: Uint8Array,
    passes: number,
    memoryBytes: number,
    algorithm: number,
  ): void;
  sodium_memcmp(a: Uint8Array, b: Uint8Array): boolean;
  sodium_memzero(buffer: Uint8Array): void;
}

/** Null where the library is not installed or does not load; `loadSuite` also tests it. */
export async function createNativeSuite(): Promise<Suite | null> {
  return createNative()?.suite ?? null;
}

export function createNative(): { suite: Suite; raw: RawSuite } | null {
  let sodium: Sodium;
  let version: string;
  try {
    const require = createRequire(import.meta.url);
    sodium = require("sodium-native") as Sodium;
    version = (require("sodium-native/package.json") as { version: string }).version;
  } catch {
    // An optional dependency: `loadSuite` reports that it is not there.
    return null;
  }
  return build(sodium, version);
}

function build(sodium: Sodium, version: string): { suite: Suite; raw: RawSuite } {
  const raw: RawSuite = {
    argon2id(password, salt, memoryBytes, passes, length) {
      const out = new Uint8Array(length);
      const algorithm = sodium.crypto_pwhash_ALG_ARGON2ID13;
      sodium.crypto_pwhash(out, password, salt, passes, memoryBytes, algorithm);
      return out;
    },
    x25519(secretKey, publicKey) {
      const out = new Uint8Array(32);
      try {
        sodium.crypto_scalarmult(out, secretKey, publicKey);
        return out;
      } catch {
        // Lengths are the caller's: what is left is an all-zero result.
        return null;
      }
    },
  };

  const sha256Stream = (): HashStream => {
    const state = createHash("sha256");
    return {
      update: (bytes) => void state.update(bytes),
      digest: () => plainBytes(state.digest()),
    };
  };

  const suite: Suite = {
    id: 1,
    name: `sodium-native ${version}`,
    random(n) {
      needCount(n);
      const out = new Uint8Array(n);
      sodium.randombytes_buf(out);
      return out;
    },
    aeadSeal(key, nonce, aad, plain) {
      needLength("key", key, sizes.key);
      needLength("nonce", nonce, sizes.nonce);
      const out = new Uint8Array(plain.length + sizes.tag);
      sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(out, plain, aad, null, nonce, key);
      return out;
    },
    aeadOpen(key, nonce, aad, sealed) {
      needLength("key", key, sizes.key);
      needLength("nonce", nonce, sizes.nonce);
      if (sealed.length < sizes.tag) return null;
      const out = new Uint8Array(sealed.length - sizes.tag);
      try {
        sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(out, null, sealed, aad, nonce, key);
        return out;
      } catch {
        return null;
      }
    },
    kdf(key, label, data, length) {
      needKdfKey(key);
      needOutput(length);
      const out = new Uint8Array(length);
      sodium.crypto_generichash(out, withCtx(label, data), key);
      return out;
    },
    hash(data, length) {
      needOutput(length);
      const out = new Uint8Array(length);
      sodium.crypto_generichash(out, data);
      return out;
    },
    sha256(...parts) {
      if (parts.length === 1) return plainBytes(hashOnce("sha256", parts[0] as Uint8Array, "buffer"));
      const stream = sha256Stream();
      for (const part of parts) stream.update(part);
      return stream.digest();
    },
    sha256Stream,
    signPair(seed) {
      needLength("seed", seed, sizes.seed);
      const pair = { publicKey: new Uint8Array(32), secretKey: new Uint8Array(64) };
      sodium.crypto_sign_seed_keypair(pair.publicKey, pair.secretKey, seed);
      return pair;
    },
    sign(message, secretKey) {
      needLength("secret key", secretKey, sizes.signSecretKey);
      const out = new Uint8Array(sizes.signature);
      sodium.crypto_sign_detached(out, message, secretKey);
      return out;
    },
    verify(signature, message, publicKey) {
      if (signature.length !== sizes.signature || publicKey.length !== sizes.publicKey) return false;
      return sodium.crypto_sign_verify_detached(signature, message, publicKey);
    },
    validSignKey(publicKey) {
      return publicKey.length === sizes.publicKey && sodium.crypto_core_ed25519_is_valid_point(publicKey);
    },
    validBoxKey(publicKey) {
      // Any fixed scalar does: only whether the result is all zero is asked.
      return (
        publicKey.length === sizes.publicKey && raw.x25519(new Uint8Array(32).fill(9), publicKey) !== null
      );
    },
    boxPair(seed) {
      needLength("seed", seed, sizes.seed);
      const pair = { publicKey: new Uint8Array(32), secretKey: new Uint8Array(32) };
      sodium.crypto_box_seed_keypair(pair.publicKey, pair.secretKey, seed);
      return pair;
    },
    sealTo(recipientPublic, plain) {
      needLength("public key", recipientPublic, sizes.publicKey);
      const out = new Uint8Array(plain.length + sizes.seal);
      try {
        sodium.crypto_box_seal(out, plain, recipientPublic);
      } catch {
        throw new RangeError("public key was not admitted by validBoxKey");
      }
      return out;
    },
    openSealed(pair, sealed) {
      needLength("public key", pair.publicKey, sizes.publicKey);
      needLength("secret key", pair.secretKey, sizes.boxSecretKey);
      if (sealed.length < sizes.seal) return null;
      const out = new Uint8Array(sealed.length - sizes.seal);
      return sodium.crypto_box_seal_open(out, sealed, pair.publicKey, pair.secretKey) ? out : null;
    },
    argon2id(password, salt, cost) {
      needLength("salt", salt, sizes.salt);
      needCost(cost);
      return raw.argon2id(password, salt, cost.memoryMiB * 2 ** 20, cost.passes, sizes.key);
    },
    equal(a, b) {
      return a.length === b.length && sodium.sodium_memcmp(a, b);
    },
    wipe(buffer) {
      sodium.sodium_memzero(buffer);
    },
    deflate(plain) {
      return plainBytes(deflateRawSync(plain));
    },
    inflate(compressed, exactLength) {
      needCount(exactLength);
      if (exactLength > compressed.length * MAX_INFLATE_RATIO) return null;
      return inflateExactly(compressed, exactLength);
    },
  };
  return { suite, raw };
}

/** With `info`, zlib also says how much input the stream took: what follows it is refused. */
function inflateExactly(compressed: Uint8Array, exactLength: number): Uint8Array | null {
  try {
    // One byte more than asked: zlib then sees the end of the stream without a second buffer.
    const options = { maxOutputLength: exactLength + 1, chunkSize: exactLength + 64, info: true };
    const { buffer, engine } = inflateRawSync(compressed, options) as unknown as {
      buffer: Buffer;
      engine: { bytesWritten: number };
    };
    if (buffer.length !== exactLength || engine.bytesWritten !== compressed.length) return null;
    return plainBytes(buffer);
  } catch {
    return null;
  }
}

/** The same memory as a plain `Uint8Array`, or a copy where it is a small part of a larger one. */
function plainBytes(buffer: Buffer): Uint8Array {
  if (buffer.length * 2 < buffer.buffer.byteLength) return new Uint8Array(buffer);
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}
