import { fromHex, toHex } from "../bytes/bytes.ts";
import { kdfLabels } from "./labels.ts";
import type { Suite } from "./suite.ts";

/**
 * Known answers of suite 1, one for every function. A library that loads may still be the wrong
 * one, or built for another processor. Takes a few milliseconds.
 *
 * Returns the name of the first function that is wrong, or null.
 */
export function selfTest(suite: Suite): keyof Suite | null {
  for (const [name, check] of checks) {
    try {
      if (!check(suite)) return name;
    } catch {
      return name;
    }
  }
  return null;
}

const key = count(32, 0);
const nonce = count(24, 32);
const aad = count(7, 64);
const plain = count(40, 128);

// The answers were computed by two builds of libsodium and agree with other implementations
// through the published vectors (see the suite contract in the test kit).
const sealed =
  "9dd8cf48ffb2920cb037da36c4ca8f5eadc443af4b06902279f8c6b293a4749d91e082e1654680a9e79a97a5720f41781782a7abdd11c146";
const signature =
  "f5ca5c86218ccbf0625bb125d1c5d6df101819b1d4da84eb731752428d89438a5a98463a0a1d5525b9a12098e010f430ac764bf80f5e1dc32371017ca813f00b";
const signKey = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
const boxKey = "4701d08488451f545a409fb58ae3e58581ca40ac3f7f114698cd71deac73ca01";
const boxSecret = "3d94eea49c580aef816935762be049559d6d1440dede12e6a125f1841fff8e6f";
const box =
  "91fc7152ebc4168b9dad1d464deb246f73387a5fbb6a8370d72cd72691c4a42d39a89ff3d3497eda2f2d2a7a3b57d70f74f105e48fe080ca59e673a107e94c984009e31cb71d8528ae8e2cb933f109d87cfc855662ce96bd";
const argon = "a4a318841b0bfb878439d8f99e3a78c235aefb766a5665dcd643f3199cec1e81";
/** 40 bytes 7: fixed Huffman codes, a match. */
const deflated = "6367270e0000";

const checks: readonly (readonly [keyof Suite, (s: Suite) => boolean])[] = [
  ["id", (s) => s.id === 1],
  ["random", (s) => s.random(32).length === 32 && !is(s.random(32), toHex(s.random(32)))],
  ["aeadSeal", (s) => is(s.aeadSeal(key, nonce, aad, plain), sealed)],
  [
    "aeadOpen",
    (s) =>
      is(s.aeadOpen(key, nonce, aad, bytes(sealed)), toHex(plain)) &&
      everyFlip(bytes(sealed), 11, (bad) => s.aeadOpen(key, nonce, aad, bad) === null) &&
      s.aeadOpen(key, nonce, plain, bytes(sealed)) === null &&
      s.aeadOpen(key, nonce, aad, aad) === null,
  ],
  [
    "kdf",
    (s) =>
      is(
        s.kdf(key, kdfLabels.content, aad, 56),
        "0682d7f3723316572eeb9c0f758a0137817738b809e37f0feb9fb5b30b8c514b764688910892a8d6b45010ee37ed68d0ad1e75d046a5f45f",
      ),
  ],
  ["hash", (s) => is(s.hash(plain, 24), "42b5f0bf5fd72ee2f3bd418f9e7c8bc3310f851b5e3af8a0")],
  [
    "sha256",
    (s) => {
      const digest = "410e1925d90a2fa4d7b4d57effe97c579e035009c89ed4ca41e992d296d73135";
      return is(s.sha256(plain), digest) && is(s.sha256(plain.slice(0, 9), plain.slice(9)), digest);
    },
  ],
  [
    "sha256Stream",
    (s) => {
      const stream = s.sha256Stream();
      stream.update(plain.slice(0, 9));
      stream.update(plain.slice(9));
      return is(stream.digest(), "410e1925d90a2fa4d7b4d57effe97c579e035009c89ed4ca41e992d296d73135");
    },
  ],
  [
    "signPair",
    (s) => {
      const pair = s.signPair(key);
      return is(pair.publicKey, signKey) && is(pair.secretKey, toHex(key) + signKey);
    },
  ],
  ["sign", (s) => is(s.sign(plain, bytes(toHex(key) + signKey)), signature)],
  [
    "verify",
    (s) =>
      s.verify(bytes(signature), plain, bytes(signKey)) &&
      everyFlip(bytes(signature), 13, (bad) => !s.verify(bad, plain, bytes(signKey))) &&
      !s.verify(bytes(signature), aad, bytes(signKey)) &&
      !s.verify(aad, plain, bytes(signKey)),
  ],
  [
    "validSignKey",
    (s) => s.validSignKey(bytes(signKey)) && !s.validSignKey(new Uint8Array(32)) && !s.validSignKey(aad),
  ],
  [
    "validBoxKey",
    (s) => s.validBoxKey(bytes(boxKey)) && !s.validBoxKey(new Uint8Array(32)) && !s.validBoxKey(aad),
  ],
  ["boxPair", (s) => is(s.boxPair(key).publicKey, boxKey) && is(s.boxPair(key).secretKey, boxSecret)],
  ["sealTo", (s) => s.sealTo(bytes(boxKey), plain).length === plain.length + 48],
  [
    "openSealed",
    (s) => {
      const pair = { publicKey: bytes(boxKey), secretKey: bytes(boxSecret) };
      return (
        is(s.openSealed(pair, bytes(box)), toHex(plain)) &&
        is(s.openSealed(pair, s.sealTo(bytes(boxKey), aad)), toHex(aad)) &&
        everyFlip(bytes(box), 17, (bad) => s.openSealed(pair, bad) === null) &&
        s.openSealed(pair, aad) === null
      );
    },
  ],
  ["argon2id", (s) => is(s.argon2id(plain, count(16, 0), { memoryMiB: 1, passes: 2 }), argon)],
  ["equal", (s) => s.equal(key, key.slice()) && !s.equal(key, count(32, 1)) && !s.equal(key, aad)],
  [
    "wipe",
    (s) => {
      const secret = key.slice();
      s.wipe(secret);
      return secret.every((b) => b === 0);
    },
  ],
  [
    "inflate",
    (s) =>
      is(s.inflate(bytes(deflated), 40), "07".repeat(40)) &&
      s.inflate(bytes(deflated), 39) === null &&
      s.inflate(bytes(deflated), 41) === null &&
      s.inflate(bytes(`${deflated}00`), 40) === null &&
      s.inflate(aad, 40) === null,
  ],
  // After `inflate`, which it leans on.
  ["deflate", (s) => is(s.inflate(s.deflate(plain), plain.length), toHex(plain))],
];

function is(actual: Uint8Array | null, hex: string): boolean {
  return actual !== null && toHex(actual) === hex;
}

/** `holds` for a bit flipped in every `step`-th byte. */
function everyFlip(good: Uint8Array, step: number, holds: (bad: Uint8Array) => boolean): boolean {
  for (let i = 0; i < good.length; i += step) {
    const bad = good.slice();
    bad[i] = (bad[i] as number) ^ (1 << (i % 8));
    if (!holds(bad)) return false;
  }
  return true;
}

function bytes(hex: string): Uint8Array {
  return fromHex(hex) as Uint8Array;
}

function count(n: number, from: number): Uint8Array {
  return Uint8Array.from({ length: n }, (_, i) => (from + i) & 0xff);
}
