/**
 * How another person comes in: a link with a secret, and two messages sealed under keys that follow from it,
 * left where the remote lets strangers meet. Whoever has the link can answer it once; what it is worth is for the
 * log to say. Bytes: docs/format.md, "Invite". Rules INV1 to INV4.
 */
import { fromBase64Url, toBase64Url } from "../bytes/base64url.ts";
import { concat, EMPTY, equalBytes } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { decodeWith, Malformed } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import { kdfLabels } from "../crypto/labels.ts";
import type { Suite } from "../crypto/suite.ts";
import { FORMAT } from "../log/frame.ts";
import { type Certificate, chainEnd } from "./certificate.ts";
import { encodeNames, joinBytes, parseNames } from "./records.ts";

const KIND = 10;
const SCHEME = "tidelock:invite#";
const NONCE = 24;
const HEAD = 4;
const REMOTE = 1024;
/** The place in the log, and the one meeting point of an invite for one person. */
const IN_LOG = 0;
const MEETING = 1;
export const INVITE_SECRET = 16;

/** A place in the log that the remote must be able to show, or it is not the log that was meant. */
export interface Head {
  readonly seq: number;
  readonly hash: Uint8Array;
}

export interface InviteLink {
  readonly vault: Uint8Array;
  readonly head: Head;
  /** The device that made it. */
  readonly inviter: Uint8Array;
  readonly secret: Uint8Array;
  readonly remote: string;
}

export function encodeInvite(suite: Suite, link: InviteLink): string {
  const w = new Writer(256).u8(FORMAT).u8(suite.id).u8(KIND).u8(0).fixed(link.vault);
  w.v(link.head.seq).fixed(link.head.hash).fixed(link.inviter).fixed(link.secret).str(link.remote);
  return SCHEME + toBase64Url(w.done());
}

/** As a person pasted it: blanks and broken lines do no harm. Null where it is none. */
export function parseInvite(suite: Suite, text: string): InviteLink | null {
  const bare = text.replace(/\s+/g, "");
  const bytes =
    bare.startsWith(SCHEME) && bare.length < 4 * REMOTE
      ? fromBase64Url(bare.slice(SCHEME.length))
      : undefined;
  if (bytes === undefined) return null;
  return decodeWith(bytes, (r) => {
    if (r.u8() !== FORMAT || r.u8() !== suite.id || r.u8() !== KIND || r.u8() !== 0)
      throw new Malformed("invite");
    const vault = r.fixed(32);
    const head = { seq: r.v(), hash: r.fixed(32) };
    return { vault, head, inviter: r.fixed(32), secret: r.fixed(INVITE_SECRET), remote: r.str(REMOTE) };
  });
}

export interface InviteKeys {
  /** Of the invite in the log. */
  readonly id: Uint8Array;
  /** Where the two meet. Nobody can tell that it belongs to `id`. */
  readonly meeting: Uint8Array;
  readonly key: Uint8Array;
}

export function inviteKeys(suite: Suite, vault: Uint8Array, secret: Uint8Array): InviteKeys {
  const of = (use: number): Uint8Array => concat(vault, new Uint8Array([use]));
  return {
    id: suite.kdf(secret, kdfLabels.inviteId, of(IN_LOG), 16),
    meeting: suite.kdf(secret, kdfLabels.inviteId, of(MEETING), 16),
    key: suite.kdf(secret, kdfLabels.inviteKey, of(MEETING), 32),
  };
}

/** What who comes in says of himself. */
export interface Guest {
  readonly certificates: readonly Uint8Array[];
  readonly joinSignature: Uint8Array;
  readonly name: string;
  readonly deviceName: string;
}

export function sealGuest(suite: Suite, keys: InviteKeys, guest: Guest): Uint8Array {
  const w = new Writer(1024).v(guest.certificates.length);
  for (const one of guest.certificates) w.bytes(one);
  w.fixed(guest.joinSignature).fixed(encodeNames(guest.name, guest.deviceName));
  return seal(suite, keys, 1, EMPTY, w.done());
}

/** Null for anything but the word of a device that its person has certified, and that wants into this vault by this invite. */
export function openGuest(
  suite: Suite,
  keys: InviteKeys,
  vault: Uint8Array,
  message: Uint8Array,
): { readonly guest: Guest; readonly certificate: Certificate } | null {
  const plain = open(suite, keys, 1, EMPTY, message);
  const guest = plain === null ? null : parseGuest(plain);
  const certificate = guest === null ? null : chainEnd(suite, guest.certificates);
  if (guest === null || certificate === null) return null;
  const { person, device } = certificate;
  const joined = joinBytes(vault, person, device, keys.id);
  return suite.verify(guest.joinSignature, joined, device.sign) ? { guest, certificate } : null;
}

function parseGuest(plain: Uint8Array): Guest | null {
  return decodeWith(plain, (r) => {
    const certificates: Uint8Array[] = [];
    for (let n = r.v(limits.certificateChain); n > 0; n--) certificates.push(r.bytes(limits.genesis));
    const joinSignature = r.fixed(64);
    const names = parseNames(r.fixed(r.left));
    if (names === null) throw new Malformed("names");
    const [name, deviceName] = [names.person, names.device].map(nameOf) as [string, string];
    return { certificates, joinSignature, name, deviceName };
  });
}

const nameOf = (bytes: Uint8Array): string => decodeWith(bytes, (r) => r.str(limits.name)) ?? "";

export type Welcome =
  /** He is in; the log shows this place from then on. */
  { readonly kind: "admitted"; readonly head: Head } | { readonly kind: "refused" };

/** Bound to the guest's message: nobody is welcomed in another one's place. */
export function sealWelcome(suite: Suite, keys: InviteKeys, guest: Uint8Array, welcome: Welcome): Uint8Array {
  const w = new Writer(64).u8(welcome.kind === "admitted" ? 1 : 0);
  if (welcome.kind === "admitted") w.v(welcome.head.seq).fixed(welcome.head.hash);
  return seal(suite, keys, 2, suite.sha256(guest), w.done());
}

export function openWelcome(
  suite: Suite,
  keys: InviteKeys,
  guest: Uint8Array,
  message: Uint8Array,
): Welcome | null {
  const plain = open(suite, keys, 2, suite.sha256(guest), message);
  if (plain === null) return null;
  return decodeWith<Welcome>(plain, (r) => {
    const admitted = r.u8();
    if (admitted > 1) throw new Malformed("welcome");
    return admitted === 0
      ? { kind: "refused" }
      : { kind: "admitted", head: { seq: r.v(), hash: r.fixed(32) } };
  });
}

type Step = 1 | 2;

function aad(keys: InviteKeys, step: Step, transcript: Uint8Array): Uint8Array {
  return concat(keys.meeting, new Uint8Array([step]), transcript);
}

function seal(
  suite: Suite,
  keys: InviteKeys,
  step: Step,
  transcript: Uint8Array,
  plain: Uint8Array,
): Uint8Array {
  const nonce = suite.random(NONCE);
  const sealed = suite.aeadSeal(keys.key, nonce, aad(keys, step, transcript), plain);
  const message = concat(new Uint8Array([FORMAT, suite.id, KIND, step]), nonce, sealed);
  if (message.length > limits.rendezvous) throw new RangeError("an invite's message is too long");
  return message;
}

function open(
  suite: Suite,
  keys: InviteKeys,
  step: Step,
  transcript: Uint8Array,
  message: Uint8Array,
): Uint8Array | null {
  if (message.length <= HEAD + NONCE || message.length > limits.rendezvous) return null;
  if (!equalBytes(message.subarray(0, HEAD), new Uint8Array([FORMAT, suite.id, KIND, step]))) return null;
  const nonce = message.subarray(HEAD, HEAD + NONCE);
  return suite.aeadOpen(keys.key, nonce, aad(keys, step, transcript), message.subarray(HEAD + NONCE));
}
