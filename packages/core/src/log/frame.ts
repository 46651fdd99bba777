/**
 * The frame: the log's entry. 1..256 changes of one device, sealed and signed once.
 * Bytes: docs/format.md, "Frame". Rules FRM1..FRM6.
 */
import type { Sealed } from "../bytes/brand.ts";
import { concat } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { decodeWith, Malformed } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import { ctx, kdfLabels, signatureContexts } from "../crypto/labels.ts";
import type { Suite } from "../crypto/suite.ts";

export const FORMAT = 1;
export const frameKinds = { data: 1, membership: 2 } as const;
/** Bit 0: more frames of this run follow. Bit 2: continues a run. All other bits are 0. */
export const frameFlags = { more: 1, continues: 4 } as const;

const SIGNATURE = 64;
const NONCE = 24;
/** An index is kept in 32 bits: a greater one must not be taken for another device. */
const DEVICE_MAX = 2 ** 32 - 1;
const AEAD_TAG = 16;
/** The longest header: 4 bytes, six varints of 8 bytes, anchor and nonce. */
const HEADER_MAX = 4 + 6 * 8 + 32 + NONCE;
/** The most that a data frame is longer than its plaintext. */
export const FRAME_OVERHEAD: number = HEADER_MAX + AEAD_TAG + SIGNATURE;

export interface FrameHeader {
  readonly suite: number;
  readonly kind: number;
  readonly flags: number;
  readonly epoch: number;
  /** Index of the author's device in the vault. */
  readonly device: number;
  /** Starts at 1, one more for each frame of this device. */
  readonly deviceSeq: number;
  /** The newest entry the author has verified, and the chain hash there. */
  readonly anchorSeq: number;
  readonly anchor: Uint8Array;
  /** The author's clock, seconds since 1970. */
  readonly sealedAt: number;
  readonly nonce: Uint8Array;
}

export interface Frame extends FrameHeader {
  readonly format: number;
  /** All before the body, as it stands in the bytes. */
  readonly header: Uint8Array;
  readonly body: Uint8Array;
  readonly signature: Uint8Array;
}

/** Everything before the body. `bodyLength` is part of it. */
export function encodeHeader(h: FrameHeader, bodyLength: number): Uint8Array {
  return new Writer(HEADER_MAX)
    .u8(FORMAT)
    .u8(h.suite)
    .u8(h.kind)
    .u8(h.flags)
    .v(h.epoch)
    .v(h.device)
    .v(h.deviceSeq)
    .v(h.anchorSeq)
    .v(h.sealedAt)
    .fixed(h.anchor)
    .fixed(h.nonce)
    .v(bodyLength)
    .done();
}

/** Null for anything but one canonical frame within the limits. Judges no meaning. */
export function parseFrame(bytes: Uint8Array): Frame | null {
  if (bytes.length > limits.frame) return null;
  return decodeWith(bytes, (r) => {
    const format = r.u8();
    const suite = r.u8();
    const kind = r.u8();
    const flags = r.u8();
    if (kind !== frameKinds.data && kind !== frameKinds.membership) throw new Malformed("kind");
    if ((flags & ~(frameFlags.more | frameFlags.continues)) !== 0) throw new Malformed("flags");
    if (kind === frameKinds.membership && flags !== 0) throw new Malformed("flags");
    if (kind === frameKinds.membership && bytes.length > limits.membershipFrame) throw new Malformed("size");
    const epoch = r.v();
    const device = r.v(DEVICE_MAX);
    const deviceSeq = r.v();
    const anchorSeq = r.v();
    const sealedAt = r.v();
    if (deviceSeq === 0) throw new Malformed("device seq");
    const anchor = r.fixed(32);
    const nonce = r.fixed(NONCE);
    const length = r.v(limits.frame);
    const header = r.slice(0);
    const body = r.fixed(length);
    const signature = r.fixed(SIGNATURE);
    return {
      format,
      suite,
      kind,
      flags,
      epoch,
      device,
      deviceSeq,
      anchorSeq,
      anchor,
      sealedAt,
      nonce,
      header,
      body,
      signature,
    };
  });
}

/** What the device signs: FRM2. */
export function signedBytes(
  suite: Suite,
  vault: Uint8Array,
  header: Uint8Array,
  body: Uint8Array,
): Uint8Array {
  return concat(ctx(signatureContexts.frame), vault, header, suite.sha256(body));
}

export function verifyFrame(suite: Suite, vault: Uint8Array, frame: Frame, signKey: Uint8Array): boolean {
  return suite.verify(frame.signature, signedBytes(suite, vault, frame.header, frame.body), signKey);
}

/** The key of one device's data frames in one epoch: kdf(EK, tl1/frame, vault ‖ device id). */
export function frameKey(
  suite: Suite,
  epochKey: Uint8Array,
  vault: Uint8Array,
  deviceId: Uint8Array,
): Uint8Array {
  return suite.kdf(epochKey, kdfLabels.frame, concat(vault, deviceId), 32);
}

/** Seals and signs one data frame. `plain` is padded plaintext (`plaintext.ts`). */
export function sealFrame(
  suite: Suite,
  vault: Uint8Array,
  h: FrameHeader,
  plain: Uint8Array,
  key: Uint8Array,
  signSecret: Uint8Array,
): Sealed {
  const header = encodeHeader(h, plain.length + AEAD_TAG);
  const body = suite.aeadSeal(key, h.nonce, frameAad(vault, header), plain);
  return signFrame(suite, vault, header, body, signSecret);
}

/** Signs a frame whose body is ready: membership, and the end of `sealFrame`. */
export function signFrame(
  suite: Suite,
  vault: Uint8Array,
  header: Uint8Array,
  body: Uint8Array,
  signSecret: Uint8Array,
): Sealed {
  const signature = suite.sign(signedBytes(suite, vault, header, body), signSecret);
  return concat(header, body, signature) as Sealed;
}

/** The plaintext, still padded; null when key, bytes or header are not what was sealed. */
export function openFrame(suite: Suite, vault: Uint8Array, frame: Frame, key: Uint8Array): Uint8Array | null {
  return suite.aeadOpen(key, frame.nonce, frameAad(vault, frame.header), frame.body);
}

function frameAad(vault: Uint8Array, header: Uint8Array): Uint8Array {
  return concat(ctx(kdfLabels.frame), vault, header);
}
