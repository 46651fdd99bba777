import { readFileSync } from "node:fs";
import { fromHex, toHex } from "@tidelock/core/bytes/bytes";
import { deviceId, deviceKeys, personId, personKeys } from "@tidelock/core/crypto/identity";
import {
  type OpenedKeyring,
  openKeyring,
  openPlainKeyring,
  plainKeyring,
  sealKeyring,
} from "@tidelock/core/crypto/keyring";
import { type Context, ctx, type Label } from "@tidelock/core/crypto/labels";
import { parsePhrase, phraseOf } from "@tidelock/core/crypto/phrase";
import type { Suite } from "@tidelock/core/crypto/suite";
import { expect } from "vitest";
import type { SuiteCheck } from "./suite-contract.ts";

/** One file of `vectors/tidelock`: golden bytes, which are added to and never changed. */
export function golden<T>(name: string): T {
  const url = new URL(`../../../../vectors/tidelock/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(url, "utf8")) as T;
}

/** Golden bytes of this layer: what suite 1 makes of fixed inputs, and what it must refuse. */
export const goldenChecks: readonly SuiteCheck[] = [
  {
    title: "[CRY3, CRY11] golden: every KDF label",
    check: ({ suite }) => labels(suite),
  },
  {
    title: "[CRY12, CRY13] golden: persons and devices from entropy and seeds",
    check: ({ suite }) => identity(suite),
  },
  {
    title: "[CRY6] golden: sealed boxes, and box keys that are never admitted",
    check: ({ suite }) => sealedBox(suite),
  },
  {
    title: "[CRY5] golden: public keys for signatures, admitted and not",
    check({ suite }) {
      const { keys } = golden<{ keys: { what: string; key: string; admitted: boolean }[] }>("sign-keys");
      for (const one of keys) expect(suite.validSignKey(hex(one.key)), one.what).toBe(one.admitted);
    },
  },
  {
    title: "[CRY8] golden: deflate streams, taken and refused",
    check({ suite }) {
      const { streams } = golden<{
        streams: { what: string; raw: string; length: number; sha256: string | null }[];
      }>("inflate");
      for (const { what, raw, length, sha256 } of streams) {
        const plain = suite.inflate(hex(raw), length);
        expect(plain === null ? null : toHex(suite.sha256(plain)), `${what}: ${raw}`).toBe(sha256);
      }
    },
  },
  {
    title: "[CRY17, CRY18] golden: keyrings, opened and refused",
    timeout: 60_000,
    check: ({ suite }) => keyring(suite),
  },
];

function labels(suite: Suite): void {
  const v = golden<{
    key: string;
    data: string;
    kdf: { label: Label; ctx: string; out32: string }[];
    lengths: { label: Label; length: number; out: string }[];
    emptyData: string;
    hash: Context[];
    signature: Context[];
  }>("labels");
  for (const one of v.kdf) {
    expect(toHex(ctx(one.label))).toBe(one.ctx);
    expect(toHex(suite.kdf(hex(v.key), one.label, hex(v.data), 32)), one.label).toBe(one.out32);
  }
  for (const one of v.lengths)
    expect(toHex(suite.kdf(hex(v.key), one.label, hex(v.data), one.length))).toBe(one.out);
  expect(toHex(suite.kdf(hex(v.key), "tl1/person/sign", new Uint8Array(0), 32))).toBe(v.emptyData);
}

function identity(suite: Suite): void {
  const v = golden<{
    persons: Record<"entropy" | "phrase" | "sign" | "box" | "signSecret" | "boxSecret" | "id", string>[];
    devices: Record<"signSeed" | "boxSeed" | "sign" | "box" | "id", string>[];
  }>("identity");
  for (const one of v.persons) {
    const entropy = hex(one.entropy);
    expect(phraseOf(entropy).join(" ")).toBe(one.phrase);
    expect(parsePhrase(one.phrase)).toEqual({ ok: true, words: one.phrase.split(" "), entropy });
    const keys = personKeys(suite, entropy);
    expect(toHex(keys.sign)).toBe(one.sign);
    expect(toHex(keys.box)).toBe(one.box);
    expect(toHex(keys.signSecret)).toBe(one.signSecret);
    expect(toHex(keys.boxSecret)).toBe(one.boxSecret);
    expect(toHex(personId(suite, keys.sign, keys.box))).toBe(one.id);
  }
  for (const one of v.devices) {
    const keys = deviceKeys(suite, { sign: hex(one.signSeed), box: hex(one.boxSeed) });
    expect(toHex(keys.sign)).toBe(one.sign);
    expect(toHex(keys.box)).toBe(one.box);
    expect(toHex(deviceId(suite, keys.sign, keys.box))).toBe(one.id);
  }
}

function sealedBox(suite: Suite): void {
  const v = golden<{
    recipientSeed: string;
    cases: { plain: string; sealed: string }[];
    lowOrder: string[];
  }>("sealed-box");
  const pair = suite.boxPair(hex(v.recipientSeed));
  for (const one of v.cases) {
    expect(suite.openSealed(pair, hex(one.sealed))).toEqual(hex(one.plain));
    for (let i = 0; i < one.sealed.length / 2; i++) {
      const bad = hex(one.sealed);
      bad[i] = (bad[i] as number) ^ (1 << (i % 8));
      expect(suite.openSealed(pair, bad), `byte ${i}`).toBeNull();
    }
  }
  for (const key of v.lowOrder) expect(suite.validBoxKey(hex(key)), key).toBe(false);
}

function keyring(suite: Suite): void {
  const v = golden<{
    secrets: Record<string, string>;
    passphrase: string;
    samePassphrase: string;
    salt: string;
    nonce: string;
    sealed: string;
    plain: string;
    empty: string;
    refused: { what: string; object: string; passphrase?: string; reason: string }[];
  }>("keyring");
  const secrets = new Map(Object.entries(v.secrets).map(([name, secret]) => [name, hex(secret)]));
  const drawn = [hex(v.salt), hex(v.nonce)];
  const fixed: Suite = { ...suite, random: () => drawn.shift() as Uint8Array };
  expect(toHex(sealKeyring(fixed, secrets, v.passphrase))).toBe(v.sealed);
  expect(toHex(plainKeyring(suite, secrets))).toBe(v.plain);
  expect(toHex(plainKeyring(suite, new Map()))).toBe(v.empty);
  expectSecrets(openKeyring(suite, hex(v.sealed), v.samePassphrase), secrets);
  expectSecrets(openPlainKeyring(suite, hex(v.plain)), secrets);
  expectSecrets(openPlainKeyring(suite, hex(v.empty)), new Map());
  for (const { what, object, passphrase, reason } of v.refused) {
    const opened =
      passphrase === undefined
        ? openPlainKeyring(suite, hex(object))
        : openKeyring(suite, hex(object), passphrase);
    expect(opened, what).toEqual({ ok: false, reason });
  }
}

function expectSecrets(opened: OpenedKeyring, secrets: ReadonlyMap<string, Uint8Array>): void {
  expect(opened.ok && [...opened.secrets].sort()).toEqual([...secrets].sort());
}

function hex(text: string): Uint8Array {
  const bytes = fromHex(text);
  if (bytes === undefined) throw new Error(`not hexadecimal: ${text}`);
  return bytes;
}
