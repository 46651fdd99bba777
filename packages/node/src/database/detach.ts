/** Takes what is ours out of a file, with the vault or without it. Rules ATT10, ATT32. */
import type { Seq } from "@tidelock/core/bytes/brand";
import { TidelockError } from "@tidelock/core/errors";
import type { Binding } from "./binding.ts";
import { type Core, point, seenNow } from "./core.ts";
import { AppFile, type FileDeps } from "./file.ts";
import type { FlushResult } from "./flush.ts";
import { busy, type Unfit } from "./mend.ts";
import type { Host } from "./open.ts";
import { outboxIsEmpty } from "./outbox.ts";
import { putRecord } from "./registry.ts";
import { loadDriver } from "./sqlite.ts";
import { readMeta, uninstall } from "./triggers.ts";

/** What a detached file holds that the vault was not told. */
export interface Left {
  /** Tables that no longer fit the vault, so that they could not be flushed. */
  readonly unfit: readonly Unfit[];
  /** Rows of them that were touched and not sent. */
  readonly unsent: number;
  /** Deletions that waited for a person's word. */
  readonly withheld: number;
  /** False where capture had been taken out before: what was written since is not known. */
  readonly captured: boolean;
}

/** How often the app may write between the last flush and the end. */
const ROUNDS = 20;

export async function leave(
  host: Host,
  binding: Binding,
  flush: (core: Core) => Promise<FlushResult>,
): Promise<Left> {
  try {
    return await last(host, binding, flush);
  } catch (error) {
    binding.planAgain();
    throw error;
  }
}

async function last(
  host: Host,
  binding: Binding,
  flush: (core: Core) => Promise<FlushResult>,
): Promise<Left> {
  const { unfit, strange } = await binding.mend("detach");
  const { core } = binding;
  const record = binding.record();
  if (record === undefined) throw new TidelockError("not-found", { why: `${binding.path} is not attached` });
  if (core === undefined || binding.state !== "live") {
    binding.forget(record);
    return { unfit, unsent: 0, withheld: 0, captured: false };
  }
  const unsent = new Set(strange);
  let seen: Seq | undefined;
  for (let round = 0; ; round++) {
    const flushed = await flush(core);
    for (const row of flushed.strange) unsent.add(row);
    point(core, "detach-flushed");
    if (flushed.kind === "busy" || round > ROUNDS) throw busy(binding.path);
    host.engine.write((tx) => putRecord(tx, { ...record, phase: "detaching" }));
    point(core, "detach-marked");
    const dropped = await core.file.write(() => {
      if (!outboxIsEmpty(core.file)) return false;
      const projected = readMeta(core.file.db, core.file.path)?.projected ?? 0;
      seen = host.engine.read((tx) => seenNow(core, tx, projected));
      uninstall(core.file.db);
      return true;
    });
    if (dropped.kind === "done" && dropped.value) break;
    host.engine.write((tx) => putRecord(tx, record));
    if (dropped.kind === "busy") throw busy(binding.path);
  }
  point(core, "detach-dropped");
  const withheld = host.engine.read((tx) => core.registry.helds(tx).length);
  binding.forget(record, seen);
  point(core, "detach-forgotten");
  return { unfit, unsent: unsent.size, withheld, captured: true };
}

export interface Forced {
  /** Whose marks they were; undefined where there were none. */
  readonly attachment: Uint8Array | undefined;
  /** Rows touched since the last flush: they stay in the tables and are no longer known to be edits. */
  readonly unsent: number;
}

/** For a file whose vault is not here: a copy, a restored backup. */
export async function detachForce(path: string, deps: FileDeps): Promise<Forced> {
  const file = new AppFile(loadDriver(), path, deps);
  try {
    const done = await file.write((): Forced => {
      const unsent = waitingRows(file);
      const attachment = marksOf(file);
      uninstall(file.db);
      return { attachment, unsent };
    });
    if (done.kind === "busy") throw busy(path);
    return done.value;
  } finally {
    file.close();
  }
}

function marksOf(file: AppFile): Uint8Array | undefined {
  try {
    return readMeta(file.db, file.path)?.attachment;
  } catch {
    return undefined; // half of an attachment, or a newer one's: it goes all the same
  }
}

/** Different rows that the outbox names. */
function waitingRows(file: AppFile): number {
  const columns = (file.db.pragma("table_info(_tl_out)") as { name: string }[])
    .map((c) => c.name)
    .filter((name) => /^k\d+$/.test(name));
  if (columns.length === 0) return 0;
  const sql = `SELECT count(*) FROM (SELECT DISTINCT abs(tbl), ${columns.join()} FROM _tl_out)`;
  return Number(file.db.prepare(sql).pluck().get());
}
