import { deflateSync } from "fflate";
import { concat } from "../bytes/bytes.ts";
import { inflateExact } from "./inflate.ts";
import { withCtx } from "./labels.ts";
import {
  type HashStream,
  needCost,
  needCount,
  needKdfKey,
  needLength,
  needOutput,
  type RawSuite,
  type Suite,
  sizes,
} from "./suite.ts";

/** Below this, one copy is cheaper than the three calls of a streamed hash. Bytes, measured. */
const STREAM_FROM = 16 << 10;

/** Suite 1 on libsodium in WebAssembly: the browser's, and wherever the native build is missing. */
export async function createPortableSuite(): Promise<Suite> {
  return (await createPortable()).suite;
}

export async function createPortable(): Promise<{ suite: Suite; raw: RawSuite }> {
  // Loaded on call: a host with the native library never pays for the WebAssembly module.
  const { default: sodium } = await import("libsodium-wrappers-sumo");
  await sodium.ready;

  const raw: RawSuite = {
    argon2id: (password, salt, memoryBytes, passes, length) =>
      sodium.crypto_pwhash(length, password, salt, passes, memoryBytes, sodium.crypto_pwhash_ALG_ARGON2ID13),
    x25519(secretKey, publicKey) {
      try {
        return sodium.crypto_scalarmult(secretKey, publicKey);
      } catch {
        // Lengths are the caller's: what is left is an all-zero result.
        return null;
      }
    },
  };

  const sha256Stream = (): HashStream => {
    const state = sodium.crypto_hash_sha256_init();
    return {
      update(bytes) {
        sodium.crypto_hash_sha256_update(state, bytes);
      },
      digest: () => sodium.crypto_hash_sha256_final(state),
    };
  };

  const suite: Suite = {
    id: 1,
    name: `libsodium-wrappers-sumo (libsodium ${sodium.sodium_version_string()})`,
    random(n) {
      needCount(n);
      return sodium.randombytes_buf(n);
    },
    aeadSeal(key, nonce, aad, plain) {
      needLength("key", key, sizes.key);
      needLength("nonce", nonce, sizes.nonce);
      return sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(plain, aad, null, nonce, key);
    },
    aeadOpen(key, nonce, aad, sealed) {
      needLength("key", key, sizes.key);
      needLength("nonce", nonce, sizes.nonce);
      if (sealed.length < sizes.tag) return null;
      try {
        return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(null, sealed, aad, nonce, key);
      } catch {
        return null;
      }
    },
    kdf(key, label, data, length) {
      needKdfKey(key);
      needOutput(length);
      return sodium.crypto_generichash(length, withCtx(label, data), key);
    },
    hash(data, length) {
      needOutput(length);
      return sodium.crypto_generichash(length, data, null);
    },
    sha256(...parts) {
      if (parts.length === 1) return sodium.crypto_hash_sha256(parts[0] as Uint8Array);
      let total = 0;
      for (const part of parts) total += part.length;
      if (total < STREAM_FROM) return sodium.crypto_hash_sha256(concat(...parts));
      const stream = sha256Stream();
      for (const part of parts) stream.update(part);
      return stream.digest();
    },
    sha256Stream,
    signPair(seed) {
      needLength("seed", seed, sizes.seed);
      const pair = sodium.crypto_sign_seed_keypair(seed);
      return { publicKey: pair.publicKey, secretKey: pair.privateKey };
    },
    sign(message, secretKey) {
      needLength("secret key", secretKey, sizes.signSecretKey);
      return sodium.crypto_sign_detached(message, secretKey);
    },
    verify(signature, message, publicKey) {
      if (signature.length !== sizes.signature || publicKey.length !== sizes.publicKey) return false;
      return sodium.crypto_sign_verify_detached(signature, message, publicKey);
    },
    validSignKey(publicKey) {
      return publicKey.length === sizes.publicKey && sodium.crypto_core_ed25519_is_valid_point(publicKey);
    },
    validBoxKey(publicKey) {
      return publicKey.length === sizes.publicKey && raw.x25519(probeScalar(), publicKey) !== null;
    },
    boxPair(seed) {
      needLength("seed", seed, sizes.seed);
      const pair = sodium.crypto_box_seed_keypair(seed);
      return { publicKey: pair.publicKey, secretKey: pair.privateKey };
    },
    sealTo(recipientPublic, plain) {
      needLength("public key", recipientPublic, sizes.publicKey);
      try {
        return sodium.crypto_box_seal(plain, recipientPublic);
      } catch {
        throw new RangeError("public key was not admitted by validBoxKey");
      }
    },
    openSealed(pair, sealed) {
      needLength("public key", pair.publicKey, sizes.publicKey);
      needLength("secret key", pair.secretKey, sizes.boxSecretKey);
      if (sealed.length < sizes.seal) return null;
      try {
        return sodium.crypto_box_seal_open(sealed, pair.publicKey, pair.secretKey);
      } catch {
        return null;
      }
    },
    argon2id(password, salt, cost) {
      needLength("salt", salt, sizes.salt);
      needCost(cost);
      return raw.argon2id(password, salt, cost.memoryMiB << 20, cost.passes, sizes.key);
    },
    equal(a, b) {
      return a.length === b.length && sodium.memcmp(a, b);
    },
    wipe(buffer) {
      sodium.memzero(buffer);
    },
    deflate(plain) {
      return deflateSync(plain);
    },
    inflate(compressed, exactLength) {
      needCount(exactLength);
      return inflateExact(compressed, exactLength);
    },
  };
  return { suite, raw };
}

/** Any fixed scalar does: only whether the result is all zero is asked. */
function probeScalar(): Uint8Array {
  return new Uint8Array(32).fill(9);
}
