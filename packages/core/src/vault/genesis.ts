/**
 * Genesis: the vault's root of trust, entry 0. It names the owner and the first device; its hash
 * is the vault's id. Bytes: docs/format.md, "Genesis". Rule VLT1.
 */

import type { Sealed } from "../bytes/brand.ts";
import { concat } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { decodeWith, Malformed } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import type { PublicKeys, SecretKeys } from "../crypto/identity.ts";
import { ctx, hashContexts, signatureContexts } from "../crypto/labels.ts";
import type { Suite } from "../crypto/suite.ts";
import { FORMAT } from "../log/frame.ts";
import type { Certificate } from "./certificate.ts";
import { isIssuedByPerson, parseCertificate } from "./certificate.ts";

const KIND = 5;

export interface Genesis {
  readonly vault: Uint8Array;
  readonly owner: PublicKeys;
  readonly certificate: Certificate;
  readonly bytes: Sealed;
}

export function foundGenesis(suite: Suite, certificate: Certificate, device: SecretKeys): Genesis {
  const w = new Writer(600).u8(FORMAT).u8(suite.id).u8(KIND).u8(0);
  w.fixed(suite.random(32)).fixed(certificate.person.sign).fixed(certificate.person.box);
  w.bytes(certificate.bytes);
  w.fixed(suite.sign(concat(ctx(signatureContexts.genesis), w.view()), device.signSecret));
  const genesis = parseGenesis(suite, w.done());
  if (genesis === null) throw new RangeError("keys that make no valid genesis");
  return genesis;
}

/** Null unless it is whole, its signature holds and its first device is certified by its owner. */
export function parseGenesis(suite: Suite, bytes: Uint8Array): Genesis | null {
  if (bytes.length > limits.genesis) return null;
  const parts = decodeWith(bytes, (r) => {
    if (r.u8() !== FORMAT || r.u8() !== suite.id || r.u8() !== KIND || r.u8() !== 0)
      throw new Malformed("header");
    r.fixed(32);
    const owner = { sign: r.fixed(32), box: r.fixed(32) };
    const certificate = r.bytes(limits.genesis);
    const signed = r.slice(0);
    return { owner, certificate, signed, signature: r.fixed(64) };
  });
  if (parts === null) return null;
  const certificate = parseCertificate(suite, parts.certificate);
  if (certificate === null || !isIssuedByPerson(suite, certificate)) return null;
  const { owner } = parts;
  if (!suite.equal(owner.sign, certificate.person.sign) || !suite.equal(owner.box, certificate.person.box))
    return null;
  if (
    !suite.verify(
      parts.signature,
      concat(ctx(signatureContexts.genesis), parts.signed),
      certificate.device.sign,
    )
  )
    return null;
  const vault = suite.sha256(concat(ctx(hashContexts.vault), bytes));
  return { vault, owner, certificate, bytes: bytes as Sealed };
}
