import fc from "fast-check";
import { expect, test } from "vitest";
import type { Change, Run } from "../../../../../test/reference/tables.ts";
import {
  born,
  coreCell,
  coreKey,
  plainKey,
  plainRow,
  plainTable,
  runs,
  Told,
} from "../../../../../test/reference/tables-kit.ts";
import { declare, saying, schema } from "../../../../../test/reference/tables-world.ts";

/** A world with a file that shows what it is told, row by row. */
class Filed extends Told {
  readonly file = new Map<string, readonly string[] | undefined>();

  trackAll(): void {
    this.tx((tx) => {
      for (const table of Object.keys(schema)) this.kind.track(tx, table);
    });
  }

  /** Writes up to `limit` dirty rows into the file, as a projection does. */
  project(limit = 1e6): number {
    return this.tx((tx) => {
      const rows = this.kind.dirty(tx, limit);
      for (const { table, key } of rows) {
        const row = this.kind.view(tx, table, key);
        this.file.set(`${table} ${plainKey(key)}`, plainRow(row));
        this.kind.setShown(tx, table, key, row);
      }
      return rows.length;
    });
  }

  /** The file's own program writes a row. */
  write(table: string, key: string[], cells: readonly string[] | undefined): void {
    this.tx((tx) => {
      this.file.set(`${table} ${key}`, cells);
      this.kind.setShown(tx, table, coreKey(key), { clock: 5n, cells: cells?.map(coreCell) });
    });
  }

  dirty(): string[] {
    return this.tx((tx) => this.kind.dirty(tx, 1e6)).map(({ table, key }) => `${table} ${plainKey(key)}`);
  }

  /** Compares what the kind thinks the file shows, and which rows it calls dirty, with the file. */
  check(): void {
    this.tx((tx) => {
      const dirty = new Set(this.dirtyIn(tx));
      const keys = new Set([...this.file.keys(), ...dirty]);
      for (const d of this.kind.declarations(tx))
        for (const { key } of this.kind.scanView(tx, d.name, undefined, 1e6))
          keys.add(`${d.name} ${plainKey(key)}`);
      for (const name of keys) {
        const [table, ...rest] = name.split(" ");
        const key = coreKey(rest.join(" ").split(","));
        const shown = plainRow(this.kind.shown(tx, table as string, key));
        const view = plainRow(this.kind.view(tx, table as string, key));
        expect(shown, name).toEqual(this.file.get(name));
        if (!dirty.has(name)) expect(view, name).toEqual(shown);
      }
      expect(this.kind.dirtyCount(tx)).toBe(dirty.size);
    });
  }

  private dirtyIn(tx: Parameters<Parameters<Told["tx"]>[0]>[0]): string[] {
    return this.kind.dirty(tx, 1e6).map(({ table, key }) => `${table} ${plainKey(key)}`);
  }
}

const insert = (table: string, id: string, cells: Record<string, string>, ms = 100): Change => ({
  op: "insert",
  table,
  key: [id],
  ms,
  cells,
});

test("[TBL31] tracking starts with nothing shown, and ends where it is ended", () => {
  const world = new Filed();
  world.say(0, [plainTable("t", ["a"])]);
  world.say(0, [insert("t", "i1", { a: "tx" }), insert("t", "i2", { a: "ty" })]);
  world.tx((tx) => {
    expect(world.kind.dirtyCount(tx)).toBe(0);
    expect(world.kind.shown(tx, "t", coreKey(["i1"]))).toEqual({ clock: 0n, cells: undefined });
    world.kind.track(tx, "t");
    expect(world.kind.shown(tx, "t", coreKey(["i1"])).cells).toBe(undefined);
    expect(world.kind.dirtyCount(tx)).toBe(2);
  });
  expect(world.project(1)).toBe(1);
  expect(world.dirty()).toEqual(["t i2"]);
  world.check();
  world.project();
  world.tx((tx) => {
    // Not dirty: shown as the view has it, clock included.
    expect(world.kind.shown(tx, "t", coreKey(["i1"]))).toEqual(world.kind.view(tx, "t", coreKey(["i1"])));
    world.kind.track(tx, "t");
    expect(world.kind.dirtyCount(tx)).toBe(2);
    world.kind.untrack(tx, "t");
    expect(world.kind.dirtyCount(tx)).toBe(0);
    world.kind.untrack(tx, "t");
    world.kind.untrack(tx, "never");
    world.kind.setShown(tx, "never", coreKey(["i1"]), { clock: 0n, cells: [] });
  });
  world.say(0, [insert("t", "i3", { a: "n" })]);
  expect(world.dirty()).toEqual([]);
});

test("[TBL31] a table can be tracked before anybody declares it", () => {
  const world = new Filed();
  world.tx((tx) => world.kind.track(tx, "t"));
  world.say(0, [plainTable("t", ["a"]), insert("t", "i1", { a: "tx" })]);
  expect(world.dirty()).toEqual(["t i1"]);
});

test("[TBL30] a row is dirty while it differs, however often it is touched", () => {
  const world = new Filed();
  world.tx((tx) => world.kind.track(tx, "t"));
  world.say(0, [plainTable("t", ["a"])]);
  world.say(0, [insert("t", "i1", { a: "tx" })]);
  world.project();
  world.say(0, [{ op: "set", table: "t", key: ["i1"], ms: 200, cells: { a: "ty" } }]);
  expect(world.dirty()).toEqual(["t i1"]);
  const before = world.tx((tx) => world.kind.shown(tx, "t", coreKey(["i1"])));
  expect(plainRow(before)).toEqual(["i1", "tx"]);
  // The clock the file saw is the one an edit of it must be past: not that of what came since.
  expect(before.clock).toBeLessThan(world.tx((tx) => world.kind.view(tx, "t", coreKey(["i1"]))).clock);
  world.say(0, [{ op: "set", table: "t", key: ["i1"], ms: 300, cells: { a: "tx" } }]);
  expect(world.dirty()).toEqual([]);
  world.say(0, [{ op: "delete", table: "t", key: ["i1"], ms: 400 }]);
  expect(world.dirty()).toEqual(["t i1"]);
  world.write("t", ["i1"], undefined);
  expect(world.dirty()).toEqual([]);
  // A file that shows a row nobody knows has it marked too.
  world.write("t", ["i9"], ["i9", "tstray"]);
  expect(world.dirty()).toEqual(["t i9"]);
  world.check();
});

test("[TBL30] parents come first, and a changed number makes those that show it dirty", () => {
  const world = new Filed();
  world.say(0, declare);
  world.trackAll();
  const pending = (id: number, changes: Change[]): void =>
    world.hold(id, { seq: 0, time: 0, device: 1, seen: world.seq, changes });
  pending(1, [
    { op: "insert", table: "does", key: ["@a1", "@b1"], ms: 9, cells: { since: "n" } },
    insert("note", "i1", { owner: "@a1", text: "n", place: "ta" }),
    insert("place", "ta", { in: "n", code: "t1" }),
    insert("person", "@a1", { id: "i1", mail: "n", name: "n" }),
    insert("job", "@b1", { id: "i1", boss: "n", what: "n" }),
  ]);
  const order = world.dirty().map((d) => d.split(" ")[0]);
  expect(order.indexOf("person")).toBeLessThan(order.indexOf("does"));
  expect(order.indexOf("job")).toBeLessThan(order.indexOf("does"));
  expect(order.indexOf("place")).toBeLessThan(order.indexOf("note"));
  world.project();
  expect(world.dirty()).toEqual([]);
  world.say(2, [insert("person", "@a2", { id: "i1", mail: "n", name: "n" })], 1);
  // a1 has another number now: its note and its job show it, and differ in no cell.
  expect(world.dirty().sort()).toEqual(["does @a1,@b1", "note i1", "person @a1", "person @a2"]);
  world.tx((tx) => {
    expect(world.kind.numberOf(tx, "person", born("a1"))).toBe(2n);
    expect(world.kind.shownNumberOf(tx, "person", born("a1"))).toBe(1n);
    expect(world.kind.shownBornOf(tx, "person", 1n)).toEqual(born("a1"));
    expect(world.kind.bornOf(tx, "person", 1n)).toEqual(born("a2"));
    expect(world.kind.shownBornOf(tx, "person", 2n)).toBe(undefined);
  });
  world.project();
  world.tx((tx) => {
    expect(world.kind.shownBornOf(tx, "person", 1n)).toEqual(born("a2"));
    expect(world.kind.shownBornOf(tx, "person", 2n)).toEqual(born("a1"));
    expect(world.kind.shownNumberOf(tx, "nowhere", born("a1"))).toBe(undefined);
  });
  expect(world.dirty()).toEqual([]);
});

test("[TBL29, TBL30] a row under an alias is the row it stands for, in the file too", () => {
  const world = new Filed();
  world.say(0, declare);
  world.trackAll();
  const found: Change[] = [
    { op: "found", table: "person", key: ["@a9"], cells: { id: "i1", mail: "n", name: "tAda" } },
    { op: "found", table: "does", key: ["@a9", "@b1"], cells: { since: "n" } },
  ];
  // The file is written down before the vault's row is known here.
  world.hold(1, { seq: 0, time: 0, device: 1, seen: 1, changes: found });
  world.project();
  expect(world.dirty()).toEqual([]);
  world.say(2, [insert("person", "@a1", { id: "i1", mail: "n", name: "tAda" })], 1);
  expect(world.dirty()).toEqual([]);
  world.tx((tx) => {
    expect(plainRow(world.kind.shown(tx, "person", coreKey(["@a1"])))).toEqual(["i1", "n", "tAda"]);
    expect(plainRow(world.kind.shown(tx, "does", coreKey(["@a1", "@b1"])))).toEqual(["@a1", "@b1", "n"]);
  });
  world.tx((tx) => {
    world.kind.release(tx, 1);
    world.seq++;
    world.applyIn(tx, { seq: world.seq, time: world.time, device: 1, seen: 1, changes: found }, true);
  });
  expect(world.dirty()).toEqual([]);
  world.write("person", ["@a9"], ["i1", "n", "tother"]);
  expect(world.dirty()).toEqual(["person @a1"]);
});

test("[TBL29] confirming an own run leaves nothing to write, not even where clocks were clamped", () => {
  const world = new Filed();
  world.say(0, declare);
  world.trackAll();
  const far = world.time + 86_400_000;
  const changes = [
    insert("person", "@a1", { id: "i1", mail: "ta", name: "n" }, far),
    insert("place", "ta", { in: "ta", code: "t1" }, far),
    insert("note", "i1", { owner: "@a1", text: "tx", place: "ta" }, far),
  ];
  world.hold(1, { seq: 0, time: 0, device: 1, seen: 1, changes });
  world.project();
  world.tx((tx) => {
    world.seq++;
    world.applyIn(tx, { seq: world.seq, time: world.time, device: 1, seen: 1, changes }, true);
    world.kind.release(tx, 1);
  });
  expect(world.dirty()).toEqual([]);
  expect(world.store.count("t.over")).toBe(0);
  expect(world.store.count("t.vnum")).toBe(0);
  expect(world.store.count("t.pend") + world.store.count("t.pkey") + world.store.count("t.pnote")).toBe(0);
});

test("[TBL28] a declaration that another one beats to the log: rows are read in its terms, by name", () => {
  const world = new Filed();
  world.tx((tx) => world.kind.track(tx, "t"));
  world.hold(1, {
    seq: 0,
    time: 0,
    device: 1,
    seen: 0,
    changes: [plainTable("t", ["a", "b"]), insert("t", "i1", { a: "t1", b: "t2" })],
  });
  world.project();
  world.write("t", ["i5"], ["i5", "tstray", "n"]);
  world.say(2, [plainTable("t", ["c", "b"]), insert("t", "i2", { c: "t3", b: "t4" })]);
  // Our row names a column that the vault does not have: it waits, and the file still shows it.
  expect(world.shown()["t"]).toEqual({ i2: { id: "i2", c: "t3", b: "t4" } });
  world.tx((tx) => {
    expect(plainRow(world.kind.shown(tx, "t", coreKey(["i1"])))).toEqual(["i1", "n", "t2"]);
    expect(plainRow(world.kind.shown(tx, "t", coreKey(["i5"])))).toEqual(["i5", "n", "n"]);
  });
  world.tx((tx) => world.kind.release(tx, 1));
  expect(world.shown()["t"]).toEqual({ i2: { id: "i2", c: "t3", b: "t4" } });
});

type Step =
  | { readonly kind: "say"; readonly own: boolean; readonly said: Change[] }
  | { readonly kind: "confirm" | "drop" }
  | { readonly kind: "project"; readonly limit: number }
  | { readonly kind: "write"; readonly change: Change };
// Aliases move what a file shows from one key to another: those have tests of their own.
const change: fc.Arbitrary<Change> = saying
  .filter((s) => s.op !== "found" && !(s.op === "set" && Object.keys(s.cells).length === 0))
  .map(
    (s): Change => ({
      ...s,
      ...(s.op === "move" && schema[s.table]?.minted === true ? { to: s.key } : {}),
      ms: 10,
    }),
  );
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("say" as const),
      own: fc.boolean(),
      said: fc.array(change, { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("confirm" as const, "drop" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("project" as const), limit: fc.integer({ min: 1, max: 9 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("write" as const), change }) },
);

test("[TBL30, TBL31] shown is what the file was told, and dirty what differs", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 30, size: "max" }), (steps) => {
      const world = new Filed();
      world.say(0, declare);
      world.trackAll();
      const waiting: { id: number; run: Run }[] = [];
      let ms = 0;
      let id = 0;
      for (const s of steps) {
        if (s.kind === "say") {
          const said = s.said.map((c): Change => ({ ...c, ms: ms++ }) as Change);
          const run = { seq: 0, time: 0, device: s.own ? 1 : 2, seen: world.seq, changes: said };
          if (s.own) {
            waiting.push({ id: ++id, run });
            world.hold(id, run);
          } else world.say(2, said);
        } else if (s.kind === "project") world.project(s.limit);
        else if (s.kind === "write") {
          const c = s.change;
          if (c.op === "schema") continue;
          const columns = schema[c.table]?.columns ?? [];
          const cells = columns.map(({ name }) => {
            const place = schema[c.table]?.minted === true ? -1 : (schema[c.table]?.key.indexOf(name) ?? -1);
            return place >= 0 ? (c.key[place] as string) : (c.cells?.[name] ?? "n");
          });
          world.write(c.table, c.key, c.op === "delete" ? undefined : cells);
        } else {
          const next = waiting.shift();
          if (next === undefined) continue;
          world.tx((tx) => {
            world.kind.release(tx, next.id);
            if (s.kind === "drop") return;
            world.seq++;
            world.applyIn(tx, { ...next.run, seq: world.seq, time: world.time }, true);
          });
        }
        world.check();
      }
      world.project();
      world.check();
      expect(world.dirty()).toEqual([]);
      const own = waiting.splice(0);
      for (const { id: run, run: said } of own) {
        world.tx((tx) => {
          world.kind.release(tx, run);
          world.seq++;
          world.applyIn(tx, { ...said, seq: world.seq, time: world.time }, true);
        });
      }
      expect(world.dirty()).toEqual([]);
    }),
    runs(60),
  );
});
