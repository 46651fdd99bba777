/**
 * Seeds to detection of each planted bug:
 *   node --conditions=@tidelock/source --import tsx test/board/run.ts [FROM] [ID …]
 */
import { hunt, MOST_SEEDS, readBoard } from "./board.ts";

const [from = "1", ...ids] = process.argv.slice(2);
if (!/^\d{1,20}$/.test(from)) {
  process.stderr.write(`FROM is a seed, not ${JSON.stringify(from)}.\n`);
  process.exit(2);
}
let missed = 0;
for (const bug of await readBoard()) {
  if (ids.length > 0 && !ids.includes(bug.id)) continue;
  const caught = await hunt(bug, BigInt(from)).catch((error: unknown) => {
    process.stderr.write(`${bug.id}: ${String(error)}\n`);
    return undefined;
  });
  if (caught === undefined) missed++;
  const seeds = caught === undefined ? `not within ${MOST_SEEDS}` : String(caught.histories);
  const others = [...new Set((caught?.others ?? []).map((f) => f.failure.oracle))].join(" ");
  const before = others === "" ? "" : `  (before it: ${others})`;
  process.stdout.write(
    `${bug.id.padEnd(32)} ${seeds.padStart(14)}  ${bug.oracle.padEnd(8)} seed ${caught?.seed ?? "-"}${before}\n`,
  );
}
process.exitCode = missed === 0 ? 0 : 1;
