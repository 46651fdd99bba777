import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { concat, fromHex, toHex } from "@tidelock/core/bytes/bytes";
import { expect } from "vitest";
import type { SuiteCheck, SuiteUnderTest } from "./suite-contract.ts";
import { golden } from "./suite-golden.ts";

/**
 * Published vectors: Wycheproof, CCTV and libsodium's own. They are read in place, from beside the
 * checkout, and a contract run without them says so. HMAC-SHA-256 and AES-GCM belong to
 * the bucket signer and to the browser's key store and are checked with those; HKDF, PBKDF2 and
 * the RFC 8439 ChaCha20 are not part of suite 1.
 */
const root = new URL("../../../../../shared/vectors/", import.meta.url);

interface Aead {
  readonly key: string;
  readonly iv: string;
  readonly aad: string;
  readonly msg: string;
  readonly ct: string;
  readonly tag: string;
  readonly result: string;
}

interface Xdh {
  readonly public: string;
  readonly private: string;
  readonly shared: string;
}

interface Wycheproof<Group> {
  readonly testGroups: readonly Group[];
}

export interface Published {
  readonly aead: Wycheproof<{ readonly tests: readonly Aead[] }>;
  readonly ed25519: Wycheproof<{
    readonly publicKey: { readonly pk: string };
    readonly tests: readonly { readonly msg: string; readonly sig: string; readonly result: string }[];
  }>;
  readonly x25519: Wycheproof<{ readonly tests: readonly Xdh[] }>;
  readonly cctv: readonly {
    readonly number: number;
    readonly key: string;
    readonly sig: string;
    readonly msg: string;
    readonly flags: readonly string[] | null;
  }[];
  readonly sodiumAead: {
    readonly vectors: readonly Readonly<Record<"key" | "nonce" | "aad" | "msg" | "ct_tag", string>>[];
  };
  readonly sodiumArgon: {
    readonly vectors: readonly {
      readonly password: string;
      readonly salt: string;
      readonly t: number;
      readonly mKiB: number;
      readonly tag: string;
    }[];
  };
}

export type PublishedVectors =
  | { readonly kind: "found"; readonly vectors: Published }
  | { readonly kind: "absent"; readonly why: string };

const files: Readonly<Record<keyof Published, string>> = {
  aead: "wycheproof/xchacha20_poly1305_test.json",
  ed25519: "wycheproof/ed25519_test.json",
  x25519: "wycheproof/x25519_test.json",
  cctv: "cctv/ed25519vectors.json",
  sodiumAead: "libsodium/aead_xchacha20poly1305.json",
  sodiumArgon: "libsodium/pwhash_argon2id.json",
};

export function loadPublished(directory: URL = root): PublishedVectors {
  const missing = Object.values(files).filter((file) => !existsSync(new URL(file, directory)));
  if (missing.length > 0) {
    return { kind: "absent", why: `not found: ${missing.join(", ")} under ${fileURLToPath(directory)}` };
  }
  const entries = Object.entries(files).map(([name, file]) => [
    name,
    JSON.parse(readFileSync(new URL(file, directory), "utf8")) as unknown,
  ]);
  return { kind: "found", vectors: Object.fromEntries(entries) as Published };
}

export function publishedChecks(v: Published): readonly SuiteCheck[] {
  return [
    {
      title: "[CRY1] Wycheproof XChaCha20-Poly1305: 315 of 315",
      check: (subject) => aead(subject, v.aead),
    },
    {
      title: "[CRY1] libsodium XChaCha20-Poly1305",
      check({ suite }) {
        for (const one of v.sodiumAead.vectors) {
          const [key, nonce, aad] = [hex(one.key), hex(one.nonce), hex(one.aad)];
          expect(toHex(suite.aeadSeal(key, nonce, aad, hex(one.msg)))).toBe(one.ct_tag);
          expect(suite.aeadOpen(key, nonce, aad, hex(one.ct_tag))).toEqual(hex(one.msg));
        }
        expect(v.sodiumAead.vectors.length).toBeGreaterThan(0);
      },
    },
    {
      title: "[CRY5] Wycheproof Ed25519: 151 of 151",
      check({ suite }) {
        let seen = 0;
        for (const { publicKey, tests } of v.ed25519.testGroups) {
          for (const { msg, sig, result } of tests) {
            const holds = suite.verify(hex(sig), hex(msg), hex(publicKey.pk));
            expect(holds, `${publicKey.pk} ${sig}`).toBe(result === "valid");
            seen++;
          }
        }
        expect(seen).toBe(151);
      },
    },
    {
      title: "[CRY5] CCTV: 914 of 914 edge cases as decided, 43 hold, one under an admissible key",
      check({ suite }) {
        const decided = golden<{ holds: number[]; admissible: number[] }>("cctv-decisions");
        const holds: number[] = [];
        const admissible: number[] = [];
        for (const { number, key, sig, msg } of v.cctv) {
          if (suite.verify(hex(sig), new TextEncoder().encode(msg), hex(key))) holds.push(number);
          if (suite.validSignKey(hex(key))) admissible.push(number);
        }
        expect(v.cctv.length).toBe(914);
        expect({ holds, admissible }).toEqual({ holds: decided.holds, admissible: decided.admissible });
        expect(holds.length).toBe(43);
        expect(holds.filter((n) => admissible.includes(n)).length).toBe(1);
      },
    },
    {
      title: "[CRY6] Wycheproof X25519: 518 of 518, 31 all-zero results refused",
      check: (subject) => x25519(subject, v.x25519),
    },
    {
      title: "[CRY7] libsodium Argon2id: 7 of 7",
      timeout: 60_000,
      check({ raw }) {
        expect(v.sodiumArgon.vectors.length).toBe(7);
        if (raw === undefined) return;
        for (const { password, salt, t, mKiB, tag } of v.sodiumArgon.vectors) {
          const out = raw.argon2id(hex(password), hex(salt), mKiB * 1024, t, tag.length / 2);
          expect(toHex(out)).toBe(tag);
        }
      },
    },
  ];
}

function aead({ suite }: SuiteUnderTest, { testGroups }: Published["aead"]): void {
  const none = new Uint8Array(0);
  let seen = 0;
  for (const one of testGroups.flatMap((group) => group.tests)) {
    seen++;
    const [key, nonce, aad] = [hex(one.key), hex(one.iv), hex(one.aad)];
    const sealed = concat(hex(one.ct), hex(one.tag));
    if (nonce.length !== 24) {
      // Lengths of nonces are fixed in every format of ours: another one is a programming error.
      expect(one.result).toBe("invalid");
      expect(() => suite.aeadOpen(key, nonce, aad, sealed)).toThrow(RangeError);
      expect(() => suite.aeadSeal(key, nonce, none, none)).toThrow(RangeError);
    } else if (one.result === "valid") {
      expect(suite.aeadSeal(key, nonce, aad, hex(one.msg))).toEqual(sealed);
      expect(suite.aeadOpen(key, nonce, aad, sealed)).toEqual(hex(one.msg));
    } else {
      expect(suite.aeadOpen(key, nonce, aad, sealed)).toBeNull();
    }
  }
  expect(seen).toBe(315);
}

function x25519({ suite, raw }: SuiteUnderTest, { testGroups }: Published["x25519"]): void {
  let seen = 0;
  let refused = 0;
  for (const one of testGroups.flatMap((group) => group.tests)) {
    seen++;
    const allZero = /^0+$/.test(one.shared);
    if (allZero) refused++;
    expect(suite.validBoxKey(hex(one.public)), one.public).toBe(!allZero);
    if (raw === undefined) continue;
    const shared = raw.x25519(hex(one.private), hex(one.public));
    expect(shared).toEqual(allZero ? null : hex(one.shared));
  }
  expect({ seen, refused }).toEqual({ seen: 518, refused: 31 });
}

function hex(text: string): Uint8Array {
  const bytes = fromHex(text);
  if (bytes === undefined) throw new Error(`not hexadecimal: ${text}`);
  return bytes;
}
