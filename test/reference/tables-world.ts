/** Random histories of a few devices over a schema with every kind of key and constraint. */
import fc from "fast-check";
import type { Change, Decl } from "./tables.ts";

const col = (name: string, notNull = false): Decl["columns"][number] => ({ name, notNull });

/** People (numbered), their notes, tags shared by text, who has which tag, and a tree. */
export const schema: Record<string, Decl> = {
  person: {
    columns: [col("id", true), col("mail"), col("name")],
    key: ["id"],
    collations: ["BINARY"],
    minted: true,
    unique: [{ columns: ["mail"], collations: ["NOCASE"] }],
    fks: [],
  },
  note: {
    columns: [col("id", true), col("owner"), col("text"), col("place", true)],
    key: ["id"],
    collations: ["BINARY"],
    minted: false,
    unique: [{ columns: ["owner", "text"], collations: ["BINARY", "RTRIM"] }],
    fks: [
      { columns: ["owner"], parent: "person", parentColumns: ["id"], onDelete: "set null" },
      { columns: ["place"], parent: "place", parentColumns: ["name"], onDelete: "no action" },
    ],
  },
  place: {
    columns: [col("name", true), col("in"), col("code", true)],
    key: ["name"],
    collations: ["NOCASE"],
    minted: false,
    unique: [{ columns: ["code"], collations: ["BINARY"] }],
    fks: [{ columns: ["in"], parent: "place", parentColumns: ["name"], onDelete: "cascade" }],
  },
  job: {
    columns: [col("id", true), col("boss"), col("what")],
    key: ["id"],
    collations: ["BINARY"],
    minted: true,
    unique: [],
    fks: [{ columns: ["boss"], parent: "job", parentColumns: ["id"], onDelete: "restrict" }],
  },
  does: {
    columns: [col("person", true), col("job", true), col("since")],
    key: ["person", "job"],
    collations: ["BINARY", "BINARY"],
    minted: false,
    unique: [],
    fks: [
      { columns: ["person"], parent: "person", parentColumns: ["id"], onDelete: "cascade" },
      { columns: ["job"], parent: "job", parentColumns: ["id"], onDelete: "no action" },
    ],
  },
};

export const declare: Change[] = Object.entries(schema).map(([table, decl]) => ({
  op: "schema",
  table,
  decl,
}));

const small = fc.integer({ min: 1, max: 4 }).map((n) => `i${n}`);
const borns = (from: string): fc.Arbitrary<string> =>
  fc.constantFrom("1", "2", "3", "4").map((n) => `@${from}${n}`);
const names = fc.constantFrom("ta", "tA", "tb", "tc", "tc ");
const maybe = (value: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.oneof({ arbitrary: value, weight: 4 }, fc.constant("n"));

/** By table: its keys, and what may stand in each column but those of a natural key. */
export const keys: Record<string, fc.Arbitrary<string[]>> = {
  person: borns("a").map((b) => [b]),
  job: borns("b").map((b) => [b]),
  note: fc.constantFrom(["i1"], ["r1"], ["tx"]),
  place: names.map((n) => [n]),
  does: fc.tuple(borns("a"), borns("b")).map(([a, b]) => [a, b]),
};
export const values: Record<string, Record<string, fc.Arbitrary<string>>> = {
  person: { id: small, mail: maybe(names), name: names },
  job: { id: small, boss: maybe(borns("b")), what: names },
  note: { owner: fc.oneof(maybe(borns("a")), small), text: maybe(names), place: names },
  place: { in: maybe(names), code: names },
  does: { since: maybe(small) },
};

/** What one device says, before its clock and what it had seen are known. */
export interface Saying {
  readonly op: "set" | "insert" | "delete" | "move" | "found";
  readonly table: string;
  readonly key: string[];
  readonly to: string[];
  readonly cells: Record<string, string>;
}

export const saying: fc.Arbitrary<Saying> = fc
  .tuple(
    fc.constantFrom(...Object.keys(schema)),
    fc.constantFrom("insert", "insert", "insert", "set", "set", "delete", "delete", "move", "found"),
  )
  .chain(([table, op]) => {
    const columns = values[table] as Record<string, fc.Arbitrary<string>>;
    const all = fc.record(columns);
    const some = fc.record(columns, { requiredKeys: [] }).map((c) => {
      // A set says something, and leaves the number of a row to moves.
      const entries = Object.entries(c).filter(
        ([name]) => !(schema[table]?.minted === true && name === "id"),
      );
      return Object.fromEntries(entries);
    });
    const key = keys[table] as fc.Arbitrary<string[]>;
    return fc.record({
      op: fc.constant(op as Saying["op"]),
      table: fc.constant(table),
      key,
      to: key,
      cells: op === "set" ? some : op === "delete" ? fc.constant({}) : all,
    });
  });
