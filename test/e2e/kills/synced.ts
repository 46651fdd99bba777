/**
 * A daemon that dies over a synced folder, again and again, while people save on both sides. Device b and its
 * folder live in this process and are never killed. What was saved is looked for on both real disks and in the vault.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { treeOf } from "@tidelock/node/folder/testing/homes";
import { draws } from "@tidelock/testkit/suites/seeds";
import { homePaths } from "../../../packages/node/src/home/paths.ts";
import { openVault } from "../../../packages/node/src/index.ts";
import { openSession, type Session } from "../../../packages/node/src/vault/session.ts";
import { verifySession } from "../../../packages/node/src/vault/verify.ts";
import { ByteLedger } from "../byte-ledger.ts";
import type { Begin } from "./campaign.ts";
import { Saver } from "./saver.ts";
import { Victim } from "./victim.ts";

const KEYS = { insecureKeyFile: true };
/** For both folders to be equal once nobody saves, ms. */
const QUIET = 90_000;

/** The daemon dies at any moment of its work on a folder: no byte that anybody saved is lost, and none is half. */
export const driveKills: Begin = async (folder, programs, seed) => {
  const at = (name: string): string => join(folder, name);
  const ledger = new ByteLedger();
  let words: string | undefined;
  for (const who of ["a", "b"]) {
    const vault = await openVault({
      home: at(who),
      remote: at("remote"),
      ...KEYS,
      ...(words === undefined ? {} : { words }),
      onPrompt: async (prompt) => {
        if (prompt.kind === "phrase") words = prompt.words.join(" ");
        return undefined;
      },
    });
    await vault.close();
  }
  const people = ["a", "b"].map((who, i) => {
    mkdirSync(at(`disk ${who}`));
    return new Saver(at(`disk ${who}`), who, ledger, draws(seed * 1_000_003 + i));
  });
  const disks = ["disk a", "disk b"].map(at);
  const open = async (who: "a" | "b", watch: boolean): Promise<Session> => {
    const session = await openSession({ paths: await homePaths({ home: at(who) }), keys: KEYS });
    await session.folders.resume(watch);
    return session;
  };
  const first = await open("a", false);
  await first.folders.add(at("disk a"), false);
  await first.sync({ wait: true, timeoutMs: QUIET });
  await first.close();
  const b = await open("b", true);
  await b.folders.add(at("disk b"), false);
  b.start();
  for (const person of people) person.go();

  async function judge(): Promise<readonly string[]> {
    for (const person of people) await person.rest();
    const found: string[] = [];
    const a = await open("a", false);
    try {
      const until = performance.now() + QUIET;
      do {
        for (const one of [a, b, a, b]) await one.sync({ wait: true, timeoutMs: QUIET });
        if (sameTrees(disks)) break;
        await sleep(500);
      } while (performance.now() < until);
      found.push(...ledger.lost(disks, [a, b]), ...disks.flatMap((disk) => ledger.strange(disk)));
      if (!sameTrees(disks)) found.push(`the folders show different files: ${difference(disks)}`);
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
    for (const person of people) person.go();
    return found;
  }

  return {
    victim: new Victim(
      () => ({ args: [programs.tidelock, "--home", at("a"), "daemon", "run"], ready: /in sync/ }),
      at("errors"),
    ),
    begin: async () => undefined,
    // An act of a person is whole in one turn of this process: between two, both disks hold whole files.
    look: async () => ledger.strange(at("disk a")),
    judge,
    acknowledged: () => ledger.count,
    dispose: async () => {
      for (const person of people) await person.rest();
      await b.close();
    },
  };
};

function sameTrees(disks: readonly string[]): boolean {
  return difference(disks) === "";
}

function difference(disks: readonly string[]): string {
  const [one = {}, other = {}] = disks.map((disk) => treeOf(disk));
  return [...new Set([...Object.keys(one), ...Object.keys(other)])]
    .filter((path) => one[path] !== other[path])
    .map((path) => `${path}: ${one[path]} and ${other[path]}`)
    .slice(0, 10)
    .join("; ");
}
