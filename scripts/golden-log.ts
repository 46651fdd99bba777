// node --conditions=@tidelock/source --import tsx scripts/golden-log.ts: writes vectors/tidelock/log.json
// where it does not exist. Golden bytes are added to and never changed: an existing file is only checked.
import { existsSync, writeFileSync } from "node:fs";
import { createPortableSuite } from "@tidelock/core/crypto/sodium-portable";
import { makeLogGolden, readLogGolden } from "@tidelock/testkit/suites/log-golden";

const file = "vectors/tidelock/log.json";
const suite = await createPortableSuite();

if (existsSync(file)) {
  const golden = readLogGolden();
  const same = JSON.stringify(makeLogGolden(suite, golden)) === JSON.stringify(golden);
  process.stdout.write(
    `${file} exists and is ${same ? "what this program makes" : "NOT what this program makes"}\n`,
  );
  process.exit(same ? 0 : 1);
}
writeFileSync(file, `${JSON.stringify(makeLogGolden(suite), null, 1)}\n`);
process.stdout.write(`${file} written\n`);
