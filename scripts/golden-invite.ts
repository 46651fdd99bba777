// node --conditions=@tidelock/source --import tsx scripts/golden-invite.ts: writes vectors/tidelock/invite.json
// where it does not exist. Golden bytes are added to and never changed: an existing file is only checked.
import { existsSync, writeFileSync } from "node:fs";
import { createPortableSuite } from "@tidelock/core/crypto/sodium-portable";
import { makeInviteGolden, readInviteGolden } from "@tidelock/testkit/suites/invite-golden";

const file = "vectors/tidelock/invite.json";
const suite = await createPortableSuite();

if (existsSync(file)) {
  const golden = readInviteGolden();
  const same = JSON.stringify(makeInviteGolden(suite)) === JSON.stringify(golden);
  process.stdout.write(
    `${file} exists and is ${same ? "what this program makes" : "NOT what this program makes"}\n`,
  );
  process.exit(same ? 0 : 1);
}
writeFileSync(file, `${JSON.stringify(makeInviteGolden(suite), null, 1)}\n`);
process.stdout.write(`${file} written\n`);
