import type { TablesView } from "@tidelock/core/kinds/tables/api";
import { bornKey, keyOf } from "@tidelock/core/kinds/tables/key";
import {
  type Born,
  InvalidText,
  RowReference,
  type TableDeclaration,
} from "@tidelock/core/kinds/tables/types";
import type { Tx } from "@tidelock/core/log/tx";
import { expect, test } from "vitest";
import { jsonOf, jsonOfKey, parseObject } from "./values.ts";

const table = (name: string, key: readonly string[], minted = false): TableDeclaration => ({
  name,
  columns: key.map((column) => ({ name: column, type: "", notNull: true })),
  key: key.map((_, i) => i),
  keyCollations: key.map(() => "BINARY" as const),
  minted,
  unique: [],
  foreignKeys: [],
  compressOff: false,
});

const born = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]) as Born;
const gone = new Uint8Array(8).fill(9) as Born;
const declarations = [table("note", ["id"]), table("pair", ["a", "b"]), table("row", ["id"], true)];

/** A vault that knows the row of each of these keys, and number 7 of the numbered table. */
function viewOf(...known: readonly Uint8Array[]): TablesView {
  const isKnown = (key: Uint8Array): boolean => known.some((one) => Buffer.compare(one, key) === 0);
  const view: Partial<TablesView> = {
    declarations: () => declarations,
    declaration: (_tx, name) => declarations.find((d) => d.name === name),
    bornOf: (_tx, _table, number) => (number === 7n ? born : undefined),
    numberOf: (_tx, _table, one) => (Buffer.compare(one, born) === 0 ? 7n : undefined),
    history: (_tx, _table, key) => (isKnown(key) ? ([{}] as never) : []),
  };
  return view as TablesView;
}

const tx = {} as Tx;
const keyIn = (text: string, ...known: readonly Uint8Array[]): Uint8Array =>
  parseObject(tx, viewOf(...known), text, () => [bornKey(gone)]).key;

test("[IFC12] a row is named by a plain value, which is the number or the text that the vault knows", () => {
  expect(keyIn("note/5", keyOf("5"))).toEqual(keyOf("5"));
  expect(keyIn("note/5", keyOf(5n))).toEqual(keyOf(5n));
  expect(keyIn("NOTE/a/b c")).toEqual(keyOf("a/b c"));
  expect(keyIn("note/[not json")).toEqual(keyOf("[not json"));
  expect(keyIn('note/[{"blob":"00ff"}]')).toEqual(keyOf(new Uint8Array([0, 255])));
});

test("[IFC12] several values are a JSON array, and a numbered row is named by its number", () => {
  expect(keyIn('pair/["x",2]')).toEqual(keyOf("x", 2n));
  expect(keyIn('pair/["x",{"integer":"9007199254740993"}]')).toEqual(keyOf("x", 9007199254740993n));
  expect(keyIn("row/7")).toEqual(bornKey(born));
  expect(keyIn("row/8")).toEqual(bornKey(gone));
  for (const [text, code] of [
    ["pair/x", "not-found"],
    ["row/seven", "not-found"],
    ["nothing/1", "not-found"],
    ["note/", "usage"],
    ["note", "usage"],
    ['pair/["x",{"odd":1}]', "usage"],
  ] as const)
    expect(() => keyIn(text), text).toThrow(expect.objectContaining({ code }));
});

test("[IFC8] values that JSON lacks keep their kind", () => {
  expect(
    [
      1n,
      2n ** 60n,
      1.5,
      "text",
      null,
      new Uint8Array([1]),
      new InvalidText(new Uint8Array([255])),
      new RowReference(born),
    ].map(jsonOf),
  ).toEqual([
    1,
    { integer: "1152921504606846976" },
    1.5,
    "text",
    null,
    { blob: "01" },
    { blob: "ff" },
    { row: "0102030405060708" },
  ]);
  const view = viewOf();
  expect(
    [keyOf("a"), keyOf("a", 1n), bornKey(born), bornKey(gone)].map((key) => jsonOfKey(tx, view, "row", key)),
  ).toEqual(["a", ["a", 1], 7, { row: "0909090909090909" }]);
});
