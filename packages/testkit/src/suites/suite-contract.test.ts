import { createPortable } from "@tidelock/core/crypto/sodium-portable";
import { beforeAll, describe, expect, test } from "vitest";
import { createFastSuite } from "../world/fast-suite.ts";
import { brokenSuites } from "./suite-broken.ts";
import { describeSuite, type SuiteUnderTest } from "./suite-contract.ts";
import { propertyChecks } from "./suite-properties.ts";
import { loadPublished } from "./suite-vectors.ts";

function createSeeded(): SuiteUnderTest {
  let state = 1;
  const random = (n: number): Uint8Array =>
    Uint8Array.from({ length: n }, () => {
      state = (Math.imul(state, 0x915f77f5) + 1) | 0;
      return state >>> 24;
    });
  return { suite: createFastSuite(random) };
}

describeSuite("fast (test kit)", async () => createSeeded(), { level: "laws" });

test("the fast suite is told from suite 1 by its byte, and repeats under one seed", () => {
  const [a, b] = [createSeeded().suite, createSeeded().suite];
  expect(a.id).toBe(0xff);
  const pair = a.boxPair(new Uint8Array(32));
  expect(a.sealTo(pair.publicKey, new Uint8Array(9))).toEqual(b.sealTo(pair.publicKey, new Uint8Array(9)));
});

describe("the contract fails a suite that", () => {
  let good: SuiteUnderTest;
  beforeAll(async () => {
    good = await createPortable();
  });

  for (const [fault, breakIt] of brokenSuites) {
    test(fault, () => {
      const broken = { suite: breakIt(good.suite) };
      expect(propertyChecks.some((one) => fails(() => one.check(broken)))).toBe(true);
    });
  }
});

test("missing vectors are said, with their place", () => {
  const found = loadPublished(new URL("file:///nowhere/"));
  expect(found).toMatchObject({ kind: "absent", why: expect.stringContaining("/nowhere/") as unknown });
});

function fails(check: () => void): boolean {
  try {
    check();
    return false;
  } catch {
    return true;
  }
}
