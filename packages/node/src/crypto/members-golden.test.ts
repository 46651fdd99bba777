import { checkInviteGolden } from "@tidelock/testkit/suites/invite-golden";
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

test.skipIf(native === null)("golden: an invite's code and messages, by the native build", () => {
  if (native !== null) checkInviteGolden(native.suite);
});
