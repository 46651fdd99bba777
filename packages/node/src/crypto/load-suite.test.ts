import { expect, test } from "vitest";
import { loadSuite } from "./load-suite.ts";
import { createNative } from "./sodium-native.ts";

const native = createNative();

test.skipIf(native === null)(
  "[CRY21] the native build is taken where it gives the known answers",
  async () => {
    const loaded = await loadSuite();
    expect(loaded.build).toBe("native");
    expect(loaded.suite.name).toMatch(/^sodium-native \d/);
    expect(loaded).not.toHaveProperty("reason");
  },
);

test("[CRY21] where the native build is missing the portable one is taken, and why", async () => {
  const loaded = await loadSuite(async () => null);
  expect(loaded.build).toBe("portable");
  expect(loaded.reason).toBe("sodium-native does not load here");
  expect(loaded.suite.id).toBe(1);
});

test("[CRY21] a native build with a wrong answer is not used", async () => {
  const portable = (await loadSuite(async () => null)).suite;
  const wrong = { ...portable, verify: () => true };
  const loaded = await loadSuite(async () => wrong);
  expect(loaded.build).toBe("portable");
  expect(loaded.reason).toBe("sodium-native fails its test: verify");
  expect(loaded.suite).not.toBe(wrong);
});
