/**
 * A device certificate says "this device is mine": it ties a device's keys to a person's.
 * It gives access nowhere; only an admission in a vault's log does. Bytes: docs/format.md,
 * "Certificate". Rules VLT2, VLT3.
 */
import { concat } from "../bytes/bytes.ts";
import { decodeWith, Malformed } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import type { PublicKeys, SecretKeys } from "../crypto/identity.ts";
import { ctx, signatureContexts } from "../crypto/labels.ts";
import type { Suite } from "../crypto/suite.ts";
import { FORMAT } from "../log/frame.ts";

const KIND = 6;
const BY_PERSON = 0;
const BY_DEVICE = 1;
const SIGNATURE = 64;

export interface Certificate {
  readonly person: PublicKeys;
  readonly device: PublicKeys;
  /** The issuer's clock, ms. */
  readonly issued: number;
  readonly issuer: "person" | "device";
  readonly issuerKey: Uint8Array;
  readonly bytes: Uint8Array;
}

/** A certificate issued by the person's own key; the new device signs too, so no stranger's key is enrolled. */
export function issueCertificate(
  suite: Suite,
  person: SecretKeys,
  device: SecretKeys,
  issued: number,
): Certificate {
  const w = new Writer(400).u8(FORMAT).u8(suite.id).u8(KIND).u8(0);
  w.fixed(person.sign).fixed(person.box).fixed(device.sign).fixed(device.box);
  w.u48(issued).u8(BY_PERSON).fixed(person.sign);
  w.fixed(suite.sign(concat(ctx(signatureContexts.certificate), w.view()), person.signSecret));
  w.fixed(suite.sign(concat(ctx(signatureContexts.possession), w.view()), device.signSecret));
  const certificate = parseCertificate(suite, w.done());
  if (certificate === null) throw new RangeError("keys that make no valid certificate");
  return certificate;
}

/** Null unless every signature holds and both device keys are admissible. */
export function parseCertificate(suite: Suite, bytes: Uint8Array): Certificate | null {
  const parts = decodeWith(bytes, (r) => {
    if (r.u8() !== FORMAT || r.u8() !== suite.id || r.u8() !== KIND || r.u8() !== 0)
      throw new Malformed("header");
    const person = { sign: r.fixed(32), box: r.fixed(32) };
    const device = { sign: r.fixed(32), box: r.fixed(32) };
    const issued = r.u48();
    const by = r.u8();
    if (by !== BY_PERSON && by !== BY_DEVICE) throw new Malformed("issuer");
    const issuerKey = r.fixed(32);
    const signed = r.slice(0);
    const issuerSignature = r.fixed(SIGNATURE);
    const possessed = r.slice(0);
    const possession = r.fixed(SIGNATURE);
    return { person, device, issued, by, issuerKey, signed, issuerSignature, possessed, possession };
  });
  if (parts === null) return null;
  const { person, device, issued, issuerKey } = parts;
  const holds =
    suite.validSignKey(device.sign) &&
    suite.validBoxKey(device.box) &&
    suite.validSignKey(person.sign) &&
    suite.validBoxKey(person.box) &&
    suite.verify(
      parts.issuerSignature,
      concat(ctx(signatureContexts.certificate), parts.signed),
      issuerKey,
    ) &&
    suite.verify(parts.possession, concat(ctx(signatureContexts.possession), parts.possessed), device.sign);
  if (!holds) return null;
  return { person, device, issued, issuer: parts.by === BY_PERSON ? "person" : "device", issuerKey, bytes };
}

/** Whether the certificate is signed by the person it names. Chains through devices come with pairing. */
export function isIssuedByPerson(suite: Suite, c: Certificate): boolean {
  return c.issuer === "person" && suite.equal(c.issuerKey, c.person.sign);
}
