/**
 * One device as a process of its own, which ends by SIGKILL at a named point. Run by
 * `kill-points.test.ts`; built from the code that ships, with only `point` put in.
 *
 *   kill-device DIR ROLE ACTION [POINT#OCCURRENCE]
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fromHex, toHex } from "@tidelock/core/bytes/bytes";
import { deviceKeys, personKeys } from "@tidelock/core/crypto/identity";
import { createEngine } from "@tidelock/core/engine/engine";
import { foundVault, makeGenesis } from "@tidelock/core/engine/found";
import { findVault, joinVault } from "@tidelock/core/engine/join";
import { createReplica, replicaSpaces, storedGenesis } from "@tidelock/core/engine/replica";
import { createTablesKind } from "@tidelock/core/kinds/tables/tables";
import type { Kind } from "@tidelock/core/log/kind";
import { parseGenesis } from "@tidelock/core/vault/genesis";
import { loadSuite } from "../../packages/node/src/crypto/load-suite.ts";
import { attachDatabase } from "../../packages/node/src/database/attachment.ts";
import { attachmentSpaces } from "../../packages/node/src/database/registry.ts";
import { createClock, createScheduler } from "../../packages/node/src/env.ts";
import { openFolderRemote } from "../../packages/node/src/remote-folder/open.ts";
import { openSqlStore } from "../../packages/node/src/store/sql-store.ts";

const [directory, role, action, until] = process.argv.slice(2) as [string, string, string, string?];
const home = join(directory, role);
const [name, occurrence] = (until ?? "#0").split("#") as [string, string];
let left = Number(occurrence);

/** As the power of SIGKILL would have it: no handler, no flush, no goodbye. */
function point(reached: string): void {
  if (reached === name && --left === 0) process.kill(process.pid, "SIGKILL");
}

const { suite } = await loadSuite();
const clock = createClock();
const scheduler = createScheduler();
const env = { suite, clock, scheduler, log: { event: () => undefined }, point };

/** Fixed once per home, before anything else: what the keyring does for a real home. */
function kept(file: string, bytes: number): Uint8Array {
  const path = join(file.startsWith("person") ? directory : home, file);
  if (!existsSync(path)) writeFileSync(path, toHex(suite.random(bytes)));
  return fromHex(readFileSync(path, "utf8")) as Uint8Array;
}

const person = personKeys(suite, kept("person", 32));
const keys = deviceKeys(suite, { sign: kept("sign", 32), box: kept("box", 32) });
const tables = createTablesKind(suite);
const kinds = [tables as Kind];
const store = openSqlStore(join(home, "replica.db"), {
  spaces: [...replicaSpaces(kinds), ...attachmentSpaces.map((s) => s.name)],
});
const folder = join(directory, "remote");
const remote = await openFolderRemote(folder);
const made = { store, keys, localKey: kept("local", 32), kinds };
const stored = storedGenesis(suite, store);

async function genesisOfVault() {
  if (role !== "a") return findVault(suite, remote, person);
  // A founder's genesis must be the same one after a crash: it is kept before anything is sent.
  const path = join(home, "genesis");
  if (!existsSync(path)) writeFileSync(path, toHex(makeGenesis(suite, clock, person, keys).bytes));
  const genesis = parseGenesis(suite, fromHex(readFileSync(path, "utf8")) as Uint8Array);
  if (genesis === null) throw new Error("the kept genesis does not verify");
  return genesis;
}

const replica = createReplica(env, { ...made, genesis: stored ?? (await genesisOfVault()) });
if (role === "a" && stored === undefined) foundVault(suite, clock, replica, { vault: "v", device: "a" });
if (role !== "a") await joinVault(suite, clock, replica, remote, person, role);

const engine = createEngine({ env, replica, remote });
async function synced(): Promise<void> {
  const outcome = await engine.syncNow();
  if (outcome.kind !== "live") throw new Error(`sync stopped: ${outcome.code} ${outcome.why}`);
}

if (action === "sync") await synced();
else {
  const deps = { clock, scheduler, random: (n: number) => suite.random(n), point };
  await synced();
  const attachment = await attachDatabase(engine, tables, join(home, "app.db"), { watch: false }, deps);
  for (let turn = 0; turn < 3; turn++) {
    const { kind } = await attachment.pump();
    if (kind !== "quiet") throw new Error(`the attachment is ${kind}`);
    await synced();
  }
  if (action === "detach") await attachment.detach();
  else attachment.close();
}
await engine.stop();
store.close();
process.exit(0);
