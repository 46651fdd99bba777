import { checkMembersGolden } from "@tidelock/testkit/suites/members-golden";
import { test } from "vitest";
import { createNative } from "./sodium-native.ts";

const native = createNative();

test.skipIf(native === null)(
  "golden: every membership record, by the native build",
  { timeout: 120_000 },
  () => {
    if (native !== null) checkMembersGolden(native.suite);
  },
);
