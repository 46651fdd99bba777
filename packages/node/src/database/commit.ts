/**
 * The three durable steps that every flush takes: the note in the replica, the token in the
 * app's file, the note made true. Stopped between any two of them, the next start knows which
 * were done. Rule ATT14.
 */
import type { LocalRun } from "@tidelock/core/engine/api";
import { adoptNote, type Core, carries, point, positionOf, writeNote } from "./core.ts";
import type { Effect, Note } from "./note.ts";
import { encodeToken, nextToken } from "./token.ts";
import { writeToken } from "./triggers.ts";

export interface Work {
  readonly runs: readonly LocalRun[];
  readonly effects: readonly Effect[];
  /** Entries of the outbox up to here were read and may go; undefined: none were. */
  readonly outbox: number | undefined;
  /** The token under which the file was read. */
  readonly expected: Uint8Array;
}

export type Committed =
  | { readonly kind: "done"; readonly runs: readonly number[] }
  | { readonly kind: "busy" }
  /** The file carries another token than when it was read. */
  | { readonly kind: "moved" };

export async function commitWork(core: Core, work: Work): Promise<Committed> {
  const { file, engine } = core;
  // Nothing to say but false alarms: their entries go without a trace in the replica.
  const silent = work.runs.length === 0 && work.effects.length === 0;
  const position = engine.read((tx) => positionOf(core, tx));
  const note: Note = { ...work, token: nextToken(position.token), schema: position.schema };
  if (!silent) {
    writeNote(core, note);
    point(core, "flush-noted");
  }
  const locked = await file.write(() => {
    point(core, "flush-begun");
    if (!carries(core, work.expected)) return false;
    if (work.outbox !== undefined)
      file.statement("DELETE FROM _tl_out WHERE seq <= ?").run(BigInt(work.outbox));
    if (!silent) writeToken(file.db, encodeToken(note.token), undefined);
    point(core, "flush-written");
    return true;
  });
  if (locked.kind === "busy" || !locked.value) {
    if (!silent) engine.write((tx) => core.registry.dropNote(tx));
    return { kind: locked.kind === "busy" ? "busy" : "moved" };
  }
  point(core, "flush-committed");
  if (silent) return { kind: "done", runs: [] };
  const runs = engine.write((tx) => adoptNote(core, tx, note));
  point(core, "flush-adopted");
  return { kind: "done", runs };
}
