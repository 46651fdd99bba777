/** What the parts of one attachment share, and the questions each of them asks first. */
import type { Seq } from "@tidelock/core/bytes/brand";
import { equalBytes } from "@tidelock/core/bytes/bytes";
import { limits } from "@tidelock/core/bytes/limits";
import type { Engine, LocalRun, RunFrame } from "@tidelock/core/engine/api";
import { getCursor } from "@tidelock/core/engine/entries";
import type { TablesView } from "@tidelock/core/kinds/tables/api";
import { packRun } from "@tidelock/core/kinds/tables/codec";
import type { RowKey, TableChange } from "@tidelock/core/kinds/tables/types";
import type { Tx } from "@tidelock/core/log/tx";
import type { Log } from "@tidelock/core/ports";
import type { AppFile, FileDeps } from "./file.ts";
import { type Known, Lens, text } from "./lens.ts";
import { adopt, decodeNote, encodeNote, type Note } from "./note.ts";
import type { Numbers } from "./numbers.ts";
import type { TablePlan } from "./plan.ts";
import type { DatabasePoint } from "./points.ts";
import type { AttachmentRecord, Position, Registry } from "./registry.ts";
import { judgeToken, type TokenVerdict } from "./token.ts";
import { readToken } from "./triggers.ts";

/** The section of a frame that holds table changes. */
const TABLES_SECTION = 2;
/** Most that a frame adds around one section. */
const SECTION_HEAD = 8;

export interface AttachDeps extends FileDeps {
  readonly log?: Log;
}

export interface Core {
  readonly deps: AttachDeps;
  readonly engine: Engine;
  readonly tables: TablesView;
  readonly registry: Registry;
  readonly numbers: Numbers;
  readonly file: AppFile;
  /** Parents first. */
  readonly plans: readonly TablePlan[];
  readonly byNumber: ReadonlyMap<number, TablePlan>;
  readonly byName: ReadonlyMap<string, TablePlan>;
}

export function point(core: Pick<Core, "deps">, name: DatabasePoint): void {
  core.deps.point?.(name);
}

export function lensOf(core: Core, tx: Tx, known?: Known): Lens {
  return new Lens(tx, core.tables, core.byNumber, core.numbers, core.file, known);
}

export function recordOf(core: Core, tx: Tx): AttachmentRecord {
  return core.registry.record(tx) as AttachmentRecord;
}

export function positionOf(core: Core, tx: Tx): Position {
  return core.registry.position(tx) as Position;
}

/**
 * Asked first in both directions: which of the two durable steps does the file know? A note whose
 * step it saw is adopted before anything else is read, because otherwise rows that came from the
 * vault would be taken for edits made here.
 */
export function settleToken(core: Core): TokenVerdict {
  const inFile = readToken(core.file.db);
  const verdict = core.engine.read((tx) => {
    const record = recordOf(core, tx);
    const noted = core.registry.hasNote(tx);
    const { token } = positionOf(core, tx);
    return { noted, is: judgeToken(inFile, token, noted, record.past, record.base) };
  });
  if (verdict.is.kind === "next") {
    core.engine.write((tx) => {
      const note = decodeNote(core.registry.noteParts(tx));
      if (note !== undefined) adoptNote(core, tx, note);
    });
    return { kind: "current" };
  }
  if (verdict.is.kind === "current" && verdict.noted) core.engine.write((tx) => core.registry.dropNote(tx));
  return verdict.is;
}

export function adoptNote(core: Core, tx: Tx, note: Note): readonly number[] {
  const { engine, tables, registry, numbers } = core;
  const covers = recordOf(core, tx).phase === "live";
  const nameOf = (table: number): string | undefined => core.byNumber.get(table)?.vault.name;
  return adopt(tx, { engine, tables, registry, numbers, nameOf, covers }, note);
}

export function writeNote(core: Core, note: Note): void {
  core.engine.write((tx) => core.registry.putNoteParts(tx, encodeNote(note)));
}

/** Whether the file still carries this token: nobody else moved it since it was read. */
export function carries(core: Core, token: Uint8Array): boolean {
  return equalBytes(readToken(core.file.db), token);
}

/** Packs changes into runs of the vault's log. */
export function runsOf(
  core: Pick<Core, "plans">,
  changes: readonly TableChange[],
  seen: Seq,
  approved: boolean,
): LocalRun[] {
  if (changes.length === 0) return [];
  const off = new Set(core.plans.filter((p) => p.vault.compressOff).map((p) => p.vault.name));
  const packed = packRun(changes, { seen, approved, compressOff: (table) => off.has(table) });
  const runs: RunFrame[][] = [[]];
  let size = 0;
  for (const { section, compressOff } of packed) {
    size += section.length + SECTION_HEAD;
    // What one run may not hold is several: others may see a part of it first.
    if (size > limits.runBytes || runs.at(-1)?.length === limits.framesPerRun) {
      runs.push([]);
      size = section.length + SECTION_HEAD;
    }
    const sections = new Map([[TABLES_SECTION, section]]);
    runs.at(-1)?.push(compressOff ? { sections, compressOff } : { sections });
  }
  return runs.map((frames) => ({ frames }));
}

/** Dirty keys of this attachment that wait for nobody: neither set aside nor withheld. */
export function dirtyKeys(
  core: Core,
  tx: Tx,
  limit: number,
  skip: (plan: TablePlan, key: RowKey) => boolean,
): DirtyKey[] {
  const total = core.tables.dirtyCount(tx);
  const lens = lensOf(core, tx);
  // Rows that stay dirty come first again and again, so ask for more until enough others are found.
  for (let ask = Math.min(limit + 64, total + 1); ; ask *= 4) {
    const all = core.tables.dirty(tx, ask);
    const found: DirtyKey[] = [];
    for (const { table, key } of all) {
      const plan = core.byName.get(table);
      // A key that names a twin stands nowhere by itself: the row it stands for is dirty if need be.
      if (plan === undefined || lens.resolveKey(key) !== key || skip(plan, key)) continue;
      found.push({ plan, key });
    }
    if (found.length >= limit || all.length < ask || ask > total) return found.slice(0, limit);
  }
}

export interface DirtyKey {
  readonly plan: TablePlan;
  readonly key: RowKey;
}

/**
 * What whoever wrote the file had seen. Where nothing waits to be shown that is all that was
 * applied, even if it came a moment ago: it changed nothing here.
 */
export function seenNow(core: Core, tx: Tx, projected: Seq): Seq {
  const aside = new Set(core.registry.asides(tx).map((a) => `${a.table}:${text(a.key)}`));
  for (const h of core.registry.helds(tx)) aside.add(`${h.table}:${text(h.key)}`);
  const waits = dirtyKeys(core, tx, 1, (plan, key) => aside.has(`${plan.number}:${text(key)}`));
  return waits.length === 0 ? getCursor(tx).applied : projected;
}
