import { describe, expect, test } from "vitest";
import { concat, fromHex } from "../bytes/bytes.ts";
import { Writer } from "../bytes/writer.ts";
import { deviceKeys, personKeys, type SecretKeys } from "../crypto/identity.ts";
import { ctx, signatureContexts } from "../crypto/labels.ts";
import { createPortableSuite } from "../crypto/sodium-portable.ts";
import { isIssuedByPerson, issueCertificate, parseCertificate } from "./certificate.ts";
import { foundGenesis, parseGenesis } from "./genesis.ts";

const suite = await createPortableSuite();
const seed = (n: number): Uint8Array => new Uint8Array(32).fill(n);
const person = personKeys(suite, seed(1));
const device = deviceKeys(suite, { sign: seed(2), box: seed(3) });
const other = deviceKeys(suite, { sign: seed(4), box: seed(5) });
const certificate = issueCertificate(suite, person, device, 1_700_000_000_000);

/** Every byte changed in turn, one bit of it; every cut; one byte too many. */
function* mutants(bytes: Uint8Array): Generator<Uint8Array> {
  for (let i = 0; i < bytes.length; i++) {
    const mutant = bytes.slice();
    mutant[i] = (mutant[i] as number) ^ (1 << (i % 8));
    yield mutant;
  }
  for (const length of [0, 1, 3, 4, 35, 36, bytes.length - 64, bytes.length - 1])
    yield bytes.slice(0, length);
  yield concat(bytes, new Uint8Array(1));
}

/** A certificate put together by hand, signed by whom the test wants. */
function forge(over: {
  readonly by?: number;
  readonly person?: SecretKeys;
  readonly device?: SecretKeys;
  readonly issuer?: SecretKeys;
  readonly issuerKey?: Uint8Array;
  readonly possession?: SecretKeys;
  readonly box?: Uint8Array;
  readonly sign?: Uint8Array;
  readonly personBox?: Uint8Array;
}): Uint8Array {
  const p = over.person ?? person;
  const d = over.device ?? device;
  const issuer = over.issuer ?? p;
  const w = new Writer(400).u8(1).u8(suite.id).u8(6).u8(0);
  w.fixed(p.sign)
    .fixed(over.personBox ?? p.box)
    .fixed(over.sign ?? d.sign)
    .fixed(over.box ?? d.box);
  w.u48(1)
    .u8(over.by ?? 0)
    .fixed(over.issuerKey ?? issuer.sign);
  w.fixed(suite.sign(concat(ctx(signatureContexts.certificate), w.view()), issuer.signSecret));
  w.fixed(suite.sign(concat(ctx(signatureContexts.possession), w.view()), (over.possession ?? d).signSecret));
  return w.done();
}

/** X25519 points whose product with any secret is zero: RFC 7748, section 7. */
const lowOrder = [
  "00".repeat(32),
  `01${"00".repeat(31)}`,
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  `ec${"ff".repeat(30)}7f`,
  `ed${"ff".repeat(30)}7f`,
  `ee${"ff".repeat(30)}7f`,
].map((text) => fromHex(text) as Uint8Array);

describe("certificate", () => {
  test("[VLT2] is read back as it was issued", () => {
    expect(parseCertificate(suite, certificate.bytes)).toEqual(certificate);
    expect(certificate.bytes.length).toBe(299);
    expect(certificate).toMatchObject({ issuer: "person", issued: 1_700_000_000_000 });
    expect(parseCertificate(suite, forge({}))).not.toBeNull();
  });

  test("[VLT2] changed in any byte, cut or extended it is none", () => {
    for (const mutant of mutants(certificate.bytes)) expect(parseCertificate(suite, mutant)).toBeNull();
  });

  test("[VLT2] K11: without the new device's own signature a stranger's key is not enrolled", () => {
    expect(parseCertificate(suite, forge({ possession: other }))).toBeNull();
    expect(parseCertificate(suite, forge({ possession: person }))).toBeNull();
    // The stranger's keys, with the signature he made for his own person.
    expect(parseCertificate(suite, forge({ sign: other.sign, box: other.box }))).toBeNull();
  });

  test("[VLT2] R7: keys of low order make no certificate, for the device nor for the person", () => {
    for (const point of lowOrder) {
      expect(parseCertificate(suite, forge({ box: point }))).toBeNull();
      expect(parseCertificate(suite, forge({ personBox: point }))).toBeNull();
      expect(() => issueCertificate(suite, person, { ...device, box: point }, 1)).toThrow(RangeError);
    }
    const identity = new Uint8Array(32);
    identity[0] = 1;
    expect(parseCertificate(suite, forge({ sign: identity }))).toBeNull();
  });

  test("[VLT3] only the person it names can have issued one that counts", () => {
    const counts = (bytes: Uint8Array): boolean => {
      const parsed = parseCertificate(suite, bytes);
      return parsed !== null && isIssuedByPerson(suite, parsed);
    };
    expect(counts(forge({}))).toBe(true);
    expect(counts(forge({ by: 1 }))).toBe(false);
    expect(counts(forge({ by: 1, issuer: other }))).toBe(false);
    expect(counts(forge({ issuer: other }))).toBe(false);
    expect(counts(forge({ issuer: other, issuerKey: person.sign }))).toBe(false);
    expect(parseCertificate(suite, forge({ by: 2 }))).toBeNull();
  });
});

describe("genesis", () => {
  const genesis = foundGenesis(suite, certificate, device);

  test("[VLT1] is read back, and its hash is the vault's id", () => {
    expect(parseGenesis(suite, genesis.bytes)).toEqual(genesis);
    expect(genesis.bytes.length).toBe(465);
    expect(foundGenesis(suite, certificate, device).vault).not.toEqual(genesis.vault);
  });

  test("[VLT1] changed in any byte, cut or extended it is none", () => {
    for (const mutant of mutants(genesis.bytes)) expect(parseGenesis(suite, mutant)).toBeNull();
    expect(parseGenesis(suite, new Uint8Array(5000))).toBeNull();
  });

  test("[VLT1, VLT3] names the owner of its certificate, issued by himself", () => {
    const by = (bytes: Uint8Array): boolean => {
      const parsed = parseCertificate(suite, bytes);
      if (parsed === null) return false;
      try {
        return foundGenesis(suite, parsed, device) !== null;
      } catch {
        return false;
      }
    };
    expect(by(forge({}))).toBe(true);
    expect(by(forge({ by: 1, issuer: other }))).toBe(false);
    expect(by(forge({ issuer: other }))).toBe(false);
    // Another person in front of the same certificate, signed by the device.
    const stranger = personKeys(suite, seed(9));
    const w = new Writer(600).u8(1).u8(suite.id).u8(5).u8(0).fixed(seed(7));
    w.fixed(stranger.sign).fixed(stranger.box).bytes(certificate.bytes);
    w.fixed(suite.sign(concat(ctx(signatureContexts.genesis), w.view()), device.signSecret));
    expect(parseGenesis(suite, w.done())).toBeNull();
    // Signed by somebody else than its first device.
    expect(() => foundGenesis(suite, certificate, other)).toThrow(RangeError);
  });
});
