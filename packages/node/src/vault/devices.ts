/** The devices of a vault: when each was last heard of in its log, what it is called, and taking one out. */
import type { MemberAct } from "@tidelock/core/engine/acts";
import { getCursor, getEntry } from "@tidelock/core/engine/entries";
import { TidelockError } from "@tidelock/core/errors";
import { parseFrame } from "@tidelock/core/log/frame";
import type { Tx } from "@tidelock/core/log/tx";
import { encodeName } from "@tidelock/core/vault/records";
import { copiedError } from "./copied.ts";
import { type Outcome, outcomeOf } from "./outcome.ts";
import type { Session } from "./session.ts";
import { optional } from "./status.ts";

export interface DeviceView {
  readonly device: number;
  readonly name: string;
  /** This one. */
  readonly own: boolean;
  /** RFC 3339; absent for the device that founded the vault. */
  readonly since?: string;
  /** When the remote took its newest entry; absent where that lies too far back. A device that only reads leaves no trace. */
  readonly lastSeen?: string;
  /** When it was taken out of the vault. */
  readonly removed?: string;
}

/** Entries that are looked at for the last sign of every device: some ms. */
const LOOK_BACK = 10_000;

export function deviceList(session: Session): readonly DeviceView[] {
  const { replica } = session;
  return replica.read((tx) => {
    const own = replica.ownDevice(tx);
    const devices = replica.membership.devices(tx);
    const seen = lastSeen(tx, devices.length);
    return devices.map((d) => ({
      device: d.index,
      name: replica.membership.deviceName(tx, d.index) ?? "",
      own: d.index === own,
      ...optional("since", timeOf(tx, d.admittedAt)),
      ...optional("lastSeen", seen.get(d.index)),
      ...optional("removed", d.removedAt === undefined ? undefined : timeOf(tx, d.removedAt)),
    }));
  });
}

export interface DeviceActed {
  readonly device: number;
  readonly name: string;
  readonly state: Outcome;
}

/** Which device a person means, by its number or its name. Throws where that is none, or several. */
export function deviceNamed(session: Session, wanted: string): DeviceView {
  const active = deviceList(session).filter((one) => one.removed === undefined);
  const byNumber = /^\d{1,9}$/.test(wanted) ? active.filter((one) => one.device === Number(wanted)) : [];
  const found = byNumber.length > 0 ? byNumber : active.filter((one) => one.name === wanted);
  const [one, other] = found;
  if (one === undefined)
    throw new TidelockError("not-found", {
      why: "no device of this vault is called so",
      next: "tidelock device ls",
    });
  if (other !== undefined)
    throw new TidelockError("usage", {
      why: `${found.length} devices are called so`,
      next: "name it by its number: tidelock device ls",
    });
  return one;
}

/**
 * It reads nothing that is written from there on. What it has already, it keeps. `certifiedSince`: the
 * devices go too that it let in since then, which may have been a stranger's doing.
 */
export async function removeDevice(
  session: Session,
  wanted: string,
  certifiedSince?: string,
): Promise<DeviceActed> {
  const { device, name, own } = deviceNamed(session, wanted);
  if (own)
    throw new TidelockError("usage", {
      why: "this is the device you are at",
      next: "take it out from another device of this vault",
    });
  const since = sinceOf(session, device, certifiedSince);
  return { device, name, state: await act(session, { kind: "revoke-device", device, since }) };
}

/** The entry up to which whom a device let in stays; whom it lets in while this is on its way goes in any case. */
function sinceOf({ replica, clock }: Session, device: number, moment: string | undefined): number {
  const { applied } = replica.cursor();
  if (moment === undefined) return applied;
  const from = momentOf(moment, clock.now());
  return replica.read((tx) => {
    const letIn = replica.membership.devices(tx).filter((one) => one.admittedBy === device);
    const admissions = letIn.map(({ admittedAt: seq }) => ({ seq, time: getEntry(tx, seq)?.time }));
    return lastKept(admissions, from, applied);
  });
}

/** Before the first admission at or after the moment; one whose time nobody knows any more counts as after it. */
export function lastKept(
  admissions: readonly { readonly seq: number; readonly time: number | undefined }[],
  from: number,
  applied: number,
): number {
  const gone = admissions.filter(({ time }) => time === undefined || time >= from);
  return Math.min(applied, ...gone.map(({ seq }) => seq - 1));
}

/** RFC 3339, or a day. */
export function momentOf(text: string, now: number): number {
  const ms = /^\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d))?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (ms <= now) return ms;
  throw new TidelockError("usage", {
    why: "--certified-since wants a moment that has been",
    next: "a day, 2026-11-21, or a time, 2026-11-21T14:05:00Z",
  });
}

export async function renameDevice(session: Session, name: string): Promise<DeviceActed> {
  encodeName(name);
  const device = session.engine.device;
  if (device === undefined)
    throw new TidelockError("key-missing", { why: "this device is not admitted to the vault yet" });
  return { device, name, state: await act(session, { kind: "rename", name }) };
}

/** `waits` where it cannot be sent now. */
export async function act(session: Session, wish: MemberAct): Promise<Outcome> {
  if (session.copied) throw copiedError();
  return outcomeOf(
    session,
    session.engine.write((tx) => session.replica.submitAct(tx, wish)),
  );
}

function lastSeen(tx: Tx, devices: number): ReadonlyMap<number, string> {
  const timeByDevice = new Map<number, string>();
  const { applied } = getCursor(tx);
  for (let seq = applied; seq > Math.max(0, applied - LOOK_BACK) && timeByDevice.size < devices; seq--) {
    const entry = getEntry(tx, seq);
    const frame = entry?.frame === undefined ? null : parseFrame(entry.frame);
    if (entry === undefined || frame === null || timeByDevice.has(frame.device)) continue;
    timeByDevice.set(frame.device, new Date(entry.time).toISOString());
  }
  return timeByDevice;
}

function timeOf(tx: Tx, seq: number): string | undefined {
  const entry = getEntry(tx, seq);
  return entry === undefined ? undefined : new Date(entry.time).toISOString();
}
