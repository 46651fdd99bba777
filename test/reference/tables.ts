/**
 * What docs/spec/tables.md says, once more, as plainly as it can be said: the whole history is read again for
 * each answer, and nothing is kept. The oracle for the real reducer; imports nothing of it.
 */
import { project, show } from "./tables-shown.ts";
import {
  after,
  alive,
  type Clock,
  type Data,
  type Decl,
  type Row,
  type Run,
  rank,
  type Shown,
  type Table,
  type Was,
} from "./tables-words.ts";

export type { Change, Decl, Run, Shown } from "./tables-words.ts";

const MAX = 2n ** 63n - 1n;
const newer = (a: Clock | undefined, b: Clock): Clock => (a === undefined || after(b, a) ? b : a);
const past = (c: Clock, seq: number): Clock =>
  c.n < 0xffff ? { ms: c.ms, n: c.n + 1, seq } : { ms: c.ms + 1, n: 0, seq };

export function reduceTables(runs: Run[]): Shown {
  const tables = new Map<string, Table>();
  const alias = new Map<string, string>();
  for (const run of runs)
    for (const c of run.changes) {
      const t = tables.get(c.table);
      if (c.op !== "schema") {
        if (t !== undefined) reduceRow(t, alias, run, c);
      } else if (t === undefined) tables.set(c.table, { decl: c.decl, rows: new Map(), holders: new Map() });
      else if (extend(t.decl, c.decl)) t.decl = c.decl;
    }
  project(tables);
  return show(tables);
}

const extend = (old: Decl, next: Decl): boolean =>
  JSON.stringify({ ...next, columns: next.columns.slice(0, old.columns.length) }) === JSON.stringify(old);

function reduceRow(t: Table, alias: Map<string, string>, run: Run, c: Data): void {
  const { minted, key: keyColumns, columns } = t.decl;
  const follow = (v: string): string => (v[0] === "@" ? `@${alias.get(v.slice(1)) ?? v.slice(1)}` : v);
  const [key, to] = [c.key.map(follow), c.to?.map(follow)];
  const cells = Object.entries(c.cells ?? {}).map(([name, v]) => [name, follow(v)] as const);
  const fits = (k: string[]): boolean => k.length === keyColumns.length && (!minted || k[0]?.[0] === "@");
  const says = (name: string, v: string): boolean => {
    if (!columns.some((col) => col.name === name)) return false;
    if (!keyColumns.includes(name)) return true;
    return minted ? v[0] === "i" || v === "n" : (to ?? key)[keyColumns.indexOf(name)] === v;
  };
  if (!fits(key) || (to && (!fits(to) || (minted && to[0] !== key[0])))) return;
  if (!cells.every(([name, v]) => says(name, v))) return;

  const cap = run.time + 60_000;
  const late = (c.ms ?? 0) > cap;
  const clock: Clock = { ms: late ? cap : (c.ms ?? 0), n: late ? 0xffff : (c.n ?? 0), seq: run.seq };
  const row = (k: string[]): Row => t.rows.get(k.join()) ?? { key: k, cells: new Map() };
  const change = (r: Row, work: () => void): void => {
    const was = { alive: alive(r), wanted: wanted(t, r), number: r.number };
    work();
    t.rows.set(r.key.join(), r);
    if (minted) settleNumber(t, r, was, run);
  };
  const write = (r: Row, at: Clock, list: readonly (readonly [string, string])[]): void => {
    for (const [name, v] of list) {
      const old = r.cells.get(name);
      const wins = !old || after(at, old.clock) || (!after(old.clock, at) && rank(v) > rank(old.v));
      if (wins && (minted || !keyColumns.includes(name))) r.cells.set(name, { clock: at, v });
    }
  };
  const insert = (r: Row, at: Clock): void =>
    change(r, () => {
      r.ins = newer(r.ins, at);
      write(r, at, cells);
    });
  const route = (k: string[], at: Clock): Row => {
    let r = row(k);
    for (let i = 0; i < 8 && r.move && after(at, r.move) && !(r.ins && after(r.ins, r.move)); i++)
      r = row(r.to as string[]);
    return r;
  };

  if (c.op === "insert") insert(row(key), clock);
  else if (c.op === "delete") {
    const r = row(key);
    change(r, () => {
      r.del = newer(r.del, clock);
    });
  } else if (c.op === "found") {
    const r = row(key);
    const twin = minted && !t.rows.has(key.join()) ? twinOf(t, new Map(cells), run) : undefined;
    if (twin) alias.set((key[0] as string).slice(1), (twin.key[0] as string).slice(1));
    else insert(r, r.del && !alive(r) ? past(r.del, run.seq) : { ms: 0, n: 0, seq: run.seq });
  } else if (c.op === "set" || !to || to.join() === key.join()) {
    const r = minted ? row(key) : route(key, clock);
    if (cells.some(([name]) => minted || !keyColumns.includes(name))) change(r, () => write(r, clock, cells));
  } else {
    const old = row(key);
    const anew = old.ins && after(old.ins, clock);
    const flows = anew ? [] : [...old.cells].filter(([, cell]) => after(cell.clock, clock));
    for (const [name] of flows) old.cells.delete(name);
    if (!old.move || after(clock, old.move)) Object.assign(old, { move: clock, to });
    old.del = newer(old.del, clock);
    t.rows.set(key.join(), old);
    insert(row(to), clock);
    for (const [name, { clock: at, v }] of flows) {
      const r = route(to, at);
      change(r, () => write(r, at, [[name, v]]));
    }
  }
}

const wanted = (t: Table, r: Row): bigint | undefined => {
  const v = r.cells.get(t.decl.key[0] as string)?.v;
  return v?.[0] === "i" ? BigInt(v.slice(1)) : undefined;
};

function twinOf(t: Table, cells: Map<string, string>, run: Run): Row | undefined {
  const id = t.decl.key[0] as string;
  const asked = cells.get(id);
  const twin = asked?.[0] === "i" ? t.holders.get(BigInt(asked.slice(1)))?.row : undefined;
  if (!twin || !alive(twin) || twin.ins?.seq === run.seq) return undefined;
  const same = (name: string): boolean => (twin.cells.get(name)?.v ?? "n") === (cells.get(name) ?? "n");
  return t.decl.columns.every(({ name }) => name === id || same(name)) ? twin : undefined;
}

function settleNumber(t: Table, r: Row, was: Was, run: Run): void {
  const release = (n: bigint | undefined): void => {
    const h = n === undefined ? undefined : t.holders.get(n);
    if (h?.row === r) h.gone = { seq: run.seq, device: run.device };
  };
  if (!r.ins) return;
  const lives = alive(r);
  const anew = was.number === undefined || (lives && wanted(t, r) !== was.wanted);
  if (anew || (lives && !was.alive)) {
    const asked = anew ? wanted(t, r) : was.number;
    const h = asked === undefined ? undefined : t.holders.get(asked);
    const seen = h?.gone && (h.gone.seq <= run.seen || h.gone.device === run.device);
    let n = asked !== undefined && (!h || h.row === r || seen) ? asked : (t.high ?? 0n) + 1n;
    if (n > MAX) for (n = MAX; t.holders.has(n); ) n--;
    t.holders.set(n, { row: r });
    if (t.high === undefined || n > t.high) t.high = n;
    if (was.number !== n) release(was.number);
    r.number = n;
  } else if (lives === was.alive) return;
  if (!lives) release(r.number);
}
