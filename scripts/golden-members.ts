// node --conditions=@tidelock/source --import tsx scripts/golden-members.ts: writes vectors/tidelock/members.json
// where it does not exist. Golden bytes are added to and never changed: an existing file is only checked.
import { existsSync, writeFileSync } from "node:fs";
import { createPortableSuite } from "@tidelock/core/crypto/sodium-portable";
import { makeMembersGolden, readMembersGolden } from "@tidelock/testkit/suites/members-golden";

const file = "vectors/tidelock/members.json";
const suite = await createPortableSuite();

if (existsSync(file)) {
  const golden = readMembersGolden();
  const same = JSON.stringify(makeMembersGolden(suite, golden)) === JSON.stringify(golden);
  process.stdout.write(
    `${file} exists and is ${same ? "what this program makes" : "NOT what this program makes"}\n`,
  );
  process.exit(same ? 0 : 1);
}
writeFileSync(file, `${JSON.stringify(makeMembersGolden(suite), null, 1)}\n`);
process.stdout.write(`${file} written\n`);
