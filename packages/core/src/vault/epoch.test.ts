import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat } from "../bytes/bytes.ts";
import { deviceId, deviceKeys, personId, personKeys } from "../crypto/identity.ts";
import { createPortableSuite } from "../crypto/sodium-portable.ts";
import {
  commitment,
  ENVELOPE,
  encodeEnvelopePack,
  openEnvelope,
  parseEnvelopePack,
  sealEnvelope,
} from "./epoch.ts";

const suite = await createPortableSuite();
const seed = (n: number): Uint8Array => new Uint8Array(32).fill(n);
const vault = seed(7);
const key = seed(8);
const device = deviceKeys(suite, { sign: seed(1), box: seed(2) });
const person = personKeys(suite, seed(3));
const toDevice = { kind: "device", id: deviceId(suite, device.sign, device.box), box: device.box } as const;
const toPerson = { kind: "person", id: personId(suite, person.sign, person.box), box: person.box } as const;
const pairOf = (k: { box: Uint8Array; boxSecret: Uint8Array }) => ({
  publicKey: k.box,
  secretKey: k.boxSecret,
});
const epoch = { n: 3, commit: commitment(suite, key, vault, 3) };
const envelope = sealEnvelope(suite, key, vault, 3, toDevice);
const open = (over: {
  sealed?: Uint8Array;
  vault?: Uint8Array;
  n?: number;
  commit?: Uint8Array;
  me?: typeof toDevice | typeof toPerson;
}) =>
  openEnvelope(
    suite,
    over.sealed ?? envelope,
    over.vault ?? vault,
    { n: over.n ?? 3, commit: over.commit ?? epoch.commit },
    over.me ?? toDevice,
    pairOf(over.me === toPerson ? person : device),
  );

describe("envelope", () => {
  test("[VLT5] opens for its recipient, and is 112 bytes", () => {
    expect(open({})).toEqual(key);
    expect(envelope.length).toBe(ENVELOPE);
  });

  test("[VLT5] K9, K10: of another vault, epoch or recipient it gives no key", () => {
    expect(open({ vault: seed(9) })).toBeNull();
    expect(open({ n: 2, commit: commitment(suite, key, vault, 2) })).toBeNull();
    expect(open({ me: toPerson })).toBeNull();
    // Sealed to our key, but made for somebody else.
    const others = { ...toDevice, id: seed(5) };
    expect(open({ sealed: sealEnvelope(suite, key, vault, 3, others) })).toBeNull();
    const asPerson = { ...toDevice, kind: "person" } as const;
    expect(open({ sealed: sealEnvelope(suite, key, vault, 3, asPerson) })).toBeNull();
    // Anybody can seal to a public key: without the context it is nothing.
    expect(open({ sealed: suite.sealTo(device.box, key) })).toBeNull();
    expect(open({ sealed: suite.sealTo(device.box, concat(seed(1), key)) })).toBeNull();
  });

  test("[VLT4] K3: a key that does not match the commitment is not used", () => {
    expect(open({ sealed: sealEnvelope(suite, seed(66), vault, 3, toDevice) })).toBeNull();
    expect(open({ commit: commitment(suite, key, vault, 4) })).toBeNull();
    expect(open({ commit: commitment(suite, key, seed(9), 3) })).toBeNull();
    expect(commitment(suite, key, vault, 3)).not.toEqual(commitment(suite, key, vault, 4));
  });

  test("[VLT5] changed in any byte, cut or extended it gives no key", () => {
    for (let i = 0; i < envelope.length; i++) {
      const mutant = envelope.slice();
      mutant[i] = (mutant[i] as number) ^ (1 << (i % 8));
      expect(open({ sealed: mutant })).toBeNull();
    }
    expect(open({ sealed: envelope.slice(1) })).toBeNull();
    expect(open({ sealed: concat(envelope, seed(1)) })).toBeNull();
    expect(open({ sealed: new Uint8Array(0) })).toBeNull();
  });
});

describe("envelope pack", () => {
  const envelopes = Array.from({ length: 3 }, (_, i) => new Uint8Array(ENVELOPE).fill(i));
  const pack = encodeEnvelopePack(suite, envelopes);
  /** As whoever wrote it may have signed for any bytes: their own hash as the id. */
  const parse = (bytes: Uint8Array): readonly Uint8Array[] | null =>
    parseEnvelopePack(suite, suite.sha256(bytes), bytes);

  test("[VLT6] holds the envelopes in their order, under the hash of its bytes, and never recurs", () => {
    expect(parseEnvelopePack(suite, pack.id, pack.bytes)).toEqual(envelopes);
    expect(encodeEnvelopePack(suite, envelopes).id).not.toEqual(pack.id);
    fc.assert(
      fc.property(fc.nat(40), (n) => {
        const list = Array.from({ length: n }, () => suite.random(ENVELOPE));
        const one = encodeEnvelopePack(suite, list);
        expect(parseEnvelopePack(suite, one.id, one.bytes)).toEqual(list);
      }),
      { numRuns: 20 },
    );
  });

  test("[VLT6] other bytes under its id are not read at all", () => {
    for (let i = 0; i < pack.bytes.length; i++) {
      const mutant = pack.bytes.slice();
      mutant[i] = (mutant[i] as number) ^ 1;
      expect(parseEnvelopePack(suite, pack.id, mutant)).toBeNull();
    }
    expect(parseEnvelopePack(suite, pack.id, encodeEnvelopePack(suite, envelopes).bytes)).toBeNull();
  });

  test("[VLT6] its own id does not make a pack of bytes that are none", () => {
    const changed = (at: number, to: number): Uint8Array => {
      const out = pack.bytes.slice();
      out[at] = to;
      return out;
    };
    expect(parse(pack.bytes)).toEqual(envelopes);
    for (const at of [0, 1, 2, 3, 20, 21, 22, 23]) expect(parse(changed(at, 9))).toBeNull();
    // One envelope too few or too many for its length, and a count far over it.
    for (const count of [2, 4, 127]) expect(parse(changed(24, count))).toBeNull();
    expect(parse(pack.bytes.slice(0, -1))).toBeNull();
    expect(parse(concat(pack.bytes, new Uint8Array(1)))).toBeNull();
    expect(parse(new Uint8Array(0))).toBeNull();
    const huge = concat(pack.bytes.slice(0, 24), new Uint8Array([0xff, 0xff, 0xff, 0xff, 0x7f]));
    expect(parse(huge)).toBeNull();
  });
});
