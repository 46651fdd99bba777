import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createFastSuite } from "../../../testkit/src/world/fast-suite.ts";
import { toBase64Url } from "../bytes/base64url.ts";
import { limits } from "../bytes/limits.ts";
import { deviceKeys, drawDeviceSeeds, personKeys } from "../crypto/identity.ts";
import { issueCertificate } from "./certificate.ts";
import {
  encodeInvite,
  type Guest,
  type InviteLink,
  inviteKeys,
  openGuest,
  openWelcome,
  parseInvite,
  sealGuest,
  sealWelcome,
} from "./invite.ts";
import { joinBytes, NO_INVITE } from "./records.ts";

/** Never the same twice, and the same in each run. */
let drawn = 0;
const suite = createFastSuite((n) => new Uint8Array(n).map((_, i) => (drawn++ * 31 + i * 7) & 0xff));
const bytes = (n: number, value: number): Uint8Array => new Uint8Array(n).fill(value);
const vault = bytes(32, 1);
const link: InviteLink = {
  vault,
  head: { seq: 70_000, hash: bytes(32, 2) },
  inviter: bytes(32, 3),
  secret: bytes(16, 4),
  remote: "https://sync.example.org",
};
const keys = inviteKeys(suite, vault, link.secret);
const person = personKeys(suite, bytes(32, 5));
const device = deviceKeys(suite, drawDeviceSeeds(suite));

function guest(invite: Uint8Array = keys.id, of = vault): Guest {
  return {
    certificates: [issueCertificate(suite, person, device, 1_700_000_000_000).bytes],
    joinSignature: suite.sign(joinBytes(of, person, device, invite), device.signSecret),
    name: "Änne",
    deviceName: "her laptop",
  };
}

const flipped = (message: Uint8Array, at: number): Uint8Array =>
  message.map((byte, i) => (i === at % message.length ? byte ^ 1 : byte));

describe("the code", () => {
  test("[INV1] comes back as it was, however it was pasted", () => {
    const code = encodeInvite(suite, link);
    expect(parseInvite(suite, code)).toEqual(link);
    expect(parseInvite(suite, `  ${code.slice(0, 40)}\r\n ${code.slice(40)}\n`)).toEqual(link);
    expect(code.length).toBeLessThan(1200);
  });

  test("[INV1] anything else is none", () => {
    const code = encodeInvite(suite, link);
    for (const bad of [
      "",
      "tidelock:invite#",
      code.slice(0, -4),
      `${code}AAAA`,
      code.replace("invite", "pair"),
    ])
      expect(parseInvite(suite, bad)).toBeNull();
    const other = `tidelock:invite#${toBase64Url(new Uint8Array([2, suite.id, 10, 0]))}`;
    expect(parseInvite(suite, other)).toBeNull();
    expect(parseInvite(suite, `tidelock:invite#${"A".repeat(100_000)}`)).toBeNull();
    fc.assert(fc.property(fc.string(), (text) => parseInvite(suite, `tidelock:invite#${text}`) === null));
  });

  test("[INV1] its place in the log and where the two meet follow from the secret and the vault, and from nothing less", () => {
    const others = [inviteKeys(suite, vault, bytes(16, 9)), inviteKeys(suite, bytes(32, 9), link.secret)];
    const all = [keys, ...others].flatMap(({ id, meeting, key }) => [id, meeting, key.subarray(0, 16)]);
    expect(new Set(all.map(toBase64Url)).size).toBe(9);
  });
});

describe("the guest's message", () => {
  test("[INV2] says who comes, to who has the secret alone", () => {
    const message = sealGuest(suite, keys, guest());
    expect(openGuest(suite, keys, vault, message)?.guest).toEqual(guest());
    expect(message.length).toBeLessThan(limits.rendezvous);
    expect(openGuest(suite, inviteKeys(suite, vault, bytes(16, 9)), vault, message)).toBeNull();
  });

  test("[INV2] changed in any byte, cut, or of another vault or invite, it is none", () => {
    const message = sealGuest(suite, keys, guest());
    fc.assert(fc.property(fc.nat(), (at) => openGuest(suite, keys, vault, flipped(message, at)) === null));
    for (const length of [0, 4, 28, message.length - 1])
      expect(openGuest(suite, keys, vault, message.subarray(0, length))).toBeNull();
    expect(openGuest(suite, keys, vault, bytes(limits.rendezvous + 1, 1))).toBeNull();
    expect(openGuest(suite, keys, bytes(32, 9), message)).toBeNull();
    for (const wrong of [guest(NO_INVITE), guest(bytes(16, 9)), guest(keys.id, bytes(32, 9))])
      expect(openGuest(suite, keys, vault, sealGuest(suite, keys, wrong))).toBeNull();
    const nobody = { ...guest(), certificates: [] };
    expect(openGuest(suite, keys, vault, sealGuest(suite, keys, nobody))).toBeNull();
  });
});

describe("the welcome", () => {
  const head = { seq: 12, hash: bytes(32, 7) };

  test("[INV2] answers one message, in no other one's place, and is no guest's message itself", () => {
    const sent = sealGuest(suite, keys, guest());
    const other = sealGuest(suite, keys, guest());
    for (const welcome of [{ kind: "admitted", head } as const, { kind: "refused" } as const]) {
      const message = sealWelcome(suite, keys, sent, welcome);
      expect(openWelcome(suite, keys, sent, message)).toEqual(welcome);
      expect(openWelcome(suite, keys, other, message)).toBeNull();
      expect(openWelcome(suite, keys, message, sent)).toBeNull();
      fc.assert(fc.property(fc.nat(), (at) => openWelcome(suite, keys, sent, flipped(message, at)) === null));
    }
  });
});
