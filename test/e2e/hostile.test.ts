/**
 * The attacks of whoever keeps a vault's log, by name (docs/threat-model.md), against the engine, the remotes that
 * ship and attached SQLite files: a real server behind a proxy that lies, and a real folder rewritten by hand. Each
 * time: the answer that is promised, nothing applied, and afterwards the devices go on.
 */
import { loadSuite } from "@tidelock/node/crypto/load-suite";
import { HostileServer } from "@tidelock/testkit/hostile/server";
import { draws, forSeeds, seeds } from "@tidelock/testkit/suites/seeds";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { answers } from "./hostile/answers.ts";
import type { Attack } from "./hostile/attack.ts";
import { FolderPlace } from "./hostile/folder.ts";
import { forAll } from "./hostile/for-all.ts";
import { members } from "./hostile/members.ts";
import { newcomer } from "./hostile/newcomer.ts";
import { oddObjects } from "./hostile/odd-objects.ts";
import { oneReader } from "./hostile/one-reader.ts";
import { Scene } from "./hostile/scene.ts";
import { type Row, tableOf } from "./hostile/table.ts";

interface Group {
  readonly name: string;
  readonly attacks: readonly Attack[];
  readonly prepare?: (s: Scene) => Promise<void>;
}

/** From here on its holder writes what it likes into the one log that everybody finds. */
async function takenOver(s: Scene): Promise<void> {
  await s.place.show(await s.place.found());
}

const groups: readonly Group[] = [
  { name: "shown to one device", attacks: oneReader },
  { name: "shown to a newcomer", attacks: newcomer },
  { name: "answered to a call", attacks: answers },
  {
    name: "placed for everybody",
    attacks: forAll,
    prepare: async (s) => {
      await s.recruit({ editor: "editor" });
      await takenOver(s);
    },
  },
  {
    name: "signed by members",
    attacks: members,
    prepare: async (s) => {
      await s.recruit({
        admin: "admin",
        editor: "editor",
        viewer: "viewer",
        leaver: "editor",
        thief: "editor",
      });
      await takenOver(s);
    },
  },
  {
    name: "put into the folder by hand",
    attacks: oddObjects,
    prepare: (s) => s.recruit({ editor: "editor" }),
  },
];

const RUNS = seeds(1);
const IN_A_ROW = 3;
/** Of one test, on a machine that is busy with others. */
const PATIENCE = 120_000 * RUNS.length;
const { suite } = await loadSuite();
const rows: Row[] = [];
let server: HostileServer;
beforeAll(async () => {
  server = await HostileServer.start();
}, PATIENCE);
afterAll(() => server.stop());

for (const name of ["server", "folder"] as const)
  for (const group of groups) {
    const attacks = group.attacks.filter((one) => (one.on ?? name) === name);
    describe.skipIf(attacks.length === 0)(`${group.name}, ${name}`, () => {
      let ready: Scene | undefined;
      afterAll(() => ready?.close());
      for (const attack of attacks)
        test(titleOf(attack), { timeout: PATIENCE }, async () => {
          const s = ready ?? (await open(name, group));
          // A scene in which something failed serves nobody else.
          ready = undefined;
          await mount(s, attack);
          if (attack.last === true) await s.close();
          else ready = s;
        });
    });
  }

for (const name of ["server", "folder"] as const)
  test(`one after another in any order, ${name}`, { timeout: PATIENCE }, async () => {
    await forSeeds(1, async (seed) => {
      const draw = draws(seed);
      const s = await open(name, { name: "", attacks: [] });
      const fit = [...oneReader, ...answers].filter((one) => (one.on ?? name) === name);
      for (let i = 0; i < IN_A_ROW; i++) await mount(s, fit[Math.floor(draw() * fit.length)] as Attack);
      await s.close();
    });
  });

test("of all attacks that were mounted none was applied", () => {
  process.stdout.write(`\n${tableOf(rows)}\n`);
  expect(rows.filter(({ applied }) => applied.length > 0)).toEqual([]);
});

function titleOf({ ids, what, shows }: Attack): string {
  return `${shows === undefined ? "" : `[${shows}] `}${ids}: ${what}`;
}

async function mount(s: Scene, attack: Attack): Promise<void> {
  // Until it has ended as promised.
  let outcome = "FAILED";
  try {
    outcome = await attack.run(s);
  } finally {
    const applied = [s.a, s.b, s.c].flatMap((device) => s.foreign(device));
    rows.push({ attack, place: s.place.name, outcome, applied });
  }
  expect(rows.at(-1)?.applied).toEqual([]);
}

async function open(name: "server" | "folder", group: Group): Promise<Scene> {
  const s = await Scene.open(suite, (kit) => (name === "server" ? server.place(kit) : new FolderPlace(kit)));
  await group.prepare?.(s);
  return s;
}
