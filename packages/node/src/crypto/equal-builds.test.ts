import { concat, toHex } from "@tidelock/core/bytes/bytes";
import { kdfLabels, type Label } from "@tidelock/core/crypto/labels";
import { createPortable } from "@tidelock/core/crypto/sodium-portable";
import type { Suite } from "@tidelock/core/crypto/suite";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { createNative } from "./sodium-native.ts";

const native = createNative();
const fixed = (n: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: n, maxLength: n });
const text = fc.uint8Array({ maxLength: 2000 });
const none = new Uint8Array(0);

describe.skipIf(native === null)("the native and the portable build", () => {
  let both: readonly [Suite, Suite];
  beforeAll(async () => {
    both = [(native as { suite: Suite }).suite, (await createPortable()).suite];
  });

  /** The same answer of both, as text: bytes, null, a boolean, or the name of what was thrown. */
  function agree(ask: (suite: Suite) => Uint8Array | boolean | null): string {
    const [a, b] = both.map((suite) => {
      try {
        const answer = ask(suite);
        return answer instanceof Uint8Array ? toHex(answer) : String(answer);
      } catch (error) {
        return `throws ${(error as Error).name}: ${(error as Error).message}`;
      }
    });
    expect(a).toBe(b);
    return a as string;
  }

  test("[CRY20] give equal bytes", () => {
    const label = fc.constantFrom<Label>(...Object.values(kdfLabels));
    const length = fc.integer({ min: 14, max: 66 });
    fc.assert(
      fc.property(fixed(32), fixed(24), text, text, label, length, (key, nonce, a, b, l, n) => {
        agree((s) => s.aeadSeal(key, nonce, a, b));
        agree((s) => s.kdf(key, l, a, n));
        agree((s) => s.kdf(b, l, a, n));
        agree((s) => s.hash(a, n));
        agree((s) => s.sha256(a, b, key));
        agree((s) => s.signPair(key).publicKey);
        agree((s) => s.sign(a, s.signPair(key).secretKey));
        agree((s) => s.boxPair(key).secretKey);
        agree((s) => s.boxPair(key).publicKey);
      }),
      { numRuns: 60 },
    );
    agree((s) => s.argon2id(none, new Uint8Array(16), { memoryMiB: 1, passes: 3 }));
    agree((s) => s.argon2id(new Uint8Array(100), new Uint8Array(16), { memoryMiB: 9, passes: 1 }));
  });

  test("[CRY20] refuse alike: every bit of a signature, a box and a ciphertext", () => {
    const [key, nonce, message] = [32, 24, 45].map((n) => Uint8Array.from({ length: n }, (_, i) => i * 7));
    const [k, n, m] = [key as Uint8Array, nonce as Uint8Array, message as Uint8Array];
    const [first] = both;
    const sign = first.signPair(k);
    const box = first.boxPair(k);
    const sealed = first.aeadSeal(k, n, m, m);
    const signature = first.sign(m, sign.secretKey);
    const boxed = first.sealTo(box.publicKey, m);
    for (const bad of flips(sealed)) expect(agree((s) => s.aeadOpen(k, n, m, bad))).toBe("null");
    for (const bad of flips(boxed)) expect(agree((s) => s.openSealed(box, bad))).toBe("null");
    for (const bad of flips(signature)) expect(agree((s) => s.verify(bad, m, sign.publicKey))).toBe("false");
    for (const bad of flips(sign.publicKey)) {
      expect(agree((s) => s.verify(signature, m, bad))).toBe("false");
      agree((s) => s.validSignKey(bad));
      agree((s) => s.validBoxKey(bad));
    }
  });

  test("[CRY20] open what the other sealed", () => {
    for (const [one, other] of [both, [both[1], both[0]] as const]) {
      fc.assert(
        fc.property(fixed(32), text, (seed, plain) => {
          const pair = one.boxPair(seed);
          expect(other.openSealed(pair, one.sealTo(pair.publicKey, plain))).toEqual(plain);
          const sign = one.signPair(seed);
          expect(other.verify(one.sign(plain, sign.secretKey), plain, sign.publicKey)).toBe(true);
          const inflated = other.inflate(one.deflate(plain), plain.length);
          expect(inflated).toEqual(plain);
        }),
        { numRuns: 30 },
      );
    }
  });

  test("[CRY20] admit alike: random public keys, half of them no point of prime order", () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(fixed(32), (key) => {
        seen.add(agree((s) => s.validSignKey(key)));
        seen.add(agree((s) => s.validBoxKey(key)));
      }),
      { numRuns: 300 },
    );
    expect([...seen].sort()).toEqual(["false", "true"]);
  });

  test("[CRY8, CRY20] inflate alike: damaged streams of either compressor", () => {
    let refused = 0;
    fc.assert(
      fc.property(text, fc.nat(), fc.nat(), fc.boolean(), (plain, at, by, first) => {
        const raw = (first ? both[0] : both[1]).deflate(plain);
        raw[at % raw.length] = (raw[at % raw.length] as number) ^ (1 << (by % 8));
        for (const length of [plain.length, plain.length + 1])
          if (agree((s) => s.inflate(raw, length)) === "null") refused++;
        agree((s) => s.inflate(concat(raw, none, Uint8Array.of(by)), plain.length));
      }),
      { numRuns: 1500 },
    );
    expect(refused).toBeGreaterThan(500);
  });

  test("[CRY2, CRY20] complain alike about lengths of our own", () => {
    for (let n = 0; n < 70; n++) {
      const bytes = new Uint8Array(n);
      agree((s) => s.aeadSeal(bytes, new Uint8Array(24), none, none));
      agree((s) => s.aeadOpen(new Uint8Array(32), bytes, none, none));
      agree((s) => s.signPair(bytes).publicKey);
      agree((s) => s.boxPair(bytes).publicKey);
      agree((s) => s.sign(none, bytes));
      agree((s) => s.verify(bytes, none, bytes));
      agree((s) => s.validSignKey(bytes));
      agree((s) => s.validBoxKey(bytes));
      agree((s) => s.openSealed({ publicKey: bytes, secretKey: bytes }, bytes));
      if (n !== 16) agree((s) => s.argon2id(none, bytes, { memoryMiB: 1, passes: 1 }));
    }
    expect(agree((s) => s.sealTo(new Uint8Array(32), none))).toMatch(/^throws RangeError/);
  });
});

function flips(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: bytes.length * 8 }, (_, i) => {
    const out = bytes.slice();
    out[i >> 3] = (out[i >> 3] as number) ^ (1 << (i & 7));
    return out;
  });
}
