/**
 * Gives room on the remote back: what nothing needs is condemned in the log, and deleted once that stands there for a
 * while. One pass goes through what the remote has, and sends at most one record. Rules CNT11 to CNT14.
 */
import { EMPTY, toHex } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { encodeHousekeeping, HOUSEKEEPING } from "../log/housekeeping.ts";
import { isHeld, PACK_KEPT, standingOf } from "../log/locations.ts";
import type { Tx } from "../log/tx.ts";
import type { BlobInfo, Failure, Remote, Scheduler } from "../ports.ts";
import type { Engine } from "./api.ts";
import { getCursor, getEntry } from "./entries.ts";
import { getTrack } from "./judge.ts";
import type { Replica } from "./replica.ts";
import { getVerdict } from "./verdicts.ts";

export interface GiveUpDeps {
  readonly replica: Replica;
  readonly engine: Pick<Engine, "write" | "submit" | "syncNow">;
  readonly remote: Remote;
  readonly scheduler: Scheduler;
}

export type GivenUp =
  | { readonly kind: "ok"; readonly condemned: number; readonly deleted: number; readonly bytes: number }
  /** This device may not, the place cannot, or something waits to be sent first. */
  | { readonly kind: "not-now" }
  | Failure;

/** Looked at in one go: nothing else happens meanwhile. */
const SLICE = 64;

export async function giveUpBlobs(deps: GiveUpDeps): Promise<GivenUp> {
  const { replica, engine, remote } = deps;
  if (!remote.caps.deletes || !(await isReady(deps))) return { kind: "not-now" };
  const idle: Idle[] = [];
  /** By the entry that gave them up. */
  const goneBySeq = new Map<number, BlobInfo[]>();
  let now = 0;
  for (let after = EMPTY; ; ) {
    const list = await remote.listBlobs(after);
    if (list.kind !== "ok") return list;
    const { blobs } = list.value;
    now = list.value.now;
    for (let at = 0; at < blobs.length; at += SLICE) {
      const some = blobs.slice(at, at + SLICE);
      replica.read((tx) => {
        const needs = keepersOf(replica, tx);
        for (const blob of some) {
          const fate = fateOf(replica, tx, blob, now, needs);
          if (typeof fate === "number") goneBySeq.set(fate, [...(goneBySeq.get(fate) ?? []), blob]);
          else if (fate !== undefined) idle.push(fate);
        }
      });
      // Everybody else comes first.
      await new Promise<void>((resolve) => void deps.scheduler.after(0, resolve));
    }
    const last = blobs.at(-1);
    if (last === undefined) break;
    // A place that lists no further than it did would be listed for ever.
    if (toHex(last.id) <= toHex(after)) return { kind: "corrupt", why: "the list of blobs is in no order" };
    after = last.id;
  }
  const deleted = await deleteGone(deps, goneBySeq, now);
  if (deleted.kind !== "ok") return deleted;
  const condemned = overdue(idle, now).slice(0, limits.blobsPerCall);
  if (condemned.length === 0) return { ...deleted, condemned: 0 };
  // What was not needed then may be now; what comes after this is the log's to judge.
  const sent = engine.write((tx) => {
    const needs = keepersOf(replica, tx);
    const packs = condemned.filter((id) => isIdle(replica, tx, id, now, needs));
    if (packs.length === 0 || replica.ownStanding(tx) !== "writer") return 0;
    const section = encodeHousekeeping([{ kind: "condemned", packs }]);
    engine.submit(tx, { frames: [{ sections: new Map([[HOUSEKEEPING, section]]) }] });
    return packs.length;
  });
  return { ...deleted, condemned: sent };
}

/** All of the log is applied, and nothing of this device's own waits that might name what would go. */
async function isReady({ replica, engine }: GiveUpDeps): Promise<boolean> {
  if (replica.read((tx) => replica.ownStanding(tx)) !== "writer") return false;
  if ((await engine.syncNow()).kind !== "live") return false;
  const { read, applied } = replica.cursor();
  const { pending, parked } = replica.waiting();
  return read === applied && pending + parked === 0 && replica.spooledBytes() === 0;
}

/** Names of blobs that are no packs of content and stay: lists of envelopes, by which devices come to their keys. */
function keepersOf({ membership }: Replica, tx: Tx): ReadonlySet<string> {
  const names = new Set<string>();
  for (let n = membership.newestEpoch(tx)?.n ?? 0; n > 0; n--) {
    const list = membership.epoch(tx, n)?.list;
    if (list !== undefined) names.add(toHex(list));
  }
  return names;
}

interface Idle {
  readonly id: Uint8Array;
  /** When it was recorded, and by which device; undefined: no record names it. */
  readonly recorded: { readonly time: number; readonly device: number } | undefined;
}

/** A device that has recorded something so lately which nothing names yet is in the middle of an upload, ms. */
const UPLOADING = 2 * 86_400_000;

/** A long upload names what it stored at its end: until then nothing of its device is too old. */
function overdue(idle: readonly Idle[], now: number): readonly Uint8Array[] {
  const newestByDevice = new Map<number, number>();
  for (const { recorded } of idle) {
    if (recorded === undefined) continue;
    const { device, time } = recorded;
    newestByDevice.set(device, Math.max(time, newestByDevice.get(device) ?? 0));
  }
  return idle.flatMap(({ id, recorded }) => {
    if (recorded === undefined) return [id];
    const isUploading = now - (newestByDevice.get(recorded.device) as number) < UPLOADING;
    return isUploading || now - recorded.time < PACK_KEPT ? [] : [id];
  });
}

/** What nothing needs, of whatever age where a record names it; a number: the entry that gave it up. */
function fateOf(
  replica: Replica,
  tx: Tx,
  { id, storedAt }: BlobInfo,
  now: number,
  needs: ReadonlySet<string>,
): Idle | number | undefined {
  if (needs.has(toHex(id))) return undefined;
  const standing = standingOf(tx, id);
  if (standing.kind === "gone") return now - storedAt < limits.blobGrace ? undefined : standing.seq;
  if (standing.kind === "idle") return { id, recorded: standing };
  if (standing.kind === "needed" || now - storedAt < PACK_KEPT) return undefined;
  return isIdle(replica, tx, id, now, needs) ? { id, recorded: undefined } : undefined;
}

function isIdle(replica: Replica, tx: Tx, id: Uint8Array, now: number, needs: ReadonlySet<string>): boolean {
  if (needs.has(toHex(id)) || isHeld(tx, id)) return false;
  const standing = standingOf(tx, id);
  if (standing.kind === "unknown") return replica.spooledBlob(id) === undefined;
  if (standing.kind !== "idle") return false;
  const due = standing.time + PACK_KEPT;
  return now >= due && hasSpokenSince(replica, tx, standing.device, due);
}

/**
 * Whether what a device had to say of its packs has been heard: it has signed what it sent after it had seen the log of
 * that time. One that is away may bring a change that names them; one that was removed never will.
 */
function hasSpokenSince(replica: Replica, tx: Tx, index: number, time: number): boolean {
  const device = replica.membership.device(tx, index);
  if (device === undefined || device.removedAt !== undefined || index === replica.ownDevice(tx)) return true;
  return (getVerdict(tx, getTrack(tx, index).anchorSeq)?.time ?? 0) >= time;
}

/** After one more look at the log: what is gone there now is what may go. */
async function deleteGone(
  deps: GiveUpDeps,
  goneBySeq: ReadonlyMap<number, readonly BlobInfo[]>,
  now: number,
): Promise<Exclude<GivenUp, { kind: "not-now" }>> {
  const { replica, remote } = deps;
  const total = { kind: "ok" as const, condemned: 0, deleted: 0, bytes: 0 };
  const due = replica.read((tx) =>
    [...goneBySeq].filter(([seq]) => now - (getEntry(tx, seq)?.time ?? now) >= limits.blobGrace),
  );
  if (due.length === 0 || !(await isReady(deps))) return total;
  for (const [seq, blobs] of due)
    for (let at = 0; at < blobs.length; at += limits.blobsPerCall) {
      const some = blobs.slice(at, at + limits.blobsPerCall).filter(({ id }) =>
        replica.read((tx) => {
          const standing = standingOf(tx, id);
          return standing.kind === "gone" && standing.seq === seq && seq <= getCursor(tx).applied;
        }),
      );
      if (some.length === 0) continue;
      const result = await remote.deleteBlobs(
        some.map(({ id }) => id),
        seq,
      );
      if (result.kind !== "ok") return result;
      const early = new Set(result.value.map(toHex));
      for (const { id, size } of some) {
        if (early.has(toHex(id))) continue;
        total.deleted++;
        total.bytes += size;
      }
    }
  return total;
}
