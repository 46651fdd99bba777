/**
 * Replays everything from the first entry under another end of the history, in one transaction of
 * the store: nobody ever sees a part of it. What is this device's own stays, and own edits that only
 * the old end held wait again. Rules LOG18, ENG14, ENG15.
 */
import { EMPTY, equalBytes } from "../bytes/bytes.ts";
import type { Suite } from "../crypto/suite.ts";
import { TidelockError } from "../errors.ts";
import type { Link } from "../log/chain.ts";
import type { Kind, Space } from "../log/kind.ts";
import type { Tx } from "../log/tx.ts";
import type { ReplicaStore } from "../ports.ts";
import type { Genesis } from "../vault/genesis.ts";
import type { Membership } from "../vault/membership.ts";
import type { Applied } from "./apply.ts";
import { addEntry, dropEntriesAfter, dropReach, getCursor, linkAt, putCursor } from "./entries.ts";
import { decodeAll } from "./judge.ts";
import { framesOf, runs } from "./outbox.ts";
import type { OtherEnd } from "./reread.ts";

export interface RebuildDeps {
  readonly store: ReplicaStore;
  readonly suite: Suite;
  readonly genesis: Genesis;
  readonly membership: Membership;
  readonly kinds: ReadonlyMap<number, Kind>;
  /** With membership. */
  readonly all: readonly Kind[];
  readonly spaces: readonly Space[];
  /** One settled step inside the transaction. */
  readonly step: <T>(work: (tx: Tx) => T) => T;
  readonly takeBack: (tx: Tx, from: number) => void;
  /** The state is empty now: nothing remembered of it holds. */
  readonly emptied: () => void;
  /** Replays some entries; those up to `pass` were passed before. */
  readonly apply: (tx: Tx, pass: number) => Applied;
}

/** The other history does not stand its own replay: nothing of this transaction stands either. */
export class Unfit extends Error {}

export function rebuild(deps: RebuildDeps, end: OtherEnd): void {
  const { step, membership } = deps;
  const before = end.from - 1;
  step((tx) => {
    deps.takeBack(tx, end.from);
    for (const kind of deps.all) kind.reset?.(tx);
  });
  for (const { name, kept } of deps.spaces) if (kept !== true) empty(deps.store, name);
  deps.emptied();
  step((tx) => {
    membership.begin(tx, deps.genesis);
    dropEntriesAfter(tx, before);
    dropReach(tx);
    let link = linkAt(tx, deps.genesis.vault, before) as Link;
    for (const [i, raw] of end.entries.entries())
      link = addEntry(tx, deps.suite, link, end.from + i, raw).link;
    if (!equalBytes(link.hash, end.hash)) throw new Unfit("what comes before has changed");
    putCursor(tx, { read: before + end.entries.length, applied: 0, time: 0 });
  });
  for (;;) {
    const applied = step((tx) => deps.apply(tx, before));
    if (applied.kind === "ok" && applied.more) continue;
    const at = step((tx) => getCursor(tx).applied);
    if (applied.kind === "halt" && at < end.signed) throw new Unfit(applied.code);
    break;
  }
  step((tx) => {
    for (const { id, parked } of runs(tx)) if (parked === undefined) holdRun(deps.kinds, tx, id);
  });
  step((tx) => {
    for (const kind of deps.all) kind.replayed?.(tx);
  });
}

/** Shows a run of the outbox above the confirmed state. */
export function holdRun(kinds: ReadonlyMap<number, Kind>, tx: Tx, id: number): void {
  const values = new Map<Kind, unknown[]>();
  for (const { changes, act } of framesOf(tx, id)) {
    // Membership: no kind shows it before it is accepted.
    if (changes.length === 0 || act === true) continue;
    const sections = decodeAll(kinds, changes);
    if (typeof sections === "string")
      throw new TidelockError("replica-damaged", { why: "an edit that waits does not decode" });
    for (const { kind, decoded } of sections) values.set(kind, [...(values.get(kind) ?? []), decoded.value]);
  }
  for (const [kind, sections] of values) kind.hold(tx, id, sections);
}

function empty(store: ReplicaStore, space: string): void {
  for (;;) {
    const rows = store.scan(space, EMPTY, undefined, 1024);
    for (const [key] of rows) store.delete(space, key);
    if (rows.length < 1024) return;
  }
}
