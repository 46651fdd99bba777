/**
 * Golden bytes of the log and the vault (`vectors/tidelock/log.json`): made from fixed seeds by one
 * build of the suite, made again and opened by every other. `scripts/golden-log.ts` writes the file.
 */
import { readFileSync } from "node:fs";
import { concat, encodeUtf8, fromHex, toHex } from "@tidelock/core/bytes/bytes";
import { Writer } from "@tidelock/core/bytes/writer";
import { deviceId, deviceKeys, personId, personKeys, type SecretKeys } from "@tidelock/core/crypto/identity";
import { ctx, signatureContexts } from "@tidelock/core/crypto/labels";
import type { Suite } from "@tidelock/core/crypto/suite";
import { genesisLink, type Link, nextLink, nextLogTime } from "@tidelock/core/log/chain";
import {
  encodeHeader,
  FORMAT,
  type FrameHeader,
  frameKey,
  openFrame,
  parseFrame,
  sealFrame,
  signFrame,
  verifyFrame,
} from "@tidelock/core/log/frame";
import { encodePage, LAST_SEQ, type PageEntry, parsePage } from "@tidelock/core/log/page";
import {
  decodePlaintext,
  decodeSections,
  encodePlaintext,
  encodeSections,
  paddedLength,
} from "@tidelock/core/log/plaintext";
import { isIssuedByPerson, issueCertificate, parseCertificate } from "@tidelock/core/vault/certificate";
import {
  commitment,
  encodeEnvelopePack,
  openEnvelope,
  parseEnvelopePack,
  type Recipient,
  sealEnvelope,
} from "@tidelock/core/vault/epoch";
import { foundGenesis, parseGenesis } from "@tidelock/core/vault/genesis";
import { memberAad, sealMembership } from "@tidelock/core/vault/membership-frame";
import {
  encodeName,
  encodeSettings,
  joinBytes,
  parseBody,
  parsePrivateParts,
  recoverBytes,
} from "@tidelock/core/vault/records";
import { expect } from "vitest";

interface Wrong {
  readonly what: string;
  readonly bytes: string;
  readonly reason: string;
}

/** All bytes in hexadecimal. */
export interface LogGolden {
  readonly about: string;
  readonly entropy: string;
  readonly deviceSeeds: readonly { readonly sign: string; readonly box: string }[];
  readonly epochKey: string;
  readonly certificate: { readonly issued: number; readonly bytes: string; readonly wrong: readonly Wrong[] };
  readonly genesis: { readonly bytes: string; readonly vault: string; readonly wrong: readonly Wrong[] };
  readonly epoch: { readonly n: number; readonly commit: string };
  /** Sealed boxes draw their own key: these were made once and are opened. */
  readonly envelopes: {
    readonly toDevice: string;
    readonly toPerson: string;
    readonly toSecondDevice: string;
    readonly pack: string;
    readonly id: string;
    readonly wrong: readonly Wrong[];
  };
  readonly membership: readonly {
    readonly what: string;
    readonly frame: string;
    readonly publicPart: string;
    readonly privateParts: readonly string[];
  }[];
  readonly membershipBodies: { readonly wrong: readonly Wrong[] };
  readonly frames: readonly {
    readonly what: string;
    readonly changes: string;
    readonly plaintext: string;
    readonly frame: string;
  }[];
  readonly wrongFrames: readonly Wrong[];
  readonly chain: readonly {
    readonly seq: number;
    readonly time: number;
    /** Null for garbage. */
    readonly frame: string | null;
    readonly id: string;
    readonly hash: string;
    readonly members: string;
  }[];
  readonly logTime: readonly {
    readonly before: number;
    readonly received: number;
    readonly sealedAt: number;
    readonly after: number;
  }[];
  readonly padding: readonly { readonly length: number; readonly padded: number }[];
  readonly pages: {
    readonly right: readonly { readonly what: string; readonly bytes: string; readonly hash: string }[];
    readonly wrong: readonly Wrong[];
  };
}

export function readLogGolden(): LogGolden {
  const url = new URL("../../../../vectors/tidelock/log.json", import.meta.url);
  return JSON.parse(readFileSync(url, "utf8")) as LogGolden;
}

const NOW = 1_700_000_000_000;
const bytes = (text: string): Uint8Array => fromHex(text) as Uint8Array;
const range = (from: number, length = 32): Uint8Array => Uint8Array.from({ length }, (_, i) => from + i);

/** The suite with random bytes that repeat. Sealed boxes still draw their own. */
function repeating(suite: Suite): Suite {
  let count = 0;
  return {
    ...suite,
    random: (n) => {
      const parts: Uint8Array[] = [];
      for (let left = n; left > 0; left -= 64)
        parts.push(suite.hash(Uint8Array.of(count++ & 0xff, count >> 8), 64));
      return concat(...parts).slice(0, n);
    },
  };
}

/** Makes everything; what cannot repeat (sealed boxes, deflated bytes) is taken from `known` where given. */
export function makeLogGolden(build: Suite, known?: LogGolden): LogGolden {
  const suite = repeating(build);
  const entropy = range(0);
  const seeds = [
    { sign: range(32), box: range(64) },
    { sign: range(96), box: range(128) },
  ] as const;
  const person = personKeys(suite, entropy);
  const [first, second] = [deviceKeys(suite, seeds[0]), deviceKeys(suite, seeds[1])];
  const epochKey = range(160);

  const certificate = issueCertificate(suite, person, first, NOW);
  const genesis = foundGenesis(suite, certificate, first);
  const { vault } = genesis;
  const commit = commitment(suite, epochKey, vault, 1);
  const seal = (to: Recipient, recorded: string | undefined): Uint8Array =>
    recorded === undefined ? sealEnvelope(suite, epochKey, vault, 1, to) : bytes(recorded);
  const toDevice = seal(recipient(suite, "device", first), known?.envelopes.toDevice);
  const toPerson = seal(recipient(suite, "person", person), known?.envelopes.toPerson);
  const toSecondDevice = seal(recipient(suite, "device", second), known?.envelopes.toSecondDevice);
  const pack = encodeEnvelopePack(suite, [toDevice, toPerson]);

  const id = (keys: SecretKeys): Uint8Array => deviceId(suite, keys.sign, keys.box);
  const links: Link[] = [genesisLink(vault)];
  const chain: LogGolden["chain"][number][] = [];
  const place = (
    frame: Uint8Array | null,
    time: number,
    of: Uint8Array = frame ?? new Uint8Array(0),
  ): void => {
    const seq = links.length;
    const entryId = suite.sha256(of);
    const link = nextLink(suite, links.at(-1) as Link, seq, { time, id: entryId, frame: frame ?? undefined });
    links.push(link);
    chain.push({
      seq,
      time,
      frame: frame === null ? null : toHex(frame),
      id: toHex(entryId),
      hash: toHex(link.hash),
      members: toHex(link.members),
    });
  };

  const settings = encodeSettings({
    vaultName: "Zuhause",
    retentionDays: 90,
    maxFileSize: 10 * 2 ** 30,
    chunkerSeed: range(192),
  });
  const founding = sealMembership(suite, vault, {
    author: { keys: first, id: id(first), index: 0, deviceSeq: 1 },
    at: { seq: 0, link: links[0] as Link, now: NOW },
    epoch: { n: 1, key: epochKey },
    records: [
      { record: { type: "epoch", n: 1, commit, envelopes: 2, list: pack.id }, hidden: undefined },
      { record: { type: "settings" }, hidden: settings },
      { record: { type: "rename" }, hidden: encodeName("Laptop") },
    ],
  });
  place(founding, NOW);
  const anchor = links[1] as Link;
  const admission = sealMembership(suite, vault, {
    author: { keys: second, id: id(second), index: 1, deviceSeq: 1 },
    at: { seq: 1, link: anchor, now: NOW + 60_000 },
    epoch: { n: 1, key: epochKey },
    records: [
      {
        record: {
          type: "device-add",
          certificate: issueCertificate(suite, person, second, NOW + 60_000).bytes,
          joinSignature: suite.sign(joinBytes(vault, person, second), second.signSecret),
          envelope: toSecondDevice,
          recoverSignature: suite.sign(recoverBytes(vault, second, anchor.hash), person.signSecret),
        },
        hidden: encodeName("Telefon"),
      },
    ],
  });
  place(admission, NOW + 60_500);

  const key = frameKey(suite, epochKey, vault, id(second));
  const header = (over: Partial<FrameHeader> = {}): FrameHeader => ({
    suite: suite.id,
    kind: 1,
    flags: 0,
    epoch: 1,
    device: 1,
    deviceSeq: 2,
    anchorSeq: 2,
    anchor: (links[2] as Link).hash,
    sealedAt: NOW / 1000 + 61,
    nonce: range(200, 24),
    ...over,
  });
  const text = new TextEncoder().encode("A row of the table notes, and another one. ".repeat(20));
  const changes = [
    { what: "attest", changes: encodeSections(new Map([[1, new Uint8Array(0)]])), stored: false, flags: 0 },
    { what: "stored", changes: encodeSections(new Map([[2, range(0, 40)]])), stored: false, flags: 1 },
    { what: "deflated", changes: encodeSections(new Map([[2, text]])), stored: false, flags: 5 },
    { what: "compress off", changes: encodeSections(new Map([[2, text]])), stored: true, flags: 4 },
  ];
  const frames = changes.map((one, i) => {
    const recorded = known?.frames.find((f) => f.what === one.what)?.plaintext;
    const plaintext =
      recorded === undefined ? encodePlaintext(suite, one.changes, one.stored) : bytes(recorded);
    const h = header({ deviceSeq: 2 + i, flags: one.flags, nonce: range(200 + i, 24) });
    const frame = sealFrame(suite, vault, h, plaintext, key, second.signSecret);
    place(frame, NOW + 61_000 + i);
    return { what: one.what, changes: toHex(one.changes), plaintext: toHex(plaintext), frame: toHex(frame) };
  });
  // Garbage, then bytes of the membership kind that are no frame, then a frame again.
  place(null, 0, new TextEncoder().encode("garbage"));
  place(Uint8Array.of(9, 9, 2, 9), NOW + 70_000);
  place(bytes((frames[0] as { frame: string }).frame), NOW + 80_000);

  return {
    about:
      "Made by scripts/golden-log.ts from the seeds below; random bytes are BLAKE2b-64 of a counter. Suite 1, vault of one person with two devices.",
    entropy: toHex(entropy),
    deviceSeeds: seeds.map((s) => ({ sign: toHex(s.sign), box: toHex(s.box) })),
    epochKey: toHex(epochKey),
    certificate: {
      issued: NOW,
      bytes: toHex(certificate.bytes),
      wrong: wrongCertificates(suite, certificate.bytes, person, first, second),
    },
    genesis: {
      bytes: toHex(genesis.bytes),
      vault: toHex(vault),
      wrong: wrongGeneses(suite, genesis.bytes, certificate.bytes, first, second),
    },
    epoch: { n: 1, commit: toHex(commit) },
    envelopes: {
      toDevice: toHex(toDevice),
      toPerson: toHex(toPerson),
      toSecondDevice: toHex(toSecondDevice),
      pack: toHex(pack.bytes),
      id: toHex(pack.id),
      wrong: known?.envelopes.wrong ?? wrongEnvelopes(suite, epochKey, vault, first, toDevice),
    },
    membership: [
      { what: "founding", frame: founding },
      { what: "admission", frame: admission },
    ].map(({ what, frame }) => {
      const body = parseBody(parseFrame(frame)?.body ?? new Uint8Array(0));
      const author = what === "founding" ? first : second;
      const parts = openPrivate(suite, vault, epochKey, id(author), frame);
      return {
        what,
        frame: toHex(frame),
        publicPart: toHex(body?.publicPart ?? new Uint8Array(0)),
        privateParts: (parts ?? []).map(toHex),
      };
    }),
    membershipBodies: { wrong: wrongBodies() },
    frames,
    wrongFrames: wrongFrames(suite, vault, header, key, second, first),
    chain,
    logTime: logTimes(),
    padding: [0, 1, 64, 65, 72, 73, 100, 128, 129, 255, 256, 257, 1000, 4096, 4097, 65_537, 1_000_000].map(
      (length) => ({ length, padded: paddedLength(length) }),
    ),
    pages: makePages(suite, chain),
  };
}

/** The log above as a remote stores it: up to the garbage, and as an answer to who holds the hash before. */
function makePages(suite: Suite, chain: LogGolden["chain"]): LogGolden["pages"] {
  const entries = chain
    .slice(0, 6)
    .map(({ time, frame }) => ({ time, frame: bytes(frame ?? "") }) satisfies PageEntry);
  const prev = bytes(chain[1]?.hash ?? "");
  const stored = encodePage({ first: 3, prev, entries: entries.slice(2) });
  const lone = encodePage({ first: 2, prev: bytes(chain[0]?.hash ?? ""), entries: entries.slice(1, 2) });
  const answer = encodePage({ first: 1, prev: null, entries });
  const back = encodePage({
    first: LAST_SEQ - 1,
    prev: null,
    entries: [
      { time: NOW, frame: range(0, 1) },
      { time: NOW - 5, frame: range(1, 3) },
    ],
  });
  const raw = (over: { flags?: number; first?: number; count?: number; step?: bigint; frame?: Uint8Array }) =>
    new Writer(64)
      .fixed(encodeUtf8("TLP1"))
      .u8(over.flags ?? 0)
      .v(over.first ?? 1)
      .v(over.count ?? 1)
      .v(NOW)
      .z(over.step ?? 0n)
      .bytes(over.frame ?? range(0, 4))
      .done();
  const right = [
    { what: "a lone frame", of: lone },
    { what: "several frames", of: stored },
    { what: "an answer without the hash before it", of: answer },
    { what: "up to the last number, with a time that goes back", of: back },
  ];
  return {
    right: right.map(({ what, of }) => ({ what, bytes: toHex(of), hash: toHex(suite.sha256(of)) })),
    wrong: [
      wrong("malformed", "nothing", new Uint8Array(0)),
      wrong("malformed", "another mark", lone.with(3, 0x32) as Uint8Array),
      wrong("malformed", "an unknown flag", raw({ flags: 2 })),
      wrong("malformed", "number 0", raw({ first: 0 })),
      wrong("malformed", "past the last number", raw({ first: LAST_SEQ + 1 })),
      wrong("malformed", "no entry", raw({ count: 0 })),
      wrong("malformed", "fewer entries than it says", raw({ count: 2 })),
      wrong("malformed", "a first step that is not 0", raw({ step: 1n })),
      wrong("malformed", "an empty frame", raw({ frame: new Uint8Array(0) })),
      wrong("malformed", "one byte too many", concat(lone, new Uint8Array(1))),
      wrong("malformed", "one byte too few", lone.slice(0, -1)),
    ],
  };
}

function recipient(suite: Suite, kind: Recipient["kind"], keys: SecretKeys): Recipient {
  const id = kind === "device" ? deviceId(suite, keys.sign, keys.box) : personId(suite, keys.sign, keys.box);
  return { kind, id, box: keys.box };
}

function openPrivate(
  suite: Suite,
  vault: Uint8Array,
  epochKey: Uint8Array,
  author: Uint8Array,
  frame: Uint8Array,
): readonly Uint8Array[] | null {
  const parsed = parseFrame(frame);
  const body = parsed === null ? null : parseBody(parsed.body);
  if (parsed === null || body === null) return null;
  const key = suite.kdf(epochKey, "tl1/member", concat(vault, author), 32);
  const aad = memberAad(suite, parsed.header, body.publicPart);
  const opened = suite.aeadOpen(key, parsed.nonce, aad, body.sealedPrivate);
  return opened === null ? null : parsePrivateParts(opened);
}

const flipped = (of: Uint8Array, at: number): Uint8Array => {
  const out = of.slice();
  out[at < 0 ? out.length + at : at] = (out[at < 0 ? out.length + at : at] as number) ^ 1;
  return out;
};
const wrong = (reason: string, what: string, of: Uint8Array): Wrong => ({ what, bytes: toHex(of), reason });

function wrongCertificates(
  suite: Suite,
  right: Uint8Array,
  person: SecretKeys,
  device: SecretKeys,
  other: SecretKeys,
): readonly Wrong[] {
  const make = (over: {
    box?: Uint8Array;
    by?: number;
    issuer?: SecretKeys;
    possession?: SecretKeys;
  }): Uint8Array => {
    const issuer = over.issuer ?? person;
    const w = new Writer(400).u8(FORMAT).u8(suite.id).u8(6).u8(0);
    w.fixed(person.sign)
      .fixed(person.box)
      .fixed(device.sign)
      .fixed(over.box ?? device.box);
    w.u48(NOW)
      .u8(over.by ?? 0)
      .fixed(issuer.sign);
    w.fixed(suite.sign(concat(ctx(signatureContexts.certificate), w.view()), issuer.signSecret));
    const possession = over.possession ?? device;
    return w
      .fixed(suite.sign(concat(ctx(signatureContexts.possession), w.view()), possession.signSecret))
      .done();
  };
  return [
    wrong("malformed", "format 2", right.with(0, 2) as Uint8Array),
    wrong("malformed", "suite 2", right.with(1, 2) as Uint8Array),
    wrong("malformed", "one byte too many", concat(right, new Uint8Array(1))),
    wrong("malformed", "one byte too few", right.slice(0, -1)),
    wrong("malformed", "issuer 2", make({ by: 2 })),
    wrong("signature", "a bit of the issuer's signature", flipped(right, -100)),
    wrong("signature", "a bit of the person", flipped(right, 5)),
    wrong("possession", "possession signed by another device", make({ possession: other })),
    wrong("possession", "a box key of low order", make({ box: new Uint8Array(32) })),
    wrong("possession", "issued by a device", make({ by: 1, issuer: other })),
    wrong("possession", "issued by another key in the person's place", make({ issuer: other })),
  ];
}

function wrongGeneses(
  suite: Suite,
  right: Uint8Array,
  certificate: Uint8Array,
  device: SecretKeys,
  other: SecretKeys,
): readonly Wrong[] {
  const make = (owner: SecretKeys, signer: SecretKeys): Uint8Array => {
    const w = new Writer(600).u8(FORMAT).u8(suite.id).u8(5).u8(0).fixed(range(7));
    w.fixed(owner.sign).fixed(owner.box).bytes(certificate);
    return w.fixed(suite.sign(concat(ctx(signatureContexts.genesis), w.view()), signer.signSecret)).done();
  };
  return [
    wrong("malformed", "format 2", right.with(0, 2) as Uint8Array),
    wrong("malformed", "one byte too many", concat(right, new Uint8Array(1))),
    wrong("signature", "a bit of the random part", flipped(right, 10)),
    wrong("signature", "a bit of the signature", flipped(right, -1)),
    wrong("signature", "an owner who did not issue the certificate", make(other, device)),
    wrong("signature", "signed by another device", make(other, other)),
  ];
}

function wrongEnvelopes(
  suite: Suite,
  epochKey: Uint8Array,
  vault: Uint8Array,
  device: SecretKeys,
  right: Uint8Array,
): readonly Wrong[] {
  const me = recipient(suite, "device", device);
  const seal = (over: { key?: Uint8Array; vault?: Uint8Array; n?: number; to?: Recipient }): Uint8Array =>
    sealEnvelope(suite, over.key ?? epochKey, over.vault ?? vault, over.n ?? 1, over.to ?? me);
  return [
    wrong("sealed-wrong", "one bit", flipped(right, 60)),
    wrong("sealed-wrong", "one byte too few", right.slice(0, -1)),
    wrong("envelope-context", "of another vault", seal({ vault: range(1) })),
    wrong("envelope-context", "of another epoch", seal({ n: 2 })),
    wrong(
      "envelope-context",
      "for another device, sealed to this one",
      seal({ to: { ...me, id: range(3) } }),
    ),
    wrong("envelope-context", "for a person of the same keys", seal({ to: { ...me, kind: "person" } })),
    wrong("commit", "another key", seal({ key: range(5) })),
  ];
}

function wrongBodies(): readonly Wrong[] {
  const body = (...records: readonly (readonly [number, Uint8Array])[]): Uint8Array => {
    const w = new Writer(64).fixed(range(1)).v(records.length);
    for (const [type, of] of records) w.u8(type).bytes(of);
    return w.bytes(new Uint8Array(16)).done();
  };
  const none = new Uint8Array(0);
  return [
    wrong("malformed", "no record", body()),
    wrong("malformed", "an unknown record", body([18, none])),
    wrong("malformed", "a record of the future", body([1, none])),
    wrong("malformed", "settings twice", body([15, none], [15, none])),
    wrong(
      "malformed",
      "rules of one section twice",
      body([12, Uint8Array.of(2, 5)], [12, Uint8Array.of(2, 3)]),
    ),
    wrong("malformed", "settings with a byte", body([15, new Uint8Array(1)])),
    wrong("malformed", "epoch 2", body([6, new Writer(80).v(2).fixed(range(1)).v(2).fixed(range(2)).done()])),
    wrong("malformed", "one byte too many", concat(body([15, none]), none, new Uint8Array(1))),
  ];
}

function wrongFrames(
  suite: Suite,
  vault: Uint8Array,
  header: (over?: Partial<FrameHeader>) => FrameHeader,
  key: Uint8Array,
  device: SecretKeys,
  other: SecretKeys,
): readonly Wrong[] {
  const plain = encodePlaintext(suite, encodeSections(new Map([[2, range(0, 40)]])), true);
  const seal = (over: Partial<FrameHeader> = {}, of: Uint8Array = plain, k = key, by = device): Uint8Array =>
    sealFrame(suite, vault, header(over), of, k, by.signSecret);
  const right = seal();
  const { body } = parseFrame(right) as { body: Uint8Array };
  const signed = (head: Uint8Array, over: Uint8Array = vault): Uint8Array =>
    signFrame(suite, over, head, body, device.signSecret);
  const encoded = encodeHeader(header(), body.length);
  // The epoch, 1, in two bytes.
  const longer = concat(encoded.slice(0, 4), Uint8Array.of(0x81, 0x00), encoded.slice(5));
  const padded = (of: Uint8Array): Uint8Array =>
    concat(of, new Uint8Array(paddedLength(of.length) - of.length));
  const deflated = (claimed: number): Uint8Array =>
    padded(new Writer(64).u8(1).v(claimed).bytes(Uint8Array.of(0x03, 0x00)).done());
  return [
    wrong("suite", "format 2, signed so", signed(encoded.with(0, 2) as Uint8Array)),
    wrong("suite", "suite 2, signed so", seal({ suite: 2 })),
    wrong("malformed", "kind 3", seal({ kind: 3 })),
    wrong("malformed", "flag 2", seal({ flags: 2 })),
    wrong("malformed", "a membership frame with flags", seal({ kind: 2, flags: 1 })),
    wrong("malformed", "device seq 0", seal({ deviceSeq: 0 })),
    wrong("malformed", "device 2^32", seal({ device: 2 ** 32 })),
    wrong("malformed", "a longer spelling of the epoch, signed so", signed(longer)),
    wrong("malformed", "one byte too many", concat(right, new Uint8Array(1))),
    wrong("malformed", "one byte too few", right.slice(0, -1)),
    wrong("malformed", "a body longer than the frame", signed(encodeHeader(header(), 2 ** 31))),
    wrong("malformed", "nothing", new Uint8Array(0)),
    wrong("signature", "a bit of the signature", flipped(right, -1)),
    wrong("signature", "a bit of the body", flipped(right, -70)),
    wrong("signature", "a bit of the anchor", flipped(right, 30)),
    wrong("signature", "signed for another vault", signed(encoded, range(1))),
    wrong("signature", "signed by another device", seal({}, plain, key, other)),
    wrong("sealed-wrong", "under another key", seal({}, plain, range(9))),
    wrong(
      "sealed-wrong",
      "moved to another device seq, signed so",
      signed(encodeHeader(header({ deviceSeq: 9 }), body.length)),
    ),
    wrong("malformed", "padding that is not zero", seal({}, plain.with(-1, 1) as Uint8Array)),
    wrong("malformed", "another padded length", seal({}, concat(plain, new Uint8Array(8)))),
    wrong("malformed", "codec 2", seal({}, plain.with(0, 2) as Uint8Array)),
    wrong("malformed", "no section", seal({}, encodePlaintext(suite, new Uint8Array(0), true))),
    wrong(
      "malformed",
      "sections out of order",
      seal({}, encodePlaintext(suite, Uint8Array.of(2, 0, 1, 0), true)),
    ),
    wrong("malformed", "inflates to another length", seal({}, deflated(5))),
    wrong("limit", "says it inflates to 4 MiB and a byte", seal({}, deflated((4 << 20) + 1))),
    wrong("limit", "says it inflates to 2^31", seal({}, deflated(2 ** 31))),
  ];
}

function logTimes(): LogGolden["logTime"] {
  const at = NOW / 1000;
  const day = 86_400_000;
  const cases: readonly (readonly [number, number, number])[] = [
    [0, NOW, at],
    [0, NOW + day, at],
    [0, NOW + day + 1, at],
    [0, 4_294_967_295_000, at],
    [NOW, NOW - 1, at],
    [NOW, 0, at],
    [0, 0, at],
    [0, NOW, 0],
    [0, 2 ** 48 - 1, Number.MAX_SAFE_INTEGER],
    [2 ** 47 - 1, NOW, at],
  ];
  return cases.map(([before, received, sealedAt]) => ({
    before,
    received,
    sealedAt,
    after: nextLogTime(before, received, sealedAt),
  }));
}

/** Why a data frame is not what it should be, as far as its bytes and its author's keys tell. */
function faultOf(suite: Suite, vault: Uint8Array, of: Uint8Array, sign: Uint8Array, key: Uint8Array): string {
  if (of.length > 1 && (of[0] !== FORMAT || of[1] !== suite.id)) return "suite";
  const frame = parseFrame(of);
  if (frame === null) return "malformed";
  if (!verifyFrame(suite, vault, frame, sign)) return "signature";
  const plain = openFrame(suite, vault, frame, key);
  if (plain === null) return "sealed-wrong";
  const text = decodePlaintext(suite, plain);
  if (text.kind === "void") return text.reason;
  return decodeSections(text.changes) === null ? "malformed" : "";
}

/** Makes the golden bytes again, opens them, and refuses the wrong ones. */
export function checkLogGolden(suite: Suite): void {
  const golden = readLogGolden();
  const again = makeLogGolden(suite, golden);
  // Member by member: a difference then names itself.
  for (const name of Object.keys(golden) as (keyof LogGolden)[])
    expect(again[name], name).toEqual(golden[name]);

  const vault = bytes(golden.genesis.vault);
  const person = personKeys(suite, bytes(golden.entropy));
  const [first, second] = golden.deviceSeeds.map((s) =>
    deviceKeys(suite, { sign: bytes(s.sign), box: bytes(s.box) }),
  ) as [SecretKeys, SecretKeys];
  const epochKey = bytes(golden.epochKey);

  const counts = (of: Uint8Array): boolean => {
    const certificate = parseCertificate(suite, of);
    return certificate !== null && isIssuedByPerson(suite, certificate);
  };
  expect(counts(bytes(golden.certificate.bytes))).toBe(true);
  for (const one of golden.certificate.wrong) expect(counts(bytes(one.bytes)), one.what).toBe(false);
  expect(parseGenesis(suite, bytes(golden.genesis.bytes))?.vault).toEqual(vault);
  for (const one of golden.genesis.wrong) expect(parseGenesis(suite, bytes(one.bytes)), one.what).toBeNull();

  const epoch = { n: golden.epoch.n, commit: bytes(golden.epoch.commit) };
  const open = (of: string, kind: Recipient["kind"], keys: SecretKeys): Uint8Array | null =>
    openEnvelope(suite, bytes(of), vault, epoch, recipient(suite, kind, keys), {
      publicKey: keys.box,
      secretKey: keys.boxSecret,
    });
  expect(open(golden.envelopes.toDevice, "device", first)).toEqual(epochKey);
  expect(open(golden.envelopes.toPerson, "person", person)).toEqual(epochKey);
  expect(open(golden.envelopes.toSecondDevice, "device", second)).toEqual(epochKey);
  expect(open(golden.envelopes.toDevice, "device", second)).toBeNull();
  for (const one of golden.envelopes.wrong) expect(open(one.bytes, "device", first), one.what).toBeNull();
  const pack = parseEnvelopePack(suite, bytes(golden.envelopes.id), bytes(golden.envelopes.pack));
  expect(pack?.map(toHex)).toEqual([golden.envelopes.toDevice, golden.envelopes.toPerson]);

  for (const one of golden.membership) {
    const author = one.what === "founding" ? first : second;
    const frame = parseFrame(bytes(one.frame));
    expect(frame !== null && verifyFrame(suite, vault, frame, author.sign)).toBe(true);
    const id = deviceId(suite, author.sign, author.box);
    expect(openPrivate(suite, vault, epochKey, id, bytes(one.frame))?.map(toHex)).toEqual(one.privateParts);
    expect(openPrivate(suite, vault, range(9), id, bytes(one.frame))).toBeNull();
  }
  for (const one of golden.membershipBodies.wrong) expect(parseBody(bytes(one.bytes)), one.what).toBeNull();

  const key = frameKey(suite, epochKey, vault, deviceId(suite, second.sign, second.box));
  for (const one of golden.frames) {
    expect(faultOf(suite, vault, bytes(one.frame), second.sign, key), one.what).toBe("");
    const text = decodePlaintext(suite, bytes(one.plaintext));
    expect(text.kind === "ok" && toHex(text.changes), one.what).toBe(one.changes);
    const frame = parseFrame(bytes(one.frame));
    expect(frame !== null && toHex(openFrame(suite, vault, frame, key) ?? new Uint8Array(0))).toBe(
      one.plaintext,
    );
  }
  for (const one of golden.pages.right) {
    const page = parsePage(bytes(one.bytes));
    expect(page !== null && toHex(encodePage(page)), one.what).toBe(one.bytes);
    expect(toHex(suite.sha256(bytes(one.bytes))), one.what).toBe(one.hash);
  }
  for (const one of golden.pages.wrong) expect(parsePage(bytes(one.bytes)), one.what).toBeNull();
  for (const one of golden.wrongFrames)
    expect(faultOf(suite, vault, bytes(one.bytes), second.sign, key), one.what).toBe(one.reason);
}
