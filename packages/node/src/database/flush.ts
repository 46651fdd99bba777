/** From the app's file to the vault. Rules ATT11 to ATT15, ATT19. */
import type { Seq } from "@tidelock/core/bytes/brand";
import type { Tx } from "@tidelock/core/log/tx";
import { commitWork } from "./commit.ts";
import { type Core, lensOf, point, positionOf, runsOf, seenNow } from "./core.ts";
import { Differ, type Draft } from "./diff.ts";
import type { Lens } from "./lens.ts";
import { type Outbox, readOutbox } from "./outbox.ts";
import type { TablePlan } from "./plan.ts";
import { encodeToken } from "./token.ts";
import { readMeta } from "./triggers.ts";

/** With a rollback journal a reader keeps writers out, so one flush reads this many entries at most. */
const ROLLBACK_ENTRIES = 5000;

export interface FlushResult {
  readonly kind: "done" | "busy" | "moved";
  /** Runs given to the engine: what a caller may wait for. */
  readonly runs: readonly number[];
  readonly changes: number;
  /** Tables with entries, for the count check. */
  readonly tables: ReadonlySet<number>;
  readonly nullKeys: ReadonlySet<number>;
  /** Rows of tables that are not (any more) part of the attachment: their entries went with the others. */
  readonly strange: ReadonlySet<string>;
  /** More was in the outbox than one flush reads. */
  readonly more: boolean;
}

export interface FlushOptions {
  /** Tables whose withheld deletions are approved. */
  readonly approve?: ReadonlySet<number>;
  /** Further rows to look at, beside those of the outbox. */
  readonly look?: (differ: Differ, tx: Tx) => void;
}

interface Read {
  readonly expected: Uint8Array;
  readonly outbox: Outbox;
  readonly draft: Draft;
  readonly more: boolean;
}

/** Step by step: read, note, file, adopt. The caller has settled the token. */
export async function flushOnce(core: Core, options: FlushOptions = {}): Promise<FlushResult> {
  const locked = await core.file.read(() => readDraft(core, options));
  const nothing = {
    runs: [],
    changes: 0,
    tables: new Set<number>(),
    nullKeys: new Set<number>(),
    strange: new Set<string>(),
    more: false,
  };
  if (locked.kind === "busy") return { ...nothing, kind: "busy" };
  const read = locked.value;
  if (read === "moved") return { ...nothing, kind: "moved" };
  point(core, "flush-read");
  const { draft, outbox } = read;
  const tables = new Set(outbox.touched.map((t) => t.table));
  const { nullKeys, strange } = outbox;
  if (outbox.last === 0 && draft.effects.length === 0) return { ...nothing, kind: "done" };
  const committed = await commitWork(core, {
    runs: [
      ...runsOf(core, draft.changes, draft.seen, false),
      ...runsOf(core, draft.approved, draft.seen, true),
    ],
    effects: draft.effects,
    outbox: outbox.last === 0 ? undefined : outbox.last,
    expected: read.expected,
  });
  if (committed.kind !== "done") return { ...nothing, kind: committed.kind };
  const changes = draft.changes.length + draft.approved.length;
  return { kind: "done", runs: committed.runs, changes, tables, nullKeys, strange, more: read.more };
}

/** Inside a read transaction of the file. */
function readDraft(core: Core, options: FlushOptions): Read | "moved" {
  const { file, engine } = core;
  const meta = readMeta(file.db, file.path);
  const position = engine.read((tx) => positionOf(core, tx));
  const expected = encodeToken(position.token);
  // A table made anew since the last look has none of the rows that the outbox names.
  if (file.pragma("schema_version") !== position.schema) return "moved";
  if (meta === undefined || !Buffer.from(meta.token).equals(expected)) return "moved";
  const limit = file.wal ? undefined : ROLLBACK_ENTRIES;
  const outbox = readOutbox(file, keyWidths(core.plans), limit);
  const draft = engine.read((tx) => {
    const differ = startDiff(core, lensOf(core, tx), seenNow(core, tx, meta.projected), options.approve);
    differ.lookAll(outbox);
    options.look?.(differ, tx);
    return differ.finish();
  });
  return { expected, outbox, draft, more: limit !== undefined && outbox.entries >= limit };
}

export function startDiff(
  core: Core,
  lens: Lens,
  seen: Seq,
  approve: ReadonlySet<number> = new Set(),
): Differ {
  return new Differ({
    file: core.file,
    lens,
    registry: core.registry,
    plans: core.plans,
    random: core.deps.random,
    seen,
    approve,
  });
}

export function keyWidths(plans: readonly TablePlan[]): ReadonlyMap<number, number> {
  return new Map(plans.map((p) => [p.number, p.vault.key.length]));
}
