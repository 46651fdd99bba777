import { test } from "vitest";
import { checkInviteGolden } from "../../../testkit/src/suites/invite-golden.ts";
import { checkMembersGolden } from "../../../testkit/src/suites/members-golden.ts";
import { createPortableSuite } from "../crypto/sodium-portable.ts";

const suite = await createPortableSuite();

// Some ten thousand signatures: seconds, and more on a busy machine.
test(
  "[MEM2, MEM9, VLT3, VLT5] golden: every membership record, and each of its bytes changed",
  {
    timeout: 120_000,
  },
  () => checkMembersGolden(suite),
);

test("[INV1, INV2] golden: an invite's code and messages, and each byte of them changed", () =>
  checkInviteGolden(suite));
