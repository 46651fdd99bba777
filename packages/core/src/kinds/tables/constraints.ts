/**
 * The declared constraints over the view's rows, in three passes that never go back: Up, Unique,
 * Down. Rules TBL23..TBL27. Each pass is a least fixpoint; where a reason goes away, what stood on
 * it is taken back first and derived again, so that rows cannot hold each other up in a circle.
 * Cost is that of the rows touched, those that refer to them, and those that compete with them.
 */
import { equalBytes } from "../../bytes/bytes.ts";
import {
  anyReturnedNumber,
  cellAt,
  children,
  claimantsOf,
  type Entries,
  entriesOf,
  holderOf,
  NO_ENTRIES,
  numberGroup,
  parentKey,
} from "./claims.ts";
import { settleFresh, type TouchedRow } from "./fresh.ts";
import { Overlay } from "./ground.ts";
import { bornKey, keyCells } from "./key.ts";
import { decodeProjection, encodeProjection, isHidden, type Projection } from "./projection.ts";
import { aliveBytes, decodeRow, knownBytes, type Row } from "./row.ts";
import { type ForeignKey, KEY_SET, type Schema, type UniqueSet } from "./schema.ts";
import type { Kid, Session, Table, Touched } from "./session.ts";
import { local, NOTHING, tableKey, textOf } from "./spaces.ts";
import type { Cell, RowKey } from "./types.ts";

/** A row while the passes run. */
interface Node {
  readonly table: Table;
  readonly key: RowKey;
  readonly bytes: Uint8Array | undefined;
  readonly alive: boolean;
  /** What the passes made of it the last time. */
  readonly old: Projection;
  /** In the view, hidden or not, before this transaction; and ever inserted. */
  readonly existed: boolean;
  readonly wasKnown: boolean;
  returned: boolean;
  unique: Loss;
  hiddenByParent: boolean;
  row: Row | undefined;
  entries: Entries | undefined;
}

interface Group {
  readonly table: Table;
  readonly group: Uint8Array;
  readonly old: RowKey | undefined;
  /** Once the indexes are right. */
  now: RowKey | undefined;
}

interface Loss {
  readonly hidden: boolean;
  readonly nulled: readonly number[];
}

const NO_LOSS: Loss = { hidden: false, nulled: [] };

export function projectConstraints(session: Session): void {
  const touched = settleFresh(session);
  if (touched.length === 0) return;
  const passes = new Passes(session);
  passes.reindex(touched);
  passes.up();
  passes.unique();
  passes.down();
  passes.write();
}

class Passes {
  readonly #session: Session;
  readonly #nodes = new Map<Table, Map<string, Node>>();
  readonly #touched: Node[] = [];
  /** Groups of competing claims that changed, with who held them before. */
  readonly #groups = new Map<string, Group>();
  /** What the last pass decides about. */
  readonly #judged = new Set<Node>();
  readonly #numberClaims = new Map<Table, boolean>();
  /** Deleted rows whose return may be decided otherwise now. */
  readonly #candidates = new Set<Node>();

  constructor(session: Session) {
    this.#session = session;
  }

  /** Brings the indexes in line with the touched rows; returned ones count as gone for now. */
  reindex(rows: readonly TouchedRow[]): void {
    const refs: [Uint8Array, boolean][] = [];
    const claims: [Uint8Array, boolean][] = [];
    const seeds: Node[] = [];
    for (const { table, touched } of rows) {
      const node = this.#node(table, touched.key);
      this.#touched.push(node);
      const before = this.#entriesBefore(table, touched);
      const now = node.alive ? this.#entries(node, false) : NO_ENTRIES;
      const [gone, come] = difference(before, now);
      for (const { claims: some, put } of [
        { ...gone, put: false },
        { ...come, put: true },
      ]) {
        for (const claim of some) {
          this.#noteGroup(table, claim.group);
          claims.push([claim.entry, put]);
        }
      }
      for (const ref of gone.refs) refs.push([ref.entry, false]);
      for (const ref of come.refs) refs.push([ref.entry, true]);
      if (gone.refs.length > 0 || come.refs.length > 0) seeds.push(node);
      // A load of many rows must not be held decoded; the few that matter later are read again.
      node.row = undefined;
      if (node.old.returned || (!node.alive && this.#holdingKids(table).length > 0))
        this.#candidates.add(node);
    }
    // All reads of who held what came first: a store that sorts when it is read sorts once.
    for (const [entry, put] of claims) this.#write(local.claim, entry, put);
    for (const [entry, put] of refs) this.#write(local.ref, entry, put);
    for (const node of seeds) this.#seed(node);
  }

  /** Those a touched row referred to and refers to may return, or no longer have a reason to. */
  #seed(node: Node): void {
    const cells = keyCells(node.key);
    const before = this.#rowBefore(node);
    if (node.table.viewBefore !== undefined && before !== undefined)
      this.#candidateParents(node.table.viewBefore, cells, before);
    const now = this.#row(node);
    if (node.table.view !== undefined && now !== undefined)
      this.#candidateParents(node.table.view, cells, now);
  }

  #candidateParents(schema: Schema, key: readonly Cell[], row: Row): void {
    for (const fk of schema.foreignKeys) {
      if (!fk.holds) continue;
      const parent = this.#parent(schema, fk, key, row);
      if (parent !== undefined && !parent.alive) this.#candidate(parent);
    }
  }

  /** Takes a return back, and with it those that stand on it. */
  #candidate(node: Node): void {
    if (this.#candidates.has(node) || node.alive || !knownBytes(node.bytes)) return;
    this.#candidates.add(node);
    this.#unreturn(node);
  }

  #unreturn(node: Node): void {
    if (!node.returned) return;
    this.#session.touch(node.table, node.key);
    this.#index(node, false);
    node.returned = false;
    const schema = node.table.view as Schema;
    this.#candidateParents(schema, keyCells(node.key), this.#row(node) as Row);
  }

  /** TBL24. */
  up(): void {
    const waiting = [...this.#candidates];
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      if (node.alive || node.returned || !knownBytes(node.bytes) || node.table.view === undefined) continue;
      const kids = this.#holdingKids(node.table);
      const held = kids.some((kid) => children(this.#session, node.table, node.key, kid, 1).length > 0);
      if (!held) continue;
      this.#session.touch(node.table, node.key);
      this.#candidates.add(node);
      node.returned = true;
      this.#index(node, true);
      const schema = node.table.view;
      const cells = keyCells(node.key);
      for (const fk of schema.foreignKeys) {
        if (!fk.holds) continue;
        const parent = this.#parent(schema, fk, cells, this.#row(node) as Row);
        if (parent !== undefined) waiting.push(parent);
      }
    }
  }

  /** TBL25, TBL26: who loses a value; of rows not touched, only where another holds it than before. */
  unique(): void {
    for (const one of this.#groups.values()) one.now = holderOf(this.#session, one.group);
    for (const node of this.#touched) this.#judge(node);
    for (const node of this.#candidates) if (node.returned !== node.old.returned) this.#judge(node);
    for (const { table, old, now } of this.#groups.values()) {
      if (old !== undefined && now !== undefined && equalBytes(old, now)) continue;
      for (const key of [old, now])
        if (key !== undefined) this.#judge(this.#node(table, key.slice() as RowKey));
    }
  }

  /** TBL27: hidden by what they refer to, downwards until nothing changes. */
  down(): void {
    const judged = this.#judged;
    for (const node of judged) {
      // A node's hiding may have been the reason of others' below: those are derived again.
      const came = knownBytes(node.bytes) !== node.wasKnown || exists(node) !== node.existed;
      if (came || isHidden(node.old) || node.unique.hidden) this.#judgeChildren(node);
    }
    const waiting = [...judged];
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      if (!exists(node) || hidden(node)) continue;
      node.hiddenByParent = this.#parentLoss(node).hidden;
      if (!node.hiddenByParent) continue;
      this.#judgeChildren(node);
      for (const child of this.#children(node)) if (judged.has(child)) waiting.push(child);
    }
  }

  write(): void {
    const { tx } = this.#session;
    for (const node of this.#judged) {
      const lives = exists(node);
      const bytes = encodeProjection({
        returned: node.returned,
        hiddenByUnique: lives && node.unique.hidden,
        hiddenByParent: lives && node.hiddenByParent,
        nulledByUnique: lives ? node.unique.nulled : [],
        nulledByParent: lives ? this.#parentLoss(node).nulled : [],
      });
      const old = encodeProjection(node.old);
      if (bytes === undefined ? old === undefined : old !== undefined && equalBytes(bytes, old)) continue;
      this.#session.touch(node.table, node.key);
      const place = tableKey(node.table.lid, node.key);
      if (bytes === undefined) tx.delete(local.proj, place);
      else tx.put(local.proj, place, bytes);
      node.table.plain &&= bytes === undefined;
    }
  }

  /** Has the last pass decide about a row, starting from what uniqueness says of it. */
  #judge(node: Node): void {
    if (this.#judged.has(node)) return;
    this.#judged.add(node);
    node.hiddenByParent = false;
    node.unique = exists(node) ? this.#uniqueLoss(node) : NO_LOSS;
    this.#judgeNumber(node);
  }

  #judgeChildren(node: Node): void {
    // The set grows while it is walked: the walk in `down` reaches what is added here.
    for (const child of this.#children(node)) this.#judge(child);
  }

  #uniqueLoss(node: Node): Loss {
    const nulled = new Set<number>();
    let hiddenNow = false;
    const lose = (set: UniqueSet): void => {
      for (const column of set.nullable) nulled.add(column);
      hiddenNow ||= set.nullable.length === 0;
    };
    for (const { set, group } of this.#entries(node, node.returned).claims) {
      const holder = (this.#groups.get(textOf(group))?.now ?? holderOf(this.#session, group)) as RowKey;
      const taker = set.index === KEY_SET && node.table.view?.minted === true ? this.#taker(node) : undefined;
      if (!equalBytes(taker ?? holder, node.key)) lose(set);
    }
    return { hidden: hiddenNow, nulled: [...nulled].sort((a, b) => a - b) };
  }

  /** TBL26: who took a returned row's number last, if it is in the view and still has it. */
  #taker(node: Node): RowKey | undefined {
    const number = this.#row(node)?.number;
    const holder = number === undefined ? undefined : new Overlay(this.#session).holder(node.table, number);
    if (holder === undefined) return undefined;
    const taker = this.#node(node.table, bornKey(holder.born));
    return exists(taker) && this.#row(taker)?.number === number ? taker.key : undefined;
  }

  /** Returned rows that wait for the number of a row that came or went. */
  #judgeNumber(node: Node): void {
    const { table } = node;
    if (table.view?.minted !== true || !this.#anyNumberClaims(table)) return;
    const numbers = new Set([this.#row(node)?.number, this.#rowBefore(node)?.number]);
    for (const number of numbers) {
      if (number === undefined) continue;
      // All of them: the one that had it until now need not be the first in line.
      for (const key of claimantsOf(this.#session, numberGroup(table, number)))
        this.#judge(this.#node(table, key));
    }
  }

  #anyNumberClaims(table: Table): boolean {
    let any = this.#numberClaims.get(table);
    if (any === undefined) {
      any = anyReturnedNumber(this.#session, table);
      this.#numberClaims.set(table, any);
    }
    return any;
  }

  /** What its foreign keys do to a row, as its parents are now. */
  #parentLoss(node: Node): Loss {
    const schema = node.table.view;
    const row = this.#row(node);
    if (schema === undefined || row === undefined || schema.foreignKeys.length === 0) return NO_LOSS;
    const cells = keyCells(node.key);
    const nulled = new Set<number>();
    for (const fk of schema.foreignKeys) {
      const parent = this.#parent(schema, fk, cells, row);
      if (parent === undefined || !knownBytes(parent.bytes) || (exists(parent) && !hidden(parent))) continue;
      if (fk.onDelete === "cascade" || fk.nullable.length === 0) return { hidden: true, nulled: [] };
      for (const column of fk.nullable) nulled.add(column);
    }
    return { hidden: false, nulled: [...nulled].sort((a, b) => a - b) };
  }

  #parent(schema: Schema, fk: ForeignKey, key: readonly Cell[], row: Row): Node | undefined {
    const cells: Cell[] = [];
    for (const column of fk.columns) {
      const cell = cellAt(schema, key, row, column);
      if (cell === undefined) return undefined;
      cells.push(cell);
    }
    const parent = parentKey(this.#session, fk, cells);
    return parent === undefined ? undefined : this.#node(parent.table, parent.key);
  }

  #children(node: Node): Node[] {
    return this.#session
      .kids(node.table)
      .flatMap((kid) =>
        children(this.#session, node.table, node.key, kid).map((key) =>
          this.#node(kid.table, key.slice() as RowKey),
        ),
      );
  }

  #holdingKids(table: Table): Kid[] {
    return this.#session.kids(table).filter((kid) => kid.table.view?.foreignKeys[kid.index]?.holds === true);
  }

  #node(table: Table, key: RowKey): Node {
    let nodes = this.#nodes.get(table);
    if (nodes === undefined) {
      nodes = new Map();
      this.#nodes.set(table, nodes);
    }
    const text = textOf(key);
    let node = nodes.get(text);
    if (node === undefined) {
      node = this.#load(table, key, table.touched.get(text));
      nodes.set(text, node);
    }
    return node;
  }

  #load(table: Table, key: RowKey, touched: Touched | undefined): Node {
    const bytes = table.view === undefined ? undefined : this.#session.viewBytes(table, key);
    const old = decodeProjection(
      touched === undefined ? this.#session.projection(table, key) : touched.projection,
    );
    const before =
      touched === undefined ? bytes : table.viewBefore === undefined ? undefined : touched.before;
    return {
      table,
      key,
      bytes,
      alive: aliveBytes(bytes),
      old,
      existed: aliveBytes(before) || old.returned,
      wasKnown: knownBytes(before),
      // A touched row's entries as a returned one have been taken out of the indexes.
      returned: touched === undefined && old.returned,
      unique: { hidden: old.hiddenByUnique, nulled: old.nulledByUnique },
      hiddenByParent: old.hiddenByParent,
      row: undefined,
      entries: undefined,
    };
  }

  #row(node: Node): Row | undefined {
    if (node.row === undefined && node.bytes !== undefined) node.row = decodeRow(node.bytes);
    return node.row;
  }

  #rowBefore(node: Node): Row | undefined {
    const before = node.table.touched.get(textOf(node.key))?.before;
    return before === undefined ? undefined : decodeRow(before);
  }

  #entries(node: Node, returned: boolean): Entries {
    node.entries ??= entriesOf(
      this.#session.suite,
      node.table,
      node.table.view as Schema,
      node.key,
      this.#row(node) as Row,
      returned,
    );
    return node.entries;
  }

  #entriesBefore(table: Table, touched: Touched): Entries {
    const schema = table.viewBefore;
    const returned = decodeProjection(touched.projection).returned;
    if (schema === undefined || touched.before === undefined) return NO_ENTRIES;
    if (!returned && !aliveBytes(touched.before)) return NO_ENTRIES;
    return entriesOf(this.#session.suite, table, schema, touched.key, decodeRow(touched.before), returned);
  }

  /** Puts a returned row's entries into the indexes, or takes them out. */
  #index(node: Node, put: boolean): void {
    const { claims, refs } = this.#entries(node, true);
    for (const claim of claims) {
      this.#noteGroup(node.table, claim.group);
      this.#write(local.claim, claim.entry, put);
    }
    for (const ref of refs) this.#write(local.ref, ref.entry, put);
  }

  #noteGroup(table: Table, group: Uint8Array): void {
    const text = textOf(group);
    if (this.#groups.has(text)) return;
    this.#groups.set(text, { table, group, old: holderOf(this.#session, group), now: undefined });
  }

  #write(space: string, entry: Uint8Array, put: boolean): void {
    if (put) this.#session.tx.put(space, entry, NOTHING);
    else this.#session.tx.delete(space, entry);
  }
}

function exists(node: Node): boolean {
  return node.alive || node.returned;
}

function hidden(node: Node): boolean {
  return node.unique.hidden || node.hiddenByParent;
}

/** What only the first has, and what only the second. */
function difference(a: Entries, b: Entries): readonly [Entries, Entries] {
  if (a === NO_ENTRIES || b === NO_ENTRIES) return [a, b];
  const minus = <T extends { readonly entry: Uint8Array }>(from: readonly T[], other: readonly T[]): T[] =>
    from.filter((x) => !other.some((y) => equalBytes(x.entry, y.entry)));
  return [
    { claims: minus(a.claims, b.claims), refs: minus(a.refs, b.refs) },
    { claims: minus(b.claims, a.claims), refs: minus(b.refs, a.refs) },
  ];
}
