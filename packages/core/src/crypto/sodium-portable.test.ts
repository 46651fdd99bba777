import { describeSuite } from "@tidelock/testkit/suites/suite-contract";
import { expect, test } from "vitest";
import { selfTest } from "./self-test.ts";
import { createPortable, createPortableSuite } from "./sodium-portable.ts";

describeSuite("libsodium-wrappers-sumo", createPortable);

test("the portable build gives the known answers", async () => {
  expect(selfTest(await createPortableSuite())).toBeNull();
});
