/**
 * The replica spaces of the files kind and their keys. Ids and ops are 16 bytes, positions u64,
 * big-endian, so that keys sort as what they name.
 */
import { concat, encodeUtf8 } from "../../bytes/bytes.ts";
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import type { Space } from "../../log/kind.ts";
import { fold } from "./fold.ts";

/** Confirmed state: a function of the log alone. */
export const confirmed = {
  /** id → item, live or dead. */
  item: "f.item",
  /** parent, folded name → id: live items only. */
  slot: "f.slot",
  /** id that was asked for → id of the item it was merged into. */
  alias: "f.alias",
  /** op → id of the item that carries the revision this op made. */
  head: "f.head",
  /** id, position → content that was replaced. */
  version: "f.version",
  /** op → conflict or notice. */
  entry: "f.entry",
  /** parent, id → empty: dead items. */
  grave: "f.grave",
  /** id, op of the entry → empty: open conflicts, by both items. */
  open: "f.open",
} as const;

/** This device's own, or derived from what is confirmed. */
export const local = {
  /** run id, frame → unconfirmed section. */
  pending: "f.pending",
  /** number of a confirmed space, key → what stands there with all unconfirmed changes: 0, or 1 and the value. */
  over: "f.over",
  meta: "f.meta",
  /** Nothing → how often the confirmed state has changed. */
  state: "f.state",
} as const;

export type ConfirmedSpace = (typeof confirmed)[keyof typeof confirmed];

export const confirmedSpaces: readonly ConfirmedSpace[] = Object.values(confirmed);

export const spaces: readonly Space[] = [
  ...confirmedSpaces.map((name) => ({ name, digested: true })),
  ...Object.values(local).map((name) => ({ name, digested: false, kept: name === local.meta })),
];

export const metaKeys: { readonly self: Uint8Array } = { self: encodeUtf8("self") };

/** Where changes stand that have no place in the log yet: after all that do, run by run. */
export const PENDING: number = 2 ** 48;

export const NOTHING: Uint8Array = new Uint8Array(0);
export const ID = 16;

export function slotKey(parent: Uint8Array, name: string): Uint8Array {
  return concat(parent, encodeUtf8(fold(name)));
}

/** Of what a change at this place in the log did. */
export function placeKey(id: Uint8Array, seq: number, index: number): Uint8Array {
  return new Writer(28).fixed(id).u64(seq).u32(index).done();
}

export function runKey(run: number, frame: number): Uint8Array {
  return new Writer(12).u64(run).u32(frame).done();
}

export function frameOf(key: Uint8Array): number {
  return new Reader(key.subarray(8)).u32();
}

/** A map key for bytes. */
export function textOf(bytes: Uint8Array): string {
  if (bytes.length !== ID) return String.fromCharCode.apply(null, bytes as unknown as number[]);
  // Ids and ops are most of them, and a list of arguments is made without a walk.
  const [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes as unknown as Sixteen;
  return String.fromCharCode(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p);
}

type Four = readonly [number, number, number, number];
type Sixteen = readonly [...Four, ...Four, ...Four, ...Four];
