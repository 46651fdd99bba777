/**
 * Epoch keys and their envelopes. An epoch key is 32 random bytes, sealed to every device and to
 * each person's recovery keys; a commitment in the signed record says which key is meant.
 * Bytes: docs/format.md, "Epochs". Rules VLT4..VLT6.
 */

import type { Sealed } from "../bytes/brand.ts";
import { concat } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { decodeWith, Malformed } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import { ctx, hashContexts, kdfLabels } from "../crypto/labels.ts";
import type { BoxPair, Suite } from "../crypto/suite.ts";
import { FORMAT } from "../log/frame.ts";
import { paddedLength } from "../log/plaintext.ts";

const LIST_KIND = 15;
const PACK_KIND = 4;
const PACK_HEAD = 20;
export const ENVELOPE = 112;
/** Nonce ‖ the key of the epoch before, sealed. */
export const EPOCH_BEFORE = 72;
const NONCE = 24;

export type Recipient = {
  readonly kind: "device" | "person";
  readonly id: Uint8Array;
  readonly box: Uint8Array;
};

/** kdf(EK_n, tl1/epoch/commit, vault ‖ u64 n). */
export function commitment(suite: Suite, key: Uint8Array, vault: Uint8Array, n: number): Uint8Array {
  return suite.kdf(key, kdfLabels.epochCommit, concat(vault, new Writer(8).u64(n).done()), 32);
}

function context(suite: Suite, vault: Uint8Array, n: number, to: Pick<Recipient, "kind" | "id">): Uint8Array {
  const where = new Writer(9)
    .u64(n)
    .u8(to.kind === "device" ? 0 : 1)
    .done();
  return suite.sha256(concat(ctx(hashContexts.envelope), vault, where, to.id));
}

/** A sealed box proves no sender and has no associated data: the context inside and the signed record supply both. */
export function sealEnvelope(
  suite: Suite,
  key: Uint8Array,
  vault: Uint8Array,
  n: number,
  to: Recipient,
): Uint8Array {
  return suite.sealTo(to.box, concat(context(suite, vault, n, to), key));
}

/** The epoch key, or null unless context and commitment both match: checked before any use. */
export function openEnvelope(
  suite: Suite,
  sealed: Uint8Array,
  vault: Uint8Array,
  epoch: { readonly n: number; readonly commit: Uint8Array },
  me: Pick<Recipient, "kind" | "id">,
  pair: BoxPair,
): Uint8Array | null {
  if (sealed.length !== ENVELOPE) return null;
  const plain = suite.openSealed(pair, sealed);
  if (plain === null || plain.length !== 64) return null;
  const key = plain.slice(32);
  if (!suite.equal(plain.subarray(0, 32), context(suite, vault, epoch.n, me))) return null;
  return suite.equal(commitment(suite, key, vault, epoch.n), epoch.commit) ? key : null;
}

/** The key of the epoch before under the key of epoch n: one envelope of the newest epoch opens them all. */
export function sealBefore(
  suite: Suite,
  key: Uint8Array,
  vault: Uint8Array,
  n: number,
  before: Uint8Array,
): Uint8Array {
  const nonce = suite.random(NONCE);
  const { under, aad } = beforeKey(suite, key, vault, n);
  return concat(nonce, suite.aeadSeal(under, nonce, aad, before));
}

/** The key of epoch n − 1, or null unless it is the one that its own record commits to. */
export function openBefore(
  suite: Suite,
  key: Uint8Array,
  vault: Uint8Array,
  n: number,
  sealed: Uint8Array,
  commit: Uint8Array,
): Uint8Array | null {
  if (sealed.length !== EPOCH_BEFORE) return null;
  const { under, aad } = beforeKey(suite, key, vault, n);
  const before = suite.aeadOpen(under, sealed.subarray(0, NONCE), aad, sealed.subarray(NONCE));
  if (before === null) return null;
  return suite.equal(commitment(suite, before, vault, n - 1), commit) ? before : null;
}

function beforeKey(
  suite: Suite,
  key: Uint8Array,
  vault: Uint8Array,
  n: number,
): { readonly under: Uint8Array; readonly aad: Uint8Array } {
  const where = concat(vault, new Writer(8).u64(n).done());
  return {
    under: suite.kdf(key, kdfLabels.epochPrev, where, 32),
    aad: concat(ctx(kdfLabels.epochPrev), where),
  };
}

/** The envelopes of devices, then persons, in index order, as a pack of one. */
export function encodeEnvelopePack(
  suite: Suite,
  envelopes: readonly Uint8Array[],
): { id: Uint8Array; bytes: Sealed } {
  const w = new Writer(PACK_HEAD + 16 + envelopes.length * ENVELOPE);
  w.u8(FORMAT).u8(suite.id).u8(PACK_KIND).u8(0).fixed(suite.random(16));
  w.u8(FORMAT).u8(suite.id).u8(LIST_KIND).u8(0).v(envelopes.length);
  for (const envelope of envelopes) w.fixed(envelope);
  w.fixed(suite.random(paddedLength(w.length) - w.length));
  const bytes = w.done() as Sealed;
  return { id: suite.sha256(bytes), bytes };
}

/** Null unless the bytes are the pack of that id and hold exactly one list. The random tail is not read. */
export function parseEnvelopePack(
  suite: Suite,
  id: Uint8Array,
  bytes: Uint8Array,
): readonly Uint8Array[] | null {
  if (bytes.length > limits.blob || !suite.equal(suite.sha256(bytes), id)) return null;
  return decodeWith(bytes, (r) => {
    if (r.u8() !== FORMAT || r.u8() !== suite.id || r.u8() !== PACK_KIND || r.u8() !== 0)
      throw new Malformed("pack");
    r.fixed(16);
    if (r.u8() !== FORMAT || r.u8() !== suite.id || r.u8() !== LIST_KIND || r.u8() !== 0)
      throw new Malformed("list");
    const count = r.v(limits.devicesPlusPersons);
    const envelopes: Uint8Array[] = [];
    for (let i = 0; i < count; i++) envelopes.push(r.fixed(ENVELOPE));
    if (bytes.length !== paddedLength(r.at)) throw new Malformed("padding");
    r.fixed(r.left);
    return envelopes;
  });
}
