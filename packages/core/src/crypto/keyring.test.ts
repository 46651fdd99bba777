import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { concat } from "../bytes/bytes.ts";
import {
  type KeyringRefusal,
  keyringForm,
  openKeyring,
  openPlainKeyring,
  plainKeyring,
  type Secrets,
  sealKeyring,
} from "./keyring.ts";
import { createPortableSuite } from "./sodium-portable.ts";
import type { Suite } from "./suite.ts";

const secrets: Secrets = new Map([
  ["local", new Uint8Array(32).fill(3)],
  ["device/sign", new Uint8Array(32).fill(1)],
  ["device/box", new Uint8Array(32).fill(2)],
]);
const passphrase = "a passphrase of several words";

let real: Suite;
/** Argon2id replaced by a hash: every other byte is the same, and hundreds of openings take no time. */
let suite: Suite;
let hashed = 0;
beforeAll(async () => {
  real = await createPortableSuite();
  suite = {
    ...real,
    argon2id(password, salt, { memoryMiB, passes }) {
      hashed++;
      return real.hash(concat(salt, Uint8Array.of(memoryMiB >> 8, memoryMiB & 255, passes), password), 32);
    },
  };
});

test("[CRY17] a sealed keyring opens with its passphrase alone", () => {
  const object = sealKeyring(suite, secrets, passphrase);
  expect(opened(openKeyring(suite, object, passphrase))).toEqual([...secrets].sort());
  for (const other of ["", `${passphrase} `, passphrase.toUpperCase()])
    expect(openKeyring(suite, object, other)).toEqual({ ok: false, reason: "commit" });
});

test("[CRY17] the passphrase is compared in its compatible form, as keyboards differ", () => {
  const object = sealKeyring(suite, secrets, "caf\u00e9 \ufb01n");
  expect(openKeyring(suite, object, "cafe\u0301 fin").ok).toBe(true);
});

test("[CRY17] 64 MiB and three passes are written, and less is never sealed", () => {
  const object = sealKeyring(suite, secrets, passphrase);
  expect([...object.subarray(0, 9)]).toEqual([1, 1, 9, 1, 0, 0, 0, 64, 3]);
  for (const cost of [
    { memoryMiB: 63, passes: 3 },
    { memoryMiB: 64, passes: 2 },
  ])
    expect(() => sealKeyring(suite, secrets, passphrase, cost)).toThrow(RangeError);
  const dearer = sealKeyring(suite, secrets, passphrase, { memoryMiB: 128, passes: 4 });
  expect(openKeyring(suite, dearer, passphrase).ok).toBe(true);
});

test("[CRY17] two keyrings of the same secrets have nothing in common after the cost", () => {
  const [a, b] = [sealKeyring(suite, secrets, passphrase), sealKeyring(suite, secrets, passphrase)];
  expect(a.subarray(9, 25)).not.toEqual(b.subarray(9, 25));
  expect(a.subarray(25, 57)).not.toEqual(b.subarray(25, 57));
  expect(a.subarray(57, 81)).not.toEqual(b.subarray(57, 81));
});

test("[CRY17, CRY18] every byte of a sealed keyring changed is refused, for the reason of its place", () => {
  const object = sealKeyring(suite, secrets, passphrase);
  const reasons = new Map<KeyringRefusal, number>();
  for (let i = 0; i < object.length; i++) {
    for (const bit of [1, 16, 128]) {
      const bad = object.slice();
      bad[i] = (bad[i] as number) ^ bit;
      const result = openKeyring(suite, bad, passphrase);
      if (result.ok) throw new Error(`byte ${i} bit ${bit} is accepted`);
      reasons.set(result.reason, (reasons.get(result.reason) ?? 0) + 1);
      if (i >= 9 && i < 57) expect(result.reason, `byte ${i}`).toBe("commit");
      if (i >= 57 && i < 81) expect(result.reason, `byte ${i}`).toBe("sealed-wrong");
    }
  }
  expect([...reasons.keys()].sort()).toEqual([
    "commit",
    "form",
    "kdf-floor",
    "malformed",
    "sealed-wrong",
    "update-needed",
  ]);
});

test("[CRY18] what asks for too little or too much hashing is refused before any", () => {
  const object = sealKeyring(suite, secrets, passphrase);
  const before = hashed;
  for (const [at, value] of [
    [7, 63],
    [8, 2],
    [8, 0],
    [8, 11],
    [5, 1],
    [4, 255],
  ] as const) {
    const bad = object.slice();
    bad[at] = value;
    expect(openKeyring(suite, bad, passphrase)).toEqual({ ok: false, reason: "kdf-floor" });
  }
  expect(hashed).toBe(before);
});

test("[CRY18] a keyring cut short or longer is malformed, in both forms", () => {
  const sealed = sealKeyring(suite, secrets, passphrase);
  const plain = plainKeyring(suite, secrets);
  for (let n = 0; n < sealed.length; n++)
    expect(openKeyring(suite, sealed.subarray(0, n), passphrase)).toEqual({ ok: false, reason: "malformed" });
  for (let n = 0; n < plain.length; n++)
    expect(openPlainKeyring(suite, plain.subarray(0, n))).toEqual({ ok: false, reason: "malformed" });
  const longer = new Uint8Array((64 << 10) + 1);
  longer.set(plain);
  for (const bad of [concat(plain, Uint8Array.of(0)), longer])
    expect(openPlainKeyring(suite, bad)).toEqual({ ok: false, reason: "malformed" });
});

test("[CRY18] any bytes after a right head are read without an exception, and only in one spelling", () => {
  const head = fc.constantFrom([1, 1, 9, 0], [1, 1, 9, 1]);
  fc.assert(
    fc.property(head, fc.uint8Array({ maxLength: 200 }), (first, rest) => {
      const object = concat(Uint8Array.from(first), rest);
      openKeyring(suite, object, "x");
      const read = openPlainKeyring(suite, object);
      if (read.ok) expect(plainKeyring(suite, read.secrets)).toEqual(object);
    }),
  );
});

test("[CRY19] neither form passes for the other", () => {
  const sealed = sealKeyring(suite, secrets, passphrase);
  const plain = plainKeyring(suite, secrets);
  expect(keyringForm(suite, sealed)).toBe("passphrase");
  expect(keyringForm(suite, plain)).toBe("plain");
  expect(keyringForm(suite, new Uint8Array(4))).toBeNull();
  expect(openKeyring(suite, plain, passphrase)).toEqual({ ok: false, reason: "form" });
  expect(openPlainKeyring(suite, sealed)).toEqual({ ok: false, reason: "form" });
  expect(opened(openPlainKeyring(suite, plain))).toEqual([...secrets].sort());
});

test("what is opened is a copy, in the order of names", () => {
  const object = plainKeyring(suite, secrets);
  const result = openPlainKeyring(suite, object);
  object.fill(0);
  expect(opened(result)).toEqual([...secrets].sort());
  expect(result.ok && [...result.secrets.keys()]).toEqual(["device/box", "device/sign", "local"]);
});

test("[CRY22] what cannot be kept in a keyring is refused without being shown", () => {
  const canary = new Uint8Array(129).fill(0x5a);
  const bad: Secrets[] = [
    new Map([["local", canary]]),
    new Map([["local", new Uint8Array(0)]]),
    new Map([["Local", new Uint8Array(32)]]),
    new Map([["a".repeat(65), new Uint8Array(32)]]),
    new Map([["", new Uint8Array(32)]]),
    new Map(Array.from({ length: 257 }, (_, i) => [`k${i}`, new Uint8Array(1)] as const)),
  ];
  for (const one of bad) {
    expect(() => plainKeyring(suite, one)).toThrow(RangeError);
    expect(() => sealKeyring(suite, one, passphrase)).toThrow(/^(?!.*(?:90|5a|passphrase of)).*$/i);
  }
});

function opened(result: ReturnType<typeof openKeyring>): unknown {
  return result.ok ? [...result.secrets].sort() : result.reason;
}
