/**
 * Looks again at everything a replica holds: the chain over its raw entries, the digest of its
 * confirmed state row by row, and every verdict, by replaying the log from genesis into an empty
 * store. Reads only, except for that store.
 */
import { EMPTY, encodeUtf8, equalBytes, readU64Key, u64Key } from "../bytes/bytes.ts";
import type { Suite } from "../crypto/suite.ts";
import { genesisLink, nextLink } from "../log/chain.ts";
import type { Space } from "../log/kind.ts";
import { RowSums, rowHash, type Tx } from "../log/tx.ts";
import type { ReplicaStore } from "../ports.ts";
import { entriesAfter, getCursor, LOG, putCursor } from "./entries.ts";
import { beginReplica, type Replica } from "./replica.ts";
import { VERDICTS } from "./verdicts.ts";

export type ChainProblem = {
  readonly seq: number;
  /** A number is missing, an entry is not what its id says, or does not join the one before. */
  readonly what: "gap" | "id" | "link";
};

/** Undefined when every entry up to the read cursor joins, from genesis on. */
export function verifyChain(tx: Tx, suite: Suite, vault: Uint8Array): ChainProblem | undefined {
  const { read } = getCursor(tx);
  let before = genesisLink(vault);
  for (let seq = 0; seq < read; ) {
    const batch = entriesAfter(tx, seq, 256);
    if (batch.length === 0) return { seq: seq + 1, what: "gap" };
    for (const entry of batch) {
      if (entry.seq !== seq + 1) return { seq: seq + 1, what: "gap" };
      if (entry.frame !== undefined && !equalBytes(suite.sha256(entry.frame), entry.id))
        return { seq: entry.seq, what: "id" };
      const link = nextLink(suite, before, entry.seq, entry);
      if (!equalBytes(link.hash, entry.link.hash) || !equalBytes(link.members, entry.link.members))
        return { seq: entry.seq, what: "link" };
      before = link;
      seq = entry.seq;
    }
  }
  return undefined;
}

/** The digest of the confirmed state, summed anew over every row. */
export function recomputeDigest(store: ReplicaStore, suite: Suite, spaces: readonly Space[]): bigint {
  const sums = new RowSums();
  for (const space of spaces) {
    if (!space.digested) continue;
    const name = encodeUtf8(space.name);
    for (const [key, value] of rowsOf(store, space.name)) sums.add(rowHash(suite, name, key, value), 1);
  }
  return sums.take();
}

export interface Replay {
  /** Entries replayed. */
  readonly entries: number;
  /** The first entry judged otherwise than before. */
  readonly verdict: number | undefined;
  /** Why the replay stopped before the end. */
  readonly stopped: { readonly seq: number; readonly code: string } | undefined;
  readonly digest: bigint;
}

/**
 * Judges and reduces the log of `replica` anew in `scratch`, an empty replica of the same vault
 * under keys of its own. Yields how far it is after each slice, so that a host stays responsive.
 */
export function* replayAgain(
  replica: Replica,
  scratch: Replica,
  budget = 4096,
): Generator<number, Replay, undefined> {
  const { applied } = replica.cursor();
  scratch.write((tx) => {
    beginReplica(scratch, tx, true);
    const newest = replica.read((from) => replica.membership.newestEpoch(from))?.n ?? 0;
    for (let n = 1; n <= newest; n++) {
      const key = replica.read((from) => replica.ring.epochKey(from, n));
      if (key !== undefined) scratch.ring.put(tx, n, key);
    }
  });
  for (let from = 1; from <= applied; from += 1024) {
    const to = Math.min(applied + 1, from + 1024);
    const rows = replica.read((tx) => tx.scan(LOG, u64Key(from), u64Key(to)));
    scratch.write((tx) => {
      for (const [key, value] of rows) tx.put(LOG, key, value);
    });
  }
  scratch.write((tx) => putCursor(tx, { read: applied, applied: 0, time: 0 }));

  let pass: number | undefined;
  for (;;) {
    const result = scratch.apply(budget, pass);
    const at = scratch.cursor().applied;
    const end = (code: string | undefined): Replay => ({
      entries: at,
      verdict: firstOther(replica, scratch, at),
      stopped: code === undefined ? undefined : { seq: at + 1, code },
      digest: scratch.digest(),
    });
    yield at;
    if (result.kind === "halt")
      return end(at === applied && result.code === "update-needed" ? undefined : result.code);
    if (result.kind === "key-missing") return end("key-missing");
    // Passed before, after a wait that a replay need not repeat (LOG7).
    if (result.kind === "waiting") {
      if (pass === result.seq) return end("chain-broken");
      pass = result.seq;
    } else if (!result.more) return end(undefined);
  }
}

/** The first seq whose verdict or log time the two replicas hold differently. */
function firstOther(a: Replica, b: Replica, upTo: number): number | undefined {
  for (let seq = 0; seq < upTo; ) {
    const to = Math.min(upTo, seq + 1024);
    const [ours, theirs] = [a, b].map((r) =>
      r.read((tx) => tx.scan(VERDICTS, u64Key(seq + 1), u64Key(to + 1))),
    );
    for (let i = 0; i < Math.max(ours?.length ?? 0, theirs?.length ?? 0); i++) {
      const [mine, other] = [ours?.[i], theirs?.[i]];
      if (mine === undefined || other === undefined) return readU64Key((mine ?? other ?? [u64Key(0)])[0]);
      if (!equalBytes(mine[0], other[0]) || !equalBytes(mine[1], other[1])) return readU64Key(mine[0]);
    }
    seq = to;
  }
  return undefined;
}

function* rowsOf(store: ReplicaStore, space: string): Generator<[Uint8Array, Uint8Array]> {
  let from = EMPTY;
  for (;;) {
    const rows = store.scan(space, from, undefined, 1024);
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < 1024) return;
    from = new Uint8Array(last[0].length + 1);
    from.set(last[0]);
  }
}
