import { copyFileSync } from "node:fs";
import { MapReplicaStore } from "@tidelock/testkit/map-store";
import { createFastSuite } from "@tidelock/testkit/world/fast-suite";
import { expect, test } from "vitest";
import { databasePoints } from "./points.ts";
import { sqliteCode } from "./sqlite.ts";
import { audit } from "./testing/audit.ts";
import { Crash, type Device, seeded } from "./testing/device.ts";
import { createWorld, type World } from "./testing/world.ts";

/** `TIDELOCK_SEED=n` repeats one history, `TIDELOCK_RUNS=n` makes n times as many. */
function setting(name: string, otherwise: number): number {
  const text = process.env[name];
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new RangeError(`${name} is no positive number: ${text}`);
  return value;
}

const schema = `
  CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT, u TEXT UNIQUE);
  CREATE TABLE c(id TEXT PRIMARY KEY, p INTEGER REFERENCES p ON DELETE SET NULL ON UPDATE CASCADE, n);
  CREATE TABLE l(p INTEGER REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE, c TEXT REFERENCES c ON DELETE CASCADE ON UPDATE CASCADE, PRIMARY KEY(p, c)) WITHOUT ROWID;
  CREATE TABLE k(a TEXT COLLATE NOCASE, b, v, PRIMARY KEY(a, b));`;

type Draw = (n: number) => number;

function statement(draw: Draw): string {
  const id = (): number => 1 + draw(12);
  const word = (): string => `'${"abcdefgh"[draw(8)]}'`;
  const key = (): string => (draw(2) ? word() : word().toUpperCase());
  const either = (): string => ["", " OR REPLACE", " OR IGNORE"][draw(3)] ?? "";
  const all: readonly (() => string)[] = [
    () => `INSERT${either()} INTO p(name, u) VALUES(${word()}, ${draw(2) ? word() : "NULL"})`,
    () => `INSERT OR REPLACE INTO p VALUES(${id()}, ${word()}, ${draw(2) ? word() : "NULL"})`,
    () => `UPDATE OR IGNORE p SET name=${word()}, u=${word()} WHERE id=${id()}`,
    () => `UPDATE OR REPLACE p SET u=${word()} WHERE id=${id()}`,
    () => `UPDATE OR IGNORE p SET id=${id()} WHERE id=${id()}`,
    () => `DELETE FROM p WHERE id=${id()}`,
    () =>
      `INSERT OR REPLACE INTO c VALUES(${key()}, (SELECT id FROM p WHERE id>=${id()} LIMIT 1), ${draw(9)})`,
    () => `INSERT INTO c VALUES(${key()}, NULL, 1) ON CONFLICT(id) DO UPDATE SET n=n+1`,
    () =>
      `UPDATE c SET p=(SELECT id FROM p WHERE id>=${id()} LIMIT 1), n=${draw(2) ? "1" : "1.0"} WHERE id=${key()}`,
    () => `UPDATE OR IGNORE c SET id=${key()} WHERE id=${key()}`,
    () => `DELETE FROM c WHERE id=${key()}`,
    () =>
      `INSERT OR IGNORE INTO l SELECT p.id, c.id FROM p, c WHERE p.id>=${id()} AND c.id>=${key()} LIMIT 1`,
    () => `DELETE FROM l WHERE p>=${id()}`,
    () => `INSERT OR REPLACE INTO k VALUES(${key()}, ${draw(3)}, ${draw(9)})`,
    () => `UPDATE OR IGNORE k SET a=${key()} WHERE a=${key()}`,
    () => `UPDATE k SET v=${draw(9)} WHERE b=${draw(3)}`,
    () => `DELETE FROM k WHERE a=${key()} AND b=${draw(3)}`,
  ];
  return `${(all[draw(all.length)] as () => string)()};`;
}

async function play(seed: number): Promise<string[]> {
  const bytes = seeded(seed);
  for (let i = 0; i < 8; i++) bytes(4);
  const draw: Draw = (n) => {
    const [a = 0, b = 0, c = 0] = bytes(3);
    return (a * 65536 + b * 256 + c) % n;
  };
  const w: World = createWorld({
    devices: 2 + draw(2),
    suite: createFastSuite(seeded(9)),
    makeStore: (spaces) => new MapReplicaStore(spaces),
  });
  const trace: string[] = [];
  const say = (text: string): number => trace.push(text);
  try {
    const attach = async (d: Device): Promise<void> => {
      await d.attach();
    };
    const again = (d: Device): void => {
      d.stopAt = undefined;
      d.restart(MapReplicaStore.fromImage((d.store as MapReplicaStore).image()));
    };
    const guarded = async (d: Device, work: () => Promise<unknown>): Promise<void> => {
      if (draw(4) === 0) {
        const point = databasePoints[draw(databasePoints.length)] ?? "flush-read";
        d.stopAt = { point, skip: draw(2) };
      }
      try {
        await work();
        d.stopAt = undefined;
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
        say(`  ${error.message}`);
        again(d);
        if (draw(2)) run(d);
        await attach(d);
      }
    };
    const run = (d: Device): void => {
      const sql = Array.from({ length: 1 + draw(4) }, () => statement(draw)).join(" ");
      say(`${w.devices.indexOf(d)}: ${sql}`);
      try {
        d.app(
          `PRAGMA foreign_keys=ON; PRAGMA recursive_triggers=${draw(2) ? "ON" : "OFF"}; BEGIN; ${sql} COMMIT;`,
        );
      } catch (error) {
        // As an app would find out: nothing of its transaction happened.
        if (!sqliteCode(error).startsWith("SQLITE_CONSTRAINT")) throw error;
      }
    };
    const backups = new Map<Device, string>();
    for (const d of w.devices) d.app(schema);
    for (const d of w.devices) {
      for (let i = draw(8); i > 0; i--) run(d);
      await guarded(d, () => attach(d));
      d.engine.push();
      if (draw(2)) for (const e of w.devices) e.engine.pull();
    }
    for (let step = 0; step < 30; step++) {
      const d = w.devices[draw(w.devices.length)] as Device;
      switch (draw(8)) {
        case 0:
        case 1:
        case 2:
          run(d);
          break;
        case 3:
        case 4:
          say(`${w.devices.indexOf(d)}: pump`);
          await guarded(d, async () => d.attachment?.pump());
          break;
        case 5:
          say(`${w.devices.indexOf(d)}: push`);
          d.engine.push();
          break;
        case 6:
          say(`${w.devices.indexOf(d)}: pull`);
          d.engine.pull();
          break;
        case 7: {
          if (draw(3) > 0) break;
          const copy = backups.get(d);
          if (copy === undefined || draw(2)) {
            const fresh = w.folder.file(`backup${w.devices.indexOf(d)}.db`);
            d.app("PRAGMA wal_checkpoint(TRUNCATE)");
            copyFileSync(d.path, fresh);
            backups.set(d, fresh);
            say(`${w.devices.indexOf(d)}: backup`);
          } else {
            again(d);
            copyFileSync(copy, d.path);
            say(`${w.devices.indexOf(d)}: restored`);
            if (draw(2)) run(d);
            await guarded(d, () => attach(d));
          }
          break;
        }
      }
    }
    await w.settle();
    await w.settle();
    const wrong = w.devices.flatMap((d, i) => [
      ...audit(d).map((text) => `device ${i}: ${text}`),
      ...(d.attachment?.issues() ?? [])
        .filter((i) => i.code !== "went-back")
        .map((issue) => `device ${i}: ${issue.code} ${issue.table} ${issue.text}`),
      ...(d.engine.read((tx) => d.kind.dirtyCount(tx)) > 0 ? [`device ${i}: dirty rows left`] : []),
      ...((d.rows("SELECT count(*) FROM _tl_out")[0] as bigint[])[0] === 0n ? [] : [`device ${i}: outbox`]),
    ]);
    const [first, ...others] = w.devices.map((d) => d.dump());
    others.forEach((dump, i) => {
      if (dump !== first) wrong.push(`device ${i + 1} differs\n${first}\n---\n${dump}`);
    });
    return wrong.length === 0 ? [] : [...trace, ...wrong];
  } finally {
    w.end();
  }
}

const SEEDS = 8;

test("[ATT14, ATT15, ATT28] devices that edit, stop, restore and go on show the same rows and believe what their files hold", async () => {
  const only = process.env["TIDELOCK_SEED"] === undefined ? undefined : setting("TIDELOCK_SEED", 1);
  const count = only === undefined ? SEEDS * setting("TIDELOCK_RUNS", 1) : 1;
  for (let i = 0; i < count; i++) {
    const seed = only ?? 1000 + i;
    let wrong: string[];
    try {
      wrong = await play(seed);
    } catch (error) {
      throw new Error(
        `repeat: TIDELOCK_SEED=${seed} npx vitest run packages/node/src/database/history.test.ts`,
        { cause: error },
      );
    }
    expect(
      wrong,
      `repeat: TIDELOCK_SEED=${seed} npx vitest run packages/node/src/database/history.test.ts`,
    ).toEqual([]);
  }
}, 3_600_000);
