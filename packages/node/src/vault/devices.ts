/** The devices of a vault, and when each was last heard of in its log. */
import { getCursor, getEntry } from "@tidelock/core/engine/entries";
import { parseFrame } from "@tidelock/core/log/frame";
import type { Tx } from "@tidelock/core/log/tx";
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
