/**
 * A daemon that dies over a synced folder, again and again, while people save on both sides. Device b and its
 * folder live in this process and are never killed. What was saved is looked for on both real disks and in the vault.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { draws } from "@tidelock/testkit/suites/seeds";
import { verifySession } from "../../../packages/node/src/vault/verify.ts";
import { differences, QUIET, twoDisks } from "../two-disks.ts";
import type { Begin } from "./campaign.ts";
import { Saver } from "./saver.ts";
import { Victim } from "./victim.ts";

/** The daemon dies at any moment of its work on a folder: no byte that anybody saved is lost, and none is half. */
export const driveKills: Begin = async (folder, programs, seed) => {
  const { ledger, home, disk, open } = await twoDisks(folder);
  const people = (["a", "b"] as const).map(
    (who, i) => new Saver(disk(who), who, ledger, draws(seed * 1_000_003 + i)),
  );
  const b = await open("b", true);
  b.start();
  for (const person of people) person.go();

  async function judge(): Promise<readonly string[]> {
    for (const person of people) await person.rest();
    const found: string[] = [];
    const a = await open("a", false);
    try {
      const until = performance.now() + QUIET;
      for (;;) {
        for (const one of [a, b, a, b]) await one.sync({ wait: true, timeoutMs: QUIET });
        if (differences(disk("a"), disk("b")).length === 0 || performance.now() > until) break;
        await sleep(500);
      }
      found.push(...ledger.lost([disk("a"), disk("b")], [a, b]), ...differences(disk("a"), disk("b")));
      found.push(...ledger.strange(disk("a")), ...ledger.strange(disk("b")));
      if (a.replica.digest() !== b.replica.digest()) found.push("the devices hold different states");
      for (const session of [a, b]) {
        for (const { state, why, withheld } of session.folders.list()) {
          if (state !== "live") found.push(`a folder is ${state}: ${why}`);
          if (withheld > 0) found.push(`${withheld} deletions wait for a person`);
        }
        for (const check of (await verifySession(session)).checks)
          if (check.state !== "ok") found.push(`verify: ${check.name} ${check.state}: ${check.fact}`);
      }
    } finally {
      await a.close();
    }
    if (found.length === 0) for (const person of people) person.go();
    return found;
  }

  return {
    victim: new Victim(
      () => ({ args: [programs.tidelock, "--home", home("a"), "daemon", "run"], ready: /in sync/ }),
      join(folder, "errors"),
    ),
    begin: async () => undefined,
    // An act of a person is whole in one turn of this process: between two, both disks hold whole files.
    look: async () => ledger.strange(disk("a")),
    judge,
    acknowledged: () => ledger.count,
    dispose: async () => {
      for (const person of people) await person.rest();
      await b.close();
    },
  };
};
