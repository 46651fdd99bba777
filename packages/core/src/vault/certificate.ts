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
  return possess(suite, offer(suite, person, BY_PERSON, person, device, issued), device);
}

/**
 * The first half of a certificate by a device that the person has certified before: the phrase stays
 * where it is kept. The new device, on another machine, makes it whole with `acceptCertificate`.
 */
export function offerCertificate(
  suite: Suite,
  person: PublicKeys,
  by: SecretKeys,
  device: PublicKeys,
  issued: number,
): Uint8Array {
  return offer(suite, by, BY_DEVICE, person, device, issued);
}

/** Null where what was offered is no certificate for these keys. */
export function acceptCertificate(suite: Suite, offered: Uint8Array, device: SecretKeys): Certificate | null {
  const w = new Writer(400).fixed(offered);
  w.fixed(suite.sign(concat(ctx(signatureContexts.possession), w.view()), device.signSecret));
  return parseCertificate(suite, w.done());
}

function offer(
  suite: Suite,
  issuer: SecretKeys,
  by: typeof BY_PERSON | typeof BY_DEVICE,
  person: PublicKeys,
  device: PublicKeys,
  issued: number,
): Uint8Array {
  const w = new Writer(400).u8(FORMAT).u8(suite.id).u8(KIND).u8(0);
  w.fixed(person.sign).fixed(person.box).fixed(device.sign).fixed(device.box);
  w.u48(issued).u8(by).fixed(issuer.sign);
  w.fixed(suite.sign(concat(ctx(signatureContexts.certificate), w.view()), issuer.signSecret));
  return w.done();
}

function possess(suite: Suite, offered: Uint8Array, device: SecretKeys): Certificate {
  const certificate = acceptCertificate(suite, offered, device);
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

/**
 * The device that a chain of certificates ends at, or null: the person issued the first, and the
 * device of each one issued the next, for the same person.
 */
export function chainEnd(suite: Suite, chain: readonly Uint8Array[]): Certificate | null {
  let end: Certificate | null = null;
  for (const bytes of chain) {
    const c = parseCertificate(suite, bytes);
    if (c === null) return null;
    const joins: boolean =
      end === null
        ? isIssuedByPerson(suite, c)
        : c.issuer === "device" &&
          suite.equal(c.issuerKey, end.device.sign) &&
          suite.equal(c.person.sign, end.person.sign) &&
          suite.equal(c.person.box, end.person.box);
    if (!joins) return null;
    end = c;
  }
  return end;
}

/** Whether the certificate is signed by the person it names. */
export function isIssuedByPerson(suite: Suite, c: Certificate): boolean {
  return c.issuer === "person" && suite.equal(c.issuerKey, c.person.sign);
}
