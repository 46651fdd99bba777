/**
 * What docs/spec/tables.md says, once more, as plainly as it can be said: every answer is computed
 * from the whole history, nothing is kept. The oracle for the real reducer; imports nothing of it.
 *
 * A value is a string: "n" NULL, "i5", "r0.5", "tabc", "@<born>" a row reference.
 */
export interface Clock { ms: number; n: number; seq: number }
export interface Decl {
  columns: { name: string; notNull: boolean }[]; key: string[]; collations: string[]; minted: boolean;
  unique: { columns: string[]; collations: string[] }[];
  fks: { columns: string[]; parent: string; parentColumns: string[]; onDelete: string }[];
}
export type Change =
  | { op: "schema"; table: string; decl: Decl }
  | { op: "set" | "insert" | "delete" | "move" | "found"; table: string; key: string[]; to?: string[]; ms?: number; n?: number; cells?: Record<string, string> };
export interface Run { seq: number; time: number; device: number; seen: number; changes: Change[] }
interface Row {
  table: string; key: string[]; ins?: Clock; del?: Clock; move?: Clock; to?: string[];
  cells: Map<string, { clock: Clock; v: string }>; number?: bigint;
  returned?: boolean; hidden?: boolean; nulls?: Set<string>;
}
interface Table { decl: Decl; rows: Map<string, Row>; holders: Map<bigint, { row: Row; gone?: { seq: number; device: number } }>; high?: bigint }
export type Shown = Record<string, Record<string, Record<string, string>>>;

const MAX = 2n ** 63n - 1n;
const after = (a: Clock, b: Clock): boolean =>
  (a.ms - b.ms || a.n - b.n || (a.ms + a.n === 0 ? b.seq - a.seq : a.seq - b.seq)) > 0;
const newer = (a: Clock | undefined, b: Clock): Clock => (a === undefined || after(b, a) ? b : a);
const alive = (r: Row): boolean => {
  if (!r.ins || (r.move && !after(r.ins, r.move))) return false;
  return !r.del || [r.ins, ...[...r.cells.values()].map((c) => c.clock)].some((c) => after(c, r.del as Clock));
};
const exists = (r: Row): boolean => alive(r) || r.returned === true;

export function reduceTables(runs: Run[]): Shown {
  const tables = new Map<string, Table>();
  const alias = new Map<string, string>();
  for (const run of runs) for (const change of run.changes) apply(tables, alias, run, change);
  project(tables);
  return show(tables);
}

function apply(tables: Map<string, Table>, alias: Map<string, string>, run: Run, c: Change): void {
  const t = tables.get(c.table);
  if (c.op === "schema") {
    if (!t) tables.set(c.table, { decl: c.decl, rows: new Map(), holders: new Map() });
    else if (JSON.stringify({ ...c.decl, columns: c.decl.columns.slice(0, t.decl.columns.length) }) === JSON.stringify(t.decl)) t.decl = c.decl;
    return;
  }
  if (!t) return;
  const { decl } = t;
  const follow = (v: string): string => (v[0] === "@" ? `@${alias.get(v.slice(1)) ?? v.slice(1)}` : v);
  const fits = (key: string[]): boolean => key.length === decl.key.length && (!decl.minted || key[0]?.[0] === "@");
  const cells = Object.entries(c.cells ?? {}).map(([name, v]) => [name, follow(v)] as const);
  const [key, to] = [c.key.map(follow), c.to?.map(follow)];
  if (!fits(key) || (to && !fits(to)) || (decl.minted && to && to[0] !== key[0])) return;
  if (cells.some(([name]) => !decl.columns.some((col) => col.name === name))) return;
  if (!decl.minted && cells.some(([name, v]) => decl.key.includes(name) && (to ?? key)[decl.key.indexOf(name)] !== v)) return;
  if (decl.minted && cells.some(([name, v]) => name === decl.key[0] && v[0] !== "i" && v !== "n")) return;
  const [ms, n, cap] = [c.ms ?? 0, c.n ?? 0, run.time + 60_000];
  const clock: Clock = ms > cap ? { ms: cap, n: 0xffff, seq: run.seq } : { ms, n, seq: run.seq };
  const row = (k: string[]): Row => t.rows.get(k.join()) ?? { table: c.table, key: k, cells: new Map() };
  const say = (r: Row, work: () => void): void => {
    const was = { alive: alive(r), wanted: wanted(decl, r), number: r.number };
    work();
    t.rows.set(r.key.join(), r);
    if (decl.minted) number(t, r, was, run);
  };
  const write = (r: Row, at: Clock, list = cells): void => {
    for (const [name, v] of list) {
      const old = r.cells.get(name);
      if (decl.minted || !decl.key.includes(name)) if (!old || after(at, old.clock) || (!after(old.clock, at) && rank(v) > rank(old.v))) r.cells.set(name, { clock: at, v });
    }
  };
  const route = (k: string[], at: Clock): Row => {
    let r = row(k);
    for (let i = 0; i < 8 && r.move && after(at, r.move) && !(r.ins && after(r.ins, r.move)); i++) r = row(r.to as string[]);
    return r;
  };
  const insert = (r: Row, at: Clock): void => say(r, () => { r.ins = newer(r.ins, at); write(r, at); });
  if (c.op === "set" || (c.op === "move" && (!to || to.join() === key.join()))) {
    const own = cells.filter(([name]) => decl.minted || !decl.key.includes(name));
    const r = decl.minted ? row(key) : route(key, clock);
    if (own.length > 0) say(r, () => write(r, clock));
  } else if (c.op === "insert") insert(row(key), clock);
  else if (c.op === "delete") { const r = row(key); say(r, () => { r.del = newer(r.del, clock); }); }
  else if (c.op === "found") {
    const r = row(key);
    const asked = cells.find(([name]) => name === decl.key[0])?.[1];
    const twin = decl.minted && !t.rows.has(key.join()) && asked?.[0] === "i" ? t.holders.get(BigInt(asked.slice(1)))?.row : undefined;
    const same = twin && alive(twin) && twin.ins?.seq !== run.seq && decl.columns.every(({ name }) =>
      name === decl.key[0] || (twin.cells.get(name)?.v ?? "n") === (cells.find(([k]) => k === name)?.[1] ?? "n"));
    if (twin && same) { alias.set((key[0] as string).slice(1), (twin.key[0] as string).slice(1)); return; }
    const d = !alive(r) ? r.del : undefined;
    insert(r, d ? { ms: d.n < 0xffff ? d.ms : d.ms + 1, n: d.n < 0xffff ? d.n + 1 : 0, seq: run.seq } : { ms: 0, n: 0, seq: run.seq });
  } else if (c.op === "move" && to) {
    const old = row(key);
    const flows = old.ins && after(old.ins, clock) ? [] : [...old.cells].filter(([, cell]) => after(cell.clock, clock));
    for (const [name] of flows) old.cells.delete(name);
    if (!old.move || after(clock, old.move)) [old.move, old.to] = [clock, to];
    old.del = newer(old.del, clock);
    t.rows.set(key.join(), old);
    insert(row(to), clock);
    for (const [name, cell] of flows) { const r = route(to, cell.clock); t.rows.set(r.key.join(), r); write(r, cell.clock, [[name, cell.v]]); }
  }
}

const wanted = (decl: Decl, r: Row): string | undefined => r.cells.get(decl.key[0] as string)?.v.replace(/^n$/, "");

function number(t: Table, r: Row, was: { alive: boolean; wanted: string | undefined; number: bigint | undefined }, run: Run): void {
  const release = (n: bigint | undefined): void => {
    const h = n === undefined ? undefined : t.holders.get(n);
    if (h?.row === r) h.gone = { seq: run.seq, device: run.device };
  };
  if (!r.ins) return;
  if (!alive(r) && was.number !== undefined) { if (was.alive) release(was.number); return; }
  const want = wanted(t.decl, r);
  const anew = was.number === undefined || (want || undefined) !== (was.wanted || undefined);
  if (was.alive && !anew) return;
  const asked = anew ? (want ? BigInt(want.slice(1)) : undefined) : was.number;
  const h = asked === undefined ? undefined : t.holders.get(asked);
  const free = asked !== undefined && (!h || h.row === r || (h.gone && (h.gone.seq <= run.seen || h.gone.device === run.device)));
  let n = free ? asked : (t.high ?? 0n) + 1n;
  if (n > MAX) for (n = MAX; t.holders.has(n); ) n--;
  t.holders.set(n, { row: r });
  if (t.high === undefined || n > t.high) t.high = n;
  if (was.number !== n) release(was.number);
  r.number = n;
  if (!alive(r)) release(n);
}

const value = (t: Table, r: Row, name: string): string =>
  !t.decl.minted && t.decl.key.includes(name) ? (r.key[t.decl.key.indexOf(name)] as string) : (r.cells.get(name)?.v ?? "n");
const fold = (v: string, by: string | undefined): string => {
  if (v[0] === "r" && Number.isInteger(Number(v.slice(1)))) return `i${BigInt(Number(v.slice(1)))}`;
  if (v[0] !== "t" || by === "BINARY") return v;
  return by === "NOCASE" ? `t${v.slice(1).replace(/[A-Z]/g, (x) => x.toLowerCase())}` : v.replace(/ +$/, "");
};

function project(tables: Map<string, Table>): void {
  const all = [...tables.values()].flatMap((t) => [...t.rows.values()].map((r) => ({ t, r })));
  const nullable = (t: Table, names: string[]): string[] => names.filter((c) => !t.decl.key.includes(c) && t.decl.columns.some((col) => col.name === c && !col.notNull));
  const parents = (t: Table, r: Row): { r: Row; fk: Decl["fks"][number] }[] => t.decl.fks.flatMap((fk) => {
    const p = tables.get(fk.parent);
    if (!p || fk.columns.length !== p.decl.key.length) return [];
    const key = p.decl.key.map((k) => value(t, r, fk.columns[fk.parentColumns.indexOf(k)] as string));
    const found = key.includes("n") ? undefined : p.rows.get(key.join());
    return found?.ins ? [{ r: found, fk }] : [];
  });
  for (let more = true; more; ) { // Up
    more = false;
    for (const { t, r } of all) if (exists(r)) for (const p of parents(t, r))
      if (["no action", "restrict"].includes(p.fk.onDelete) && !exists(p.r)) more = p.r.returned = true;
  }
  const unique = new Map<string, { t: Table; r: Row; seq: number; nulls: string[] }[]>();
  for (const { t, r } of all) { // Unique
    if (!exists(r)) continue;
    const back = r.del ? [r.ins, ...[...r.cells.values()].map((c) => c.clock)].filter((c) => c && after(c, r.del as Clock)).map((c) => (c as Clock).seq) : [];
    const sets = t.decl.unique.filter((u) => !t.decl.minted || !u.columns.includes(t.decl.key[0] as string)).map((u, i) => ({ ...u, id: `${i}` }));
    if (!t.decl.minted) sets.push({ columns: t.decl.key, collations: t.decl.collations, id: "key" });
    for (const u of sets) {
      const vs = u.columns.map((name, i) => fold(value(t, r, name), u.collations[i]));
      if (vs.includes("n")) continue;
      const seq = Math.max(back.length ? Math.min(...back) : 0, ...u.columns.map((name) => (t.decl.key.includes(name) ? r.ins : r.cells.get(name)?.clock)?.seq ?? 0));
      const group = JSON.stringify([r.table, u.id, vs]);
      unique.set(group, [...(unique.get(group) ?? []), { t, r, seq, nulls: nullable(t, u.columns) }]);
    }
    if (t.decl.minted) {
      const taker = t.holders.get(r.number as bigint)?.row as Row;
      const group = JSON.stringify([r.table, "number", String(r.number)]);
      unique.set(group, [...(unique.get(group) ?? []), { t, r, seq: taker === r ? -1 : (r.ins?.seq ?? 0), nulls: [] }]);
    }
  }
  for (const [group, claims] of unique) {
    const byNumber = group.includes('"number"');
    const place = (c: (typeof claims)[number]): [number, number] => [c.r.returned && !(byNumber && c.seq === -1) ? 1 : 0, c.seq];
    claims.sort((a, b) => place(a)[0] - place(b)[0] || place(a)[1] - place(b)[1] || order(a.r.key, b.r.key));
    for (const { r, nulls } of claims.slice(1)) {
      if (nulls.length === 0) r.hidden = true;
      r.nulls = new Set([...(r.nulls ?? []), ...nulls]);
    }
  }
  const lost = (t: Table, r: Row): { fk: Decl["fks"][number]; nulls: string[] }[] =>
    parents(t, r).filter((p) => !exists(p.r) || p.r.hidden).map(({ fk }) => ({ fk, nulls: fk.onDelete === "cascade" ? [] : nullable(t, fk.columns) }));
  for (let more = true; more; ) { // Down
    more = false;
    for (const { t, r } of all) if (exists(r) && !r.hidden && lost(t, r).some((l) => l.nulls.length === 0)) more = r.hidden = true;
  }
  for (const { t, r } of all) r.nulls = new Set([...(r.nulls ?? []), ...lost(t, r).flatMap((l) => l.nulls)]);
}

/** Sorts like the bytes of short values do: by tag, then length, then content. */
const rank = (v: string): string => `${"nirtb@".indexOf(v[0] as string)}${String.fromCharCode(v.length)}${v}`;
const order = (a: string[], b: string[]): number => (a.map(rank).join() < b.map(rank).join() ? -1 : 1);

function show(tables: Map<string, Table>): Shown {
  return Object.fromEntries([...tables].map(([name, t]) => [name, Object.fromEntries([...t.rows.values()].filter((r) => exists(r) && !r.hidden).map((r) => [
    r.key.join(), Object.fromEntries(t.decl.columns.map(({ name: col }) => [col, r.nulls?.has(col) ? "n" : t.decl.minted && col === t.decl.key[0] ? `i${r.number}` : value(t, r, col)])),
  ]))]));
}
