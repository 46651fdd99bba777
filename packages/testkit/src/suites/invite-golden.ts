/**
 * Golden bytes of an invite (`vectors/tidelock/invite.json`): its code, what follows from its secret, and its
 * messages. Made by one build of the suite, made again, opened and refused by every other.
 * `scripts/golden-invite.ts` writes the file.
 */
import { readFileSync } from "node:fs";
import { concat, fromHex, toHex } from "@tidelock/core/bytes/bytes";
import { deviceId, deviceKeys, personKeys } from "@tidelock/core/crypto/identity";
import type { Suite } from "@tidelock/core/crypto/suite";
import { issueCertificate } from "@tidelock/core/vault/certificate";
import {
  encodeInvite,
  type Guest,
  inviteKeys,
  openGuest,
  openWelcome,
  parseInvite,
  sealGuest,
  sealWelcome,
} from "@tidelock/core/vault/invite";
import { joinBytes } from "@tidelock/core/vault/records";
import { expect } from "vitest";

/** Bytes in hexadecimal. */
export interface InviteGolden {
  readonly about: string;
  readonly vault: string;
  readonly code: string;
  readonly id: string;
  readonly meeting: string;
  readonly key: string;
  readonly guest: string;
  readonly admitted: string;
  readonly refused: string;
}

const range = (from: number, length = 32): Uint8Array => Uint8Array.from({ length }, (_, i) => from + i);
const bytes = (text: string): Uint8Array => fromHex(text) as Uint8Array;
const vault = range(1);
const secret = range(7, 16);
const head = { seq: 300, hash: range(9) };
const NOW = 1_700_000_000_000;

export function readInviteGolden(): InviteGolden {
  const url = new URL("../../../../vectors/tidelock/invite.json", import.meta.url);
  return JSON.parse(readFileSync(url, "utf8")) as InviteGolden;
}

function guestOf(suite: Suite): Guest {
  const person = personKeys(suite, range(20));
  const device = deviceKeys(suite, { sign: range(60), box: range(100) });
  const { id } = inviteKeys(suite, vault, secret);
  return {
    certificates: [issueCertificate(suite, person, device, NOW).bytes],
    joinSignature: suite.sign(joinBytes(vault, person, device, id), device.signSecret),
    name: "Änne",
    deviceName: "laptop",
  };
}

export function makeInviteGolden(build: Suite): InviteGolden {
  let count = 0;
  const random = (n: number): Uint8Array => concat(build.hash(Uint8Array.of(count++), 64)).slice(0, n);
  const suite = { ...build, random };
  const keys = inviteKeys(suite, vault, secret);
  const inviter = deviceId(suite, range(140), range(150));
  const code = encodeInvite(suite, { vault, head, inviter, secret, remote: "https://sync.example.org" });
  const guest = sealGuest(suite, keys, guestOf(suite));
  return {
    about:
      "Made by scripts/golden-invite.ts; secret from 7, vault from 1, person from entropy 20, device from seeds 60 and 100, place 300 with hash from 9, random bytes BLAKE2b-64 of a counter. Suite 1.",
    vault: toHex(vault),
    code,
    id: toHex(keys.id),
    meeting: toHex(keys.meeting),
    key: toHex(keys.key),
    guest: toHex(guest),
    admitted: toHex(sealWelcome(suite, keys, guest, { kind: "admitted", head })),
    refused: toHex(sealWelcome(suite, keys, guest, { kind: "refused" })),
  };
}

/** Makes the golden bytes again and opens them; changed in any byte, a message is none. */
export function checkInviteGolden(suite: Suite): void {
  const golden = readInviteGolden();
  expect(makeInviteGolden(suite)).toEqual(golden);
  const link = parseInvite(suite, golden.code);
  expect(link).toMatchObject({ vault, head, secret, remote: "https://sync.example.org" });
  const keys = inviteKeys(suite, vault, secret);
  const guest = bytes(golden.guest);
  expect(openGuest(suite, keys, vault, guest)?.guest).toEqual(guestOf(suite));
  expect(openWelcome(suite, keys, guest, bytes(golden.admitted))).toEqual({ kind: "admitted", head });
  expect(openWelcome(suite, keys, guest, bytes(golden.refused))).toEqual({ kind: "refused" });
  for (const other of flips(guest)) expect(openGuest(suite, keys, vault, other)).toBeNull();
  for (const message of [golden.admitted, golden.refused])
    for (const other of flips(bytes(message))) expect(openWelcome(suite, keys, guest, other)).toBeNull();
}

function* flips(right: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < right.length; at++) {
    const other = right.slice();
    other[at] = (other[at] as number) ^ 1;
    yield other;
  }
}
