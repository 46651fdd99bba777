import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { coreCell, coreDeclaration, coreKey, runs } from "../../../../../test/reference/tables-kit.ts";
import { schema } from "../../../../../test/reference/tables-world.ts";
import { fromHex, toHex } from "../../bytes/bytes.ts";
import { changeBytes, decodeSection, encodeSection, packRun, SECTION_BYTES } from "./codec.ts";
import { decodeDeclaration, encodeDeclaration, extendsDeclaration } from "./declaration.ts";
import { hlcAt } from "./hlc.ts";
import type { NamedCell, TableChange, TableDeclaration, TablesSection } from "./types.ts";
import { decodeCell, encodeValue } from "./value.ts";

const names = fc.constantFrom("a", "b", "c", "todo", "é", "e\u0301", "Todo");
const word = fc.constantFrom("n", "i1", "i-300", "r0.5", "ta", "t", "b00ff", "@1");
const key = fc
  .array(
    word.filter((w) => w !== "n"),
    { minLength: 1, maxLength: 3 },
  )
  .map(coreKey);
const cells = (min: number): fc.Arbitrary<NamedCell[]> =>
  fc.uniqueArray(fc.tuple(names, word.map(coreCell)), {
    minLength: min,
    maxLength: 5,
    selector: ([name]) => name,
  });
const hlc = fc
  .record({ ms: fc.constantFrom(0, 1e12, 1e12 + 5, 2 ** 48 - 1), n: fc.constantFrom(0, 1, 0xffff) })
  .map(({ ms, n }) => hlcAt(ms, n));
const declaration: fc.Arbitrary<TableDeclaration> = fc
  .constantFrom(...Object.keys(schema))
  .chain((name) =>
    fc.boolean().map((compressOff) => ({ ...coreDeclaration(name, schema[name] as never), compressOff })),
  );
const change: fc.Arbitrary<TableChange> = fc.oneof(
  fc.record({ op: fc.constant("set" as const), table: names, key, hlc, cells: cells(1) }),
  fc.record({ op: fc.constant("insert" as const), table: names, key, hlc, cells: cells(0) }),
  fc.record({ op: fc.constant("found" as const), table: names, key, cells: cells(0) }),
  fc.record({ op: fc.constant("delete" as const), table: names, key, hlc }),
  fc.record({ op: fc.constant("move" as const), table: names, key, to: key, hlc, cells: cells(0) }),
  fc.record({ op: fc.constant("schema" as const), declaration }),
);
const section: fc.Arbitrary<TablesSection> = fc.record({
  seen: fc.constantFrom(0, 1, 300, Number.MAX_SAFE_INTEGER),
  approved: fc.boolean(),
  changes: fc.array(change, { minLength: 1, maxLength: 8 }),
});

/** Cells of a change have no order: the encoding gives them one. */
const unordered = (s: TablesSection): unknown => ({
  ...s,
  changes: s.changes.map((c) => ("cells" in c ? { ...c, cells: Object.fromEntries(c.cells) } : c)),
});

test("[TBL2] every section is read back as it was written", () => {
  fc.assert(
    fc.property(section, (s) => {
      const bytes = encodeSection(s);
      const back = decodeSection(bytes);
      expect(back).not.toBe(null);
      expect(unordered(back as TablesSection)).toEqual(unordered(s));
      expect(encodeSection(back as TablesSection)).toEqual(bytes);
    }),
    runs(300),
  );
});

test("[TBL2] what is read is the one spelling of its changes", () => {
  const edit = fc.record({ at: fc.nat(), byte: fc.nat(255), cut: fc.nat(2), add: fc.nat(2) });
  let read = 0;
  fc.assert(
    fc.property(section, fc.array(edit, { minLength: 1, maxLength: 3 }), (s, edits) => {
      let bytes: Uint8Array = encodeSection(s);
      for (const { at, byte, cut, add } of edits) {
        const i = at % bytes.length;
        const middle = cut === 0 ? [byte] : Array<number>(add).fill(byte);
        bytes = Uint8Array.from([...bytes.subarray(0, i), ...middle, ...bytes.subarray(i + cut)]);
        if (bytes.length === 0) return;
      }
      const back = decodeSection(bytes);
      if (back === null) return;
      read++;
      expect(toHex(encodeSection(back))).toBe(toHex(bytes));
    }),
    runs(1500),
  );
  // Were everything refused, the property would say nothing.
  expect(read).toBeGreaterThan(50);
});

test("[TBL2] what has no encoding is not written", () => {
  const key1 = coreKey(["i1"]);
  const one = (changes: TableChange[]): Uint8Array => encodeSection({ seen: 0, approved: false, changes });
  expect(() => one([{ op: "set", table: "a", key: key1, hlc: 0n, cells: [] }])).toThrow(RangeError);
  const twice: NamedCell[] = [
    ["b", coreCell("n")],
    ["c", coreCell("n")],
    ["b", coreCell("n")],
  ];
  expect(() => one([{ op: "set", table: "a", key: key1, hlc: 0n, cells: twice }])).toThrow(RangeError);
  expect(() => one([{ op: "delete", table: "", key: key1, hlc: 0n }])).toThrow(RangeError);
  expect(() => one([{ op: "delete", table: "x".repeat(256), key: key1, hlc: 0n }])).toThrow(RangeError);
});

test("[TBL2] golden bytes: values and sections, and what is refused", () => {
  const url = new URL("../../../../../vectors/tidelock/tables.json", import.meta.url);
  const golden = JSON.parse(readFileSync(url, "utf8")) as {
    values: { value: string; bytes: string }[];
    sections: { name: string; seen: number; approved: boolean; changes: PlainChange[]; bytes: string }[];
    refused: { name: string; bytes: string }[];
  };
  for (const { value, bytes } of golden.values) {
    expect(toHex(encodeValue(fromPlain(value))), value).toBe(bytes);
    expect(decodeCell(fromHex(bytes) as never), value).toEqual(fromPlain(value));
  }
  for (const { name, bytes, ...plain } of golden.sections) {
    const made = { seen: plain.seen, approved: plain.approved, changes: plain.changes.map(fromPlainChange) };
    expect(toHex(encodeSection(made)), name).toBe(bytes);
    const back = decodeSection(fromHex(bytes) as Uint8Array);
    expect(unordered(back as TablesSection), name).toEqual(unordered(made));
  }
  expect(golden.refused.length).toBeGreaterThan(20);
  for (const { name, bytes } of golden.refused)
    expect(decodeSection(fromHex(bytes) as Uint8Array), name).toBe(null);
});

test("[TBL3] a run is packed schema first, in frames that fit", () => {
  const insert = (i: number, table = "a", size = 10): TableChange => ({
    op: "insert",
    table,
    key: coreKey([`i${i}`]),
    hlc: hlcAt(1e12 + i, 0),
    cells: [["text", encodeValue("x".repeat(size))]],
  });
  const declared: TableChange = {
    op: "schema",
    declaration: { ...coreDeclaration("a", schema["place"] as never), compressOff: true },
  };
  const many = Array.from({ length: 600 }, (_, i) => insert(i));
  const packed = packRun([...many, declared], { seen: 7, approved: true });
  expect(packed.map((p) => p.changes)).toEqual([256, 256, 89]);
  const back = packed.flatMap((p) => decodeSection(p.section)?.changes ?? []);
  expect(back).toHaveLength(601);
  expect(back[0]?.op).toBe("schema");
  expect(back.slice(1).map((c) => ("key" in c ? toHex(c.key) : ""))).toEqual(
    many.map((c) => ("key" in c ? toHex(c.key) : "")),
  );
  expect(decodeSection(packed[2]?.section as Uint8Array)).toMatchObject({ seen: 7, approved: true });
  expect(packed.every((p) => p.compressOff)).toBe(true);

  const large = Array.from({ length: 9 }, (_, i) => insert(i, i === 0 ? "secret" : "b", 250_000));
  const frames = packRun(large, { seen: 0, approved: false, compressOff: (t) => t === "secret" });
  expect(frames.map((f) => f.changes)).toEqual([3, 3, 3]);
  expect(frames.map((f) => f.compressOff)).toEqual([true, false, false]);
  for (const f of frames) {
    expect(f.section.length).toBeLessThanOrEqual(SECTION_BYTES);
    expect(decodeSection(f.section)).not.toBe(null);
  }
  expect(packRun([], { seen: 0, approved: false })).toEqual([]);
  expect(() => packRun([insert(1, "a", SECTION_BYTES)], { seen: 0, approved: false })).toThrow(
    "larger than a frame",
  );
  expect(changeBytes(insert(1))).toBeLessThan(40);
});

test("[TBL3] a frame that did not fit its last change has the names of the others alone", () => {
  const wide = (table: string, size: number): TableChange => ({
    op: "set",
    table,
    key: coreKey(["i1"]),
    hlc: hlcAt(5, 0),
    cells: [[`c_${table}`, encodeValue("x".repeat(size))]],
  });
  const packed = packRun([wide("a", 500_000), wide("b", 500_000)], { seen: 0, approved: false });
  expect(packed).toHaveLength(2);
  for (const p of packed) expect(decodeSection(p.section)?.changes).toHaveLength(1);
});

test("[TBL4] a declaration comes back as it was; only columns at the end extend it", () => {
  fc.assert(
    fc.property(declaration, (d) => {
      const bytes = encodeDeclaration(d);
      expect(decodeDeclaration(bytes)).toEqual(d);
      expect(extendsDeclaration(d, d)).toBe(true);
      const more = { ...d, columns: [...d.columns, { name: "more", type: "", notNull: true }] };
      expect(extendsDeclaration(d, more)).toBe(true);
      expect(extendsDeclaration(more, d)).toBe(false);
      expect(extendsDeclaration(d, { ...d, minted: !d.minted })).toBe(false);
      expect(extendsDeclaration(d, { ...more, columns: more.columns.toReversed() })).toBe(false);
    }),
    runs(50),
  );
});

interface PlainChange {
  readonly op: string;
  readonly table: string;
  readonly key?: string[];
  readonly to?: string[];
  readonly hlc?: [number, number];
  readonly cells?: [string, string][];
  readonly declaration?: TableDeclaration;
}

/** Values of the vector file: JSON text of a number or text, or one of a few marked forms. */
function fromPlain(text: string): ReturnType<typeof decodeCell> {
  if (text.startsWith("real:")) return text === "real:-0" ? -0 : Number(text.slice(5));
  return decodeCell(text.startsWith("hex:") ? (fromHex(text.slice(4)) as never) : coreCell(text));
}

function fromPlainChange(c: PlainChange): TableChange {
  if (c.declaration !== undefined) return { op: "schema", declaration: c.declaration };
  return {
    op: c.op,
    table: c.table,
    key: coreKey(c.key ?? []),
    ...(c.to === undefined ? {} : { to: coreKey(c.to) }),
    ...(c.hlc === undefined ? {} : { hlc: hlcAt(c.hlc[0], c.hlc[1]) }),
    ...(c.cells === undefined ? {} : { cells: c.cells.map(([n, v]) => [n, coreCell(v)]) }),
  } as TableChange;
}
