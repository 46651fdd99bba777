/** A few kills of each victim on every day; `npm run kills` makes them hundreds. And that the judges see what they are there for. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ServerRig } from "@tidelock/testkit/server-rig";
import { seeds } from "@tidelock/testkit/suites/seeds";
import { TestVault } from "@tidelock/testkit/vault-people";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Bundle } from "../bundle.ts";
import { ByteLedger } from "../byte-ledger.ts";
import { buildPrograms, type CampaignName, kill } from "./drive.ts";
import { type Edit, lineOf, SCHEMA, statementsOf } from "./edits.ts";
import { Ledger, Onlooker } from "./ledger.ts";
import { StoredVault } from "./stored-vault.ts";
import { VaultWriter } from "./vault-writer.ts";

const KILLS = 6;
const [seed = 1] = seeds(1);

describe("killed at any moment, and started again", () => {
  let programs: Bundle;
  beforeAll(async () => {
    programs = await buildPrograms();
  }, 60_000);
  afterAll(() => programs.remove());

  const some = (name: CampaignName) => kill(name, { seed, kills: KILLS, every: KILLS, programs });

  test.concurrent("[P1] [P3] [P4] [SRV2] a server has every frame and blob that it acknowledged, once", async () => {
    expect(await some("server")).toMatchObject({ kills: KILLS });
  }, 240_000);

  test.concurrent("[P2] [P3] [P8] M-15 a program has every edit whose transaction returned, and the log has it once", async () => {
    expect(await some("client")).toMatchObject({ kills: KILLS });
  }, 240_000);

  test.concurrent("[IFC19] [P2] [P3] M-15 a daemon brings every row that an app committed, once, and takes none back", async () => {
    expect(await some("daemon")).toMatchObject({ kills: KILLS });
  }, 240_000);

  test.concurrent("[FLD1] [FLD6] [FLD10] [P2] [P7] a daemon over a synced folder loses no byte that somebody saved on either side, and shows none by halves", async () => {
    expect(await some("drive")).toMatchObject({ kills: KILLS });
  }, 240_000);
});

describe("the judge of a writer's database", () => {
  const edits: readonly Edit[] = [
    { n: 1, what: "insert", row: "a1" },
    { n: 2, what: "insert", row: "a2" },
    { n: 3, what: "set", row: "a1" },
    { n: 4, what: "insert", row: "a4" },
    { n: 5, what: "delete", row: "a4" },
  ];

  /** The edits happen, are told, and then something else happens to the database. */
  function judged(meanwhile: string): readonly string[] {
    const folder = mkdtempSync(join(tmpdir(), "tidelock-judge-"));
    const ledger = new Ledger("a", join(folder, "witness"));
    const db = new Database(":memory:");
    try {
      db.exec(SCHEMA);
      for (const edit of edits) {
        writeSync(ledger.descriptor, lineOf("i", edit));
        for (const [sql, values] of statementsOf(edit, "a")) db.prepare(sql).run(...values);
        writeSync(ledger.descriptor, lineOf("c", edit));
      }
      const onlooker = new Onlooker(ledger);
      expect([...ledger.look(db), ...onlooker.look(db)]).toEqual([]);
      db.exec(meanwhile);
      return [...ledger.look(db), ...onlooker.look(db)];
    } finally {
      db.close();
      ledger.close();
      rmSync(folder, { recursive: true, force: true });
    }
  }

  test.each([
    ["a lost row", "DELETE FROM part WHERE op = 'a2'; DELETE FROM entry WHERE op = 'a2'", "a2 is lost"],
    ["a doubled row", "INSERT INTO entry (op, v) VALUES ('a2', 'a2')", "a2 is there twice"],
    ["a half of a transaction", "DELETE FROM part WHERE op = 'a2'", "a2 has 0 parts"],
    ["a value of before", "UPDATE entry SET v = 'a1' WHERE op = 'a1'", "a1 went back from 3 to 1"],
    ["a deleted row", "INSERT INTO entry (op, v) VALUES ('a4', 'a4')", "a4 is there and must not be"],
    ["a row that nobody wrote", "INSERT INTO entry (op, v) VALUES ('a9', 'a9')", "a9 was never written"],
  ])("sees %s", (_, meanwhile, what) => {
    expect(judged(meanwhile)).toContain(what);
  });

  test("leaves open whether an edit under way has happened, and holds to it afterwards", () => {
    const folder = mkdtempSync(join(tmpdir(), "tidelock-judge-"));
    const ledger = new Ledger("a", join(folder, "witness"));
    const db = new Database(":memory:");
    db.exec(SCHEMA);
    writeSync(ledger.descriptor, lineOf("i", { n: 1, what: "insert", row: "a1" }));
    expect(ledger.look(db)).toEqual([]);
    for (const [sql, values] of statementsOf({ n: 1, what: "insert", row: "a1" }, "a"))
      db.prepare(sql).run(...values);
    expect(ledger.look(db)).toEqual(["a1 is there and must not be"]);
    db.close();
    ledger.close();
    rmSync(folder, { recursive: true, force: true });
  });
});

test("the judge of synced folders sees a save that is nowhere, and a file of half a save", () => {
  const folder = mkdtempSync(join(tmpdir(), "tidelock-judge-"));
  const ledger = new ByteLedger();
  const found = (): readonly string[] => [...ledger.lost([folder], []), ...ledger.strange(folder)];
  const save = (name: string, text: string): void => {
    writeFileSync(join(folder, name), text);
    ledger.saved(text, name);
  };
  try {
    save("a", "first");
    save("b", "second");
    mkdirSync(join(folder, ".tidelock"));
    renameSync(join(folder, "b"), join(folder, ".tidelock", "b"));
    expect(found()).toEqual([]);
    writeFileSync(join(folder, "a"), "fir");
    rmSync(join(folder, ".tidelock", "b"));
    expect(found()).toEqual([
      "what was saved as a is on no disk and not in the vault",
      "what was saved as b is on no disk and not in the vault",
      `${join(folder, "a")} holds what nobody saved`,
    ]);
    for (const text of ["first", "second"]) ledger.destroyed(text);
    rmSync(join(folder, "a"));
    expect(found()).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe("the judge of a server's vault", () => {
  /** What it finds after a server was down and something happened to its database. */
  async function judged(meanwhile: string): Promise<readonly string[]> {
    const rig = await ServerRig.start();
    try {
      const stored = new StoredVault(rig.suite, new TestVault(rig.suite), rig.url);
      await stored.begin();
      const writer = new VaultWriter(stored, stored.founder, () => 0.5);
      for (let i = 0; i < 4; i++) await writer.append(1);
      await stored.look();
      await writer.append(2);
      expect(stored.found).toEqual([]);
      await rig.down();
      expect(stored.onDisk(rig.folder)).toEqual([
        expect.stringContaining("head: 7, expected 5"),
        expect.stringContaining("chain"),
        expect.stringContaining("bytes of the log"),
      ]);
      const db = new Database(join(rig.folder, "server.db"));
      db.exec(meanwhile);
      db.close();
      await rig.up();
      await stored.look();
      await stored.lookAgain();
      await rig.down();
      return [...stored.found, ...stored.onDisk(rig.folder)].map((what) => what.replace(/^vault \w+:? /, ""));
    } finally {
      await rig.dispose();
    }
  }

  test.each([
    ["nothing", "SELECT 1", []],
    [
      "an entry that was taken back",
      "DELETE FROM log WHERE seq = 7; UPDATE vaults SET head_seq = 6",
      ["a frame was committed at 7 and is not there"],
    ],
    [
      "an entry received at another time",
      "UPDATE log SET time = time + 1 WHERE seq = 3",
      ["the chain to entry 7 is another one than before"],
    ],
    [
      "an entry twice",
      "INSERT INTO log SELECT vault_n, 8, time, x'00', 0, id, membership, frame FROM log WHERE seq = 7; UPDATE vaults SET head_seq = 8",
      ["entry 8: frame 7 of device 0 after 7"],
    ],
  ])("sees %s", async (_, meanwhile, found) => {
    const seen = await judged(meanwhile);
    expect(seen).toEqual(found.length === 0 ? [] : expect.arrayContaining(found as string[]));
  });
});
