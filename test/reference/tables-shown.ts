/**
 * The constraints of docs/spec/tables.md, said plainly: every row is looked at, again and again, until nothing
 * changes. Imports nothing of the reducer it is the oracle for.
 */
import {
  after,
  alive,
  type Clock,
  clocks,
  type Decl,
  type Row,
  rank,
  type Shown,
  type Table,
} from "./tables-words.ts";

type Fk = Decl["fks"][number];
const exists = (r: Row): boolean => alive(r) || r.returned === true;
const value = (t: Table, r: Row, name: string): string =>
  !t.decl.minted && t.decl.key.includes(name)
    ? (r.key[t.decl.key.indexOf(name)] as string)
    : (r.cells.get(name)?.v ?? "n");
const nullable = (t: Table, names: string[]): string[] =>
  names.filter((n) => !t.decl.key.includes(n) && t.decl.columns.some((c) => c.name === n && !c.notNull));
const fold = (v: string, by: string | undefined): string => {
  if (v[0] === "r" && Number.isInteger(Number(v.slice(1)))) return `i${BigInt(Number(v.slice(1)))}`;
  if (v[0] !== "t" || by === "BINARY") return v;
  return by === "NOCASE" ? v.replace(/[A-Z]/g, (x) => x.toLowerCase()) : v.replace(/ +$/, "");
};

export function project(tables: Map<string, Table>): void {
  const all = [...tables].flatMap(([name, t]) => [...t.rows.values()].map((r) => ({ name, t, r })));
  const parents = (t: Table, r: Row): { p: Row; fk: Fk }[] =>
    t.decl.fks.flatMap((fk) => {
      const table = tables.get(fk.parent);
      if (!table || fk.columns.length !== table.decl.key.length) return [];
      const key = table.decl.key.map((k) => value(t, r, fk.columns[fk.parentColumns.indexOf(k)] as string));
      const p = key.includes("n") ? undefined : table.rows.get(key.join());
      return p?.ins ? [{ p, fk }] : [];
    });

  // Up.
  for (let more = true; more; ) {
    more = false;
    for (const { t, r } of all)
      for (const { p, fk } of exists(r) ? parents(t, r) : [])
        if (["no action", "restrict"].includes(fk.onDelete) && !exists(p)) more = p.returned = true;
  }

  // Unique.
  const groups = new Map<string, { r: Row; place: [number, number]; nulls: string[] }[]>();
  const claim = (group: unknown[], r: Row, place: [number, number], nulls: string[]): void => {
    const text = JSON.stringify(group);
    groups.set(text, [...(groups.get(text) ?? []), { r, place, nulls }]);
  };
  for (const { name, t, r } of all) {
    if (!exists(r)) continue;
    const { decl } = t;
    const last = r.returned ? 1 : 0;
    const back = clocks(r).filter((c) => r.del && after(c, r.del as Clock));
    const since = back.length > 0 ? Math.min(...back.map((c) => c.seq)) : 0;
    const at = (column: string): number =>
      (decl.key.includes(column) ? r.ins : r.cells.get(column)?.clock)?.seq ?? 0;
    const sets = decl.unique.filter((u) => !decl.minted || !u.columns.includes(decl.key[0] as string));
    if (!decl.minted) sets.push({ columns: decl.key, collations: decl.collations });
    for (const [i, u] of sets.entries()) {
      const vs = u.columns.map((column, j) => fold(value(t, r, column), u.collations[j]));
      const seq = Math.max(since, ...u.columns.map(at));
      if (!vs.includes("n")) claim([name, i, vs], r, [last, seq], nullable(t, u.columns));
    }
    const taker = decl.minted ? t.holders.get(r.number as bigint)?.row : undefined;
    if (decl.minted) claim([name, `${r.number}`], r, taker === r ? [-1, 0] : [last, r.ins?.seq ?? 0], []);
  }
  const text = (key: string[]): string => key.map(rank).join();
  for (const claims of groups.values()) {
    const [, ...losers] = claims.sort(
      (a, b) =>
        a.place[0] - b.place[0] || a.place[1] - b.place[1] || (text(a.r.key) < text(b.r.key) ? -1 : 1),
    );
    for (const { r, nulls } of losers) {
      if (nulls.length === 0) r.hidden = true;
      r.nulls = new Set([...(r.nulls ?? []), ...nulls]);
    }
  }

  // Down.
  const losses = (t: Table, r: Row): string[][] =>
    parents(t, r)
      .filter(({ p }) => !exists(p) || p.hidden)
      .map(({ fk }) => (fk.onDelete === "cascade" ? [] : nullable(t, fk.columns)));
  for (let more = true; more; ) {
    more = false;
    for (const { t, r } of all)
      if (exists(r) && !r.hidden && losses(t, r).some((nulls) => nulls.length === 0)) more = r.hidden = true;
  }
  for (const { t, r } of all) r.nulls = new Set([...(r.nulls ?? []), ...losses(t, r).flat()]);
}

export function show(tables: Map<string, Table>): Shown {
  const cell = (t: Table, r: Row, name: string): string => {
    if (r.nulls?.has(name)) return "n";
    return t.decl.minted && name === t.decl.key[0] ? `i${r.number}` : value(t, r, name);
  };
  const row = (t: Table, r: Row): [string, Record<string, string>] => [
    r.key.join(),
    Object.fromEntries(t.decl.columns.map(({ name }) => [name, cell(t, r, name)])),
  ];
  const rows = (t: Table): Row[] => [...t.rows.values()].filter((r) => exists(r) && !r.hidden);
  return Object.fromEntries(
    [...tables].map(([n, t]) => [n, Object.fromEntries(rows(t).map((r) => row(t, r)))]),
  );
}
