/** `tidelock server run` dies under clients that append frames and store blobs. */
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Suite } from "@tidelock/core/crypto/suite";
import { draws } from "@tidelock/testkit/suites/seeds";
import { TestVault } from "@tidelock/testkit/vault-people";
import { loadSuite } from "../../../packages/node/src/crypto/load-suite.ts";
import type { Begin } from "./campaign.ts";
import { StoredVault } from "./stored-vault.ts";
import { VaultWriter } from "./vault-writer.ts";
import { Victim } from "./victim.ts";

/** One vault that three devices write to at once, and some with a single writer. */
const CROWD = 3;
const LONERS = 3;

export const serverKills: Begin = async (folder, programs, seed) => {
  const { suite } = await loadSuite();
  const url = `http://127.0.0.1:${await freePort()}`;
  const data = join(folder, "server");
  const victim = new Victim(
    () => {
      const listen = ["--listen", new URL(url).host, "--registration", "open", "--data", data];
      return { args: [programs.tidelock, "--home", join(folder, "home"), "server", "run", ...listen], ready };
    },
    join(folder, "errors"),
  );

  async function ready(alive: () => boolean): Promise<void> {
    while (alive()) {
      const answer = await fetch(`${url}/readyz`).catch(() => undefined);
      if (answer?.status === 200) return;
      await sleep(2);
    }
  }

  const random = draws(seed);
  const vaults: StoredVault[] = [];
  const writers: VaultWriter[] = [];
  await victim.up();
  for (let i = 0; i <= LONERS; i++) {
    const stored = await founded(suite, url);
    vaults.push(stored);
    writers.push(new VaultWriter(stored, stored.founder, random));
    for (let device = 1; i === 0 && device < CROWD; device++)
      writers.push(new VaultWriter(stored, await stored.admit(url), random));
  }
  await victim.kill();
  victim.readyMs.length = 0;

  let running: Promise<void>[] = [];
  /** What is wrong with answers that came while it lived. */
  const wrong = (): readonly string[] => writers.flatMap((writer) => writer.wrong.splice(0));

  return {
    victim,
    begin: async () => {
      for (const stored of vaults) await stored.look();
      running = writers.map((writer) => writer.write());
    },
    look: async () => {
      await Promise.all(running);
      return [...wrong(), ...vaults.flatMap((stored) => stored.found.splice(0))];
    },
    judge: async () => {
      await victim.up();
      for (const stored of vaults) await stored.lookAgain();
      for (const writer of writers) await writer.settle();
      for (const stored of vaults) await stored.look();
      await victim.kill();
      return [...wrong(), ...vaults.flatMap((stored) => [...stored.found.splice(0), ...stored.onDisk(data)])];
    },
    acknowledged: () => vaults.reduce((sum, stored) => sum + stored.acknowledged, 0),
    dispose: () => victim.end(),
  };
};

async function founded(suite: Suite, url: string): Promise<StoredVault> {
  const stored = new StoredVault(suite, new TestVault(suite), url);
  await stored.begin();
  return stored;
}

/** A port that was free a moment ago; the server keeps it over all its lives. */
function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
