import { beforeAll, expect, test } from "vitest";
import { selfTest } from "./self-test.ts";
import { createPortableSuite } from "./sodium-portable.ts";
import type { Suite } from "./suite.ts";

let good: Suite;
beforeAll(async () => {
  good = await createPortableSuite();
});

const functions: readonly (keyof Suite)[] = [
  "random",
  "aeadSeal",
  "aeadOpen",
  "kdf",
  "hash",
  "sha256",
  "sha256Stream",
  "signPair",
  "sign",
  "verify",
  "validSignKey",
  "validBoxKey",
  "boxPair",
  "sealTo",
  "openSealed",
  "argon2id",
  "equal",
  "wipe",
  "deflate",
  "inflate",
];

test.for(functions)("[CRY21] the self-test finds a wrong %s", (name) => {
  for (const wrong of [() => new Uint8Array(32), () => true, () => false, () => null]) {
    expect(selfTest({ ...good, [name]: wrong })).toBe(name);
  }
  const throws = (): never => {
    throw new Error("illegal instruction");
  };
  expect(selfTest({ ...good, [name]: throws })).toBe(name);
});

test("[CRY21] the self-test knows every function of a suite", () => {
  const known = Object.keys(good).filter((name) => typeof good[name as keyof Suite] === "function");
  expect([...functions].sort()).toEqual(known.sort());
  expect(selfTest({ ...good, id: 0xff })).toBe("id");
});
