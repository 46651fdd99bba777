/** Seals and signs one membership frame. Bytes: docs/format.md, "Membership". */

import type { Sealed } from "../bytes/brand.ts";
import { concat, EMPTY } from "../bytes/bytes.ts";
import type { SecretKeys } from "../crypto/identity.ts";
import { kdfLabels } from "../crypto/labels.ts";
import type { Suite } from "../crypto/suite.ts";
import type { Link } from "../log/chain.ts";
import { encodeHeader, frameKinds, signFrame } from "../log/frame.ts";
import { encodeBody, encodePrivateParts, encodePublicPart, type MembershipRecord } from "./records.ts";

export interface MembershipFrame {
  readonly author: {
    readonly keys: SecretKeys;
    readonly id: Uint8Array;
    readonly index: number;
    readonly deviceSeq: number;
  };
  /** The newest entry the author has verified: the anchor, and M there for `prev`. */
  readonly at: { readonly seq: number; readonly link: Link; readonly now: number };
  /** The newest epoch after this frame. */
  readonly epoch: { readonly n: number; readonly key: Uint8Array };
  readonly records: readonly { readonly record: MembershipRecord; readonly hidden: Uint8Array | undefined }[];
}

const TAG = 16;

export function sealMembership(suite: Suite, vault: Uint8Array, f: MembershipFrame): Sealed {
  const publicPart = encodePublicPart(
    f.at.link.members,
    f.records.map((r) => r.record),
  );
  const hidden = encodePrivateParts(f.records.map((r) => r.hidden ?? EMPTY));
  // The seal covers the header, which names the body's length: it is known before sealing.
  const length = encodeBody(publicPart, new Uint8Array(hidden.length + TAG)).length;
  const nonce = suite.random(24);
  const header = encodeHeader(
    {
      suite: suite.id,
      kind: frameKinds.membership,
      flags: 0,
      epoch: f.epoch.n,
      device: f.author.index,
      deviceSeq: f.author.deviceSeq,
      anchorSeq: f.at.seq,
      anchor: f.at.link.hash,
      sealedAt: Math.max(0, Math.floor(f.at.now / 1000)),
      nonce,
    },
    length,
  );
  const key = suite.kdf(f.epoch.key, kdfLabels.member, concat(vault, f.author.id), 32);
  const sealed = suite.aeadSeal(key, nonce, memberAad(suite, header, publicPart), hidden);
  return signFrame(suite, vault, header, encodeBody(publicPart, sealed), f.author.keys.signSecret);
}

/** Associated data of the private part: header ‖ SHA-256(public part). */
export function memberAad(suite: Suite, header: Uint8Array, publicPart: Uint8Array): Uint8Array {
  return concat(header, suite.sha256(publicPart));
}
