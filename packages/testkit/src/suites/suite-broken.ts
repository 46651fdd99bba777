import type { Suite } from "@tidelock/core/crypto/suite";

/** Suites with one fault each, made from a good one. The contract must fail every one of them. */
export const brokenSuites: readonly (readonly [fault: string, breakIt: (good: Suite) => Suite])[] = [
  [
    "ignores the associated data",
    (s) => ({
      ...s,
      aeadSeal: (key, nonce, _aad, plain) => s.aeadSeal(key, nonce, new Uint8Array(0), plain),
      aeadOpen: (key, nonce, _aad, sealed) => s.aeadOpen(key, nonce, new Uint8Array(0), sealed),
    }),
  ],
  [
    "takes ciphertext with bytes after it",
    (s) => ({
      ...s,
      aeadOpen(key, nonce, aad, sealed) {
        const whole = s.aeadOpen(key, nonce, aad, sealed);
        if (whole !== null || sealed.length < 17) return whole;
        return s.aeadOpen(key, nonce, aad, sealed.subarray(0, sealed.length - 1));
      },
    }),
  ],
  [
    "throws where it should refuse",
    (s) => ({
      ...s,
      aeadOpen(key, nonce, aad, sealed) {
        const plain = s.aeadOpen(key, nonce, aad, sealed);
        if (plain === null) throw new Error("could not verify data");
        return plain;
      },
    }),
  ],
  [
    "pads short keys",
    (s) => ({
      ...s,
      aeadSeal(key, nonce, aad, plain) {
        const padded = new Uint8Array(32);
        padded.set(key.subarray(0, 32));
        return s.aeadSeal(padded, nonce, aad, plain);
      },
    }),
  ],
  [
    "forgets the label",
    (s) => ({
      ...s,
      kdf: (key, _label, data, length) => s.kdf(key, "tl1/content", data, length),
    }),
  ],
  [
    "truncates one hash for all lengths",
    (s) => ({
      ...s,
      kdf: (key, label, data, length) => s.kdf(key, label, data, 64).slice(0, length),
    }),
  ],
  ["hashes only the first part", (s) => ({ ...s, sha256: (first = new Uint8Array(0)) => s.sha256(first) })],
  [
    "verifies anything of the right length",
    (s) => ({ ...s, verify: (signature) => signature.length === 64 }),
  ],
  [
    "takes a signature with bytes after it",
    (s) => ({
      ...s,
      verify: (signature, message, key) => s.verify(signature.subarray(0, 64), message, key),
    }),
  ],
  ["admits every signing key", (s) => ({ ...s, validSignKey: (key) => key.length === 32 })],
  ["admits every box key", (s) => ({ ...s, validBoxKey: (key) => key.length === 32 })],
  [
    "opens a box without looking who it is for",
    (s) => {
      let last: Uint8Array = new Uint8Array(0);
      return {
        ...s,
        sealTo(key, plain) {
          last = plain.slice();
          return s.sealTo(key, plain);
        },
        openSealed: (_pair, sealed) => (sealed.length === last.length + 48 ? last.slice() : null),
      };
    },
  ],
  [
    "always one pass",
    (s) => ({
      ...s,
      argon2id: (password, salt, cost) => s.argon2id(password, salt, { ...cost, passes: 1 }),
    }),
  ],
  [
    "compares prefixes",
    (s) => ({
      ...s,
      equal(a, b) {
        const n = Math.min(a.length, b.length);
        return s.equal(a.subarray(0, n), b.subarray(0, n));
      },
    }),
  ],
  ["wipes nothing", (s) => ({ ...s, wipe: () => undefined })],
  ["random repeats", (s) => ({ ...s, random: (n) => new Uint8Array(n) })],
  [
    "inflates up to the length",
    (s) => ({
      ...s,
      inflate(raw, exactLength) {
        for (let n = exactLength; n >= 0 && n > exactLength - 400; n--) {
          const plain = s.inflate(raw, n);
          if (plain !== null) return plain;
        }
        return null;
      },
    }),
  ],
  [
    "inflates with bytes after the stream",
    (s) => ({
      ...s,
      inflate: (raw, n) => s.inflate(raw, n) ?? s.inflate(raw.subarray(0, Math.max(0, raw.length - 1)), n),
    }),
  ],
  [
    "hands out its own buffer",
    (s) => {
      const scratch = new Uint8Array(32);
      return {
        ...s,
        sha256(...parts) {
          scratch.set(s.sha256(...parts));
          return scratch;
        },
      };
    },
  ],
  [
    "changes its input",
    (s) => ({
      ...s,
      hash(data, length) {
        const out = s.hash(data, length);
        data.fill(0);
        return out;
      },
    }),
  ],
];
