/** Own edits without a verdict, and those the log did not take: each with its cause, and what a person does with it. */
import { join } from "node:path";
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import { toHex } from "@tidelock/core/bytes/bytes";
import { decodeAct } from "@tidelock/core/engine/acts";
import { framesOf, getRun, type OutFrame, type OutRun, runs } from "@tidelock/core/engine/outbox";
import { type RunState, stateOfRun } from "@tidelock/core/engine/queue";
import { deriveStatus, type Facts, type StatusCode } from "@tidelock/core/engine/status";
import { TidelockError } from "@tidelock/core/errors";
import { decodeSection } from "@tidelock/core/kinds/tables/codec";
import type { TableChange } from "@tidelock/core/kinds/tables/types";
import { decodeSections } from "@tidelock/core/log/plaintext";
import type { Tx } from "@tidelock/core/log/tx";
import { writeWhole } from "../home/files.ts";
import { copiedError } from "./copied.ts";
import { describeChange, type LogChange, otherChanges, summarise, TABLES_SECTION } from "./log-view.ts";
import { type Outcome, outcomeOf } from "./outcome.ts";
import type { Session } from "./session.ts";
import { optional } from "./status.ts";

export interface QueueItem {
  readonly id: number;
  /** When it was made. */
  readonly time: string;
  readonly frames: number;
  readonly state: RunState;
  /** What is in it, without a value. */
  readonly summary: string;
  /** Why the log did not take it; or the state that holds it up; or `waits`, for its turn or its verdict. */
  readonly cause: string;
  /** Why the log did not take it. */
  readonly reason?: string;
  /** When it is tried again by itself, RFC 3339; absent where only `sync` or a person does. */
  readonly nextTry?: string;
}

export interface QueueActed {
  /** Of a retry the new number. */
  readonly id: number;
  readonly state: Outcome | "kept" | "discarded";
  /** Where the copy lies. */
  readonly path?: string;
}

/** `facts`: where nothing syncs by itself, those of a look at the remote. */
export function queueList(session: Session, facts: Facts = session.facts()): readonly QueueItem[] {
  const holdUp = holdUpOf(facts);
  const nextTry = session.engine.sync?.facts().nextTry;
  return session.replica.read((tx) =>
    runs(tx).map((run) => {
      const state = stateOfRun(tx, run);
      const reason = run.parked ?? run.failed;
      return {
        id: run.id,
        time: new Date(run.at).toISOString(),
        frames: run.frames,
        state,
        summary: summaryOf(tx, run),
        cause: reason ?? holdUp,
        ...optional("reason", reason),
        ...optional(
          "nextTry",
          state === "rejected" || nextTry === undefined ? undefined : new Date(nextTry).toISOString(),
        ),
      };
    }),
  );
}

/** Sends again what was refused. */
export async function retryEdit(session: Session, id: number): Promise<QueueActed> {
  if (session.copied) throw copiedError();
  const run = session.engine.write((tx) => {
    const now = session.replica.retry(tx, id);
    session.folders.renumber(tx, id, now);
    return now;
  });
  return { id: run, state: await outcomeOf(session, run) };
}

/** Writes an edit to a new file of the home, one change a line; the edit stays where it is. */
export function saveEdit(session: Session, id: number): QueueActed {
  return { id, state: "kept", path: save(session, id) };
}

/** Gives an edit up, after a copy of it is safe. A crash between the two leaves both. */
export async function dropEdit(session: Session, id: number): Promise<QueueActed> {
  const { replica, engine } = session;
  const declares = replica.read((tx) =>
    changesOfRun(tx, id).some(({ changes }) => changes?.some((one) => one.op === "schema") === true),
  );
  const waits = replica.read((tx) => stateOfRun(tx, needRun(tx, id))) === "unsent";
  // What comes behind it would say something of a table that nobody knows.
  if (declares && waits)
    throw new TidelockError("usage", {
      why: "this edit declares a table, and others rest on it",
      next: "tidelock db detach PATH, where the table should not be in the vault",
    });
  const path = save(session, id);
  engine.write((tx) => replica.discard(tx, id));
  // The file shows the row without it at once, not when somebody looks next.
  await session.attachments.settle();
  return { id, state: "discarded", path };
}

const going: ReadonlySet<StatusCode> = new Set(["conflict", "connecting", "syncing", "pending", "live"]);

function holdUpOf(facts: Facts): string {
  const { code } = deriveStatus(facts);
  if (facts.paused && code === "offline") return "paused";
  if (!facts.keyArrived) return "key-missing";
  if (code === "error") return facts.failed ?? (facts.stalled ? "stalled" : code);
  if (code === "halted") return facts.halt ?? "disk-full";
  return going.has(code) ? "waits" : code;
}

function needRun(tx: Tx, id: number): OutRun {
  const run = getRun(tx, id);
  if (run === undefined)
    throw new TidelockError("not-found", {
      why: "no edit of this number waits or was refused",
      next: "tidelock queue ls",
    });
  return run;
}

/** Of the frames that hold changes of tables, whole or not to be read. */
interface FrameContent {
  readonly frame: OutFrame;
  readonly changes: readonly TableChange[] | undefined;
}

function changesOfRun(tx: Tx, id: number): readonly FrameContent[] {
  return framesOf(tx, id).map((frame) => {
    if (frame.act === true || frame.changes.length === 0) return { frame, changes: undefined };
    const section = decodeSections(frame.changes)?.get(TABLES_SECTION);
    return { frame, changes: section === undefined ? undefined : decodeSection(section)?.changes };
  });
}

/** A long transaction is not read whole for one line of a list. */
const LOOKED_AT = 4;

function summaryOf(tx: Tx, run: OutRun): string {
  if (run.frames > LOOKED_AT) return `a transaction of ${run.frames} frames`;
  return changesOfRun(tx, run.id)
    .map(({ frame, changes }) => actOf(frame) ?? summaryOfFrame(frame, changes))
    .join(", ");
}

function summaryOfFrame({ changes: bytes }: OutFrame, changes: FrameContent["changes"]): string {
  if (changes !== undefined) return summarise(changes);
  const sections = bytes.length === 0 ? null : decodeSections(bytes);
  return sections === null ? "membership" : summarise([], otherChanges(sections));
}

function actOf(frame: OutFrame): string | undefined {
  return frame.act === true ? (decodeAct(frame.changes)?.kind ?? "membership") : undefined;
}

type SavedLine = LogChange | { readonly act: string } | { readonly frame: number; readonly sealed: string };

function save(session: Session, id: number): string {
  const { replica, paths, clock } = session;
  const lines = replica.read((tx): string[] => {
    const run = needRun(tx, id);
    const head = {
      type: "tidelock-edit",
      v: 1,
      vault: toHex(replica.vault),
      id,
      time: new Date(run.at).toISOString(),
      state: stateOfRun(tx, run),
      ...optional("reason", run.parked ?? run.failed),
    };
    const content = changesOfRun(tx, id).flatMap(({ frame, changes }): SavedLine[] => {
      const act = actOf(frame);
      if (act !== undefined) return [{ act }];
      return (
        changes?.map((change) => describeChange(session, tx, change)) ?? [
          { frame: frame.index, sealed: toBase64Url(frame.sealed ?? frame.changes) },
        ]
      );
    });
    return [head, ...content].map((line) => JSON.stringify(line));
  });
  const stamp = new Date(clock.now()).toISOString().replaceAll(":", "-");
  const path = join(paths.data, "saved-edits", `edit-${id}-${stamp}.jsonl`);
  writeWhole(path, `${lines.join("\n")}\n`);
  return path;
}
