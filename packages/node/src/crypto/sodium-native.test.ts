import { selfTest } from "@tidelock/core/crypto/self-test";
import { describeSuite, type SuiteUnderTest } from "@tidelock/testkit/suites/suite-contract";
import { expect, test } from "vitest";
import { createNative } from "./sodium-native.ts";

const native = createNative();

if (native === null) {
  console.warn("sodium-native does not load here: its contract is NOT checked");
  test.skip("sodium-native does not load here", () => undefined);
} else {
  describeSuite("sodium-native", async (): Promise<SuiteUnderTest> => native);

  test("the native build gives the known answers", () => {
    expect(selfTest(native.suite)).toBeNull();
  });
}
