/**
 * People, devices and the frames they send, for tests of places that keep a log and read none of
 * it: bodies of data frames are plain text, everything a server may check is real.
 */
import type { Sealed } from "@tidelock/core/bytes/brand";
import { decodeUtf8, encodeUtf8 } from "@tidelock/core/bytes/bytes";
import {
  deviceId,
  deviceKeys,
  drawDeviceSeeds,
  personId,
  personKeys,
  type SecretKeys,
} from "@tidelock/core/crypto/identity";
import type { Suite } from "@tidelock/core/crypto/suite";
import { genesisLink, type Link } from "@tidelock/core/log/chain";
import { encodeHeader, frameKinds, parseFrame, signFrame } from "@tidelock/core/log/frame";
import { issueCertificate } from "@tidelock/core/vault/certificate";
import { commitment, sealEnvelope } from "@tidelock/core/vault/epoch";
import { foundGenesis, type Genesis } from "@tidelock/core/vault/genesis";
import { sealMembership } from "@tidelock/core/vault/membership-frame";
import {
  joinBytes,
  type MembershipRecord,
  NO_INVITE,
  type Role,
  recoverBytes,
} from "@tidelock/core/vault/records";

export const NOON = 1_700_000_000_000;

export interface TestPerson {
  readonly keys: SecretKeys;
  readonly id: Uint8Array;
}

export interface TestDevice {
  readonly person: TestPerson;
  readonly keys: SecretKeys;
  readonly id: Uint8Array;
  /** By the person's words. */
  readonly certificate: Uint8Array;
}

export interface LogPoint {
  readonly seq: number;
  readonly link: Link;
}

export function newPerson(suite: Suite): TestPerson {
  const keys = personKeys(suite, suite.random(32));
  return { keys, id: personId(suite, keys.sign, keys.box) };
}

export function newDevice(suite: Suite, person: TestPerson): TestDevice {
  const keys = deviceKeys(suite, drawDeviceSeeds(suite));
  const certificate = issueCertificate(suite, person.keys, keys, NOON).bytes;
  return { person, keys, id: deviceId(suite, keys.sign, keys.box), certificate };
}

export class TestVault {
  readonly suite: Suite;
  readonly founder: TestDevice;
  readonly genesis: Genesis;
  readonly id: Uint8Array;
  readonly #epochKey: Uint8Array;

  constructor(suite: Suite, founder: TestDevice = newDevice(suite, newPerson(suite))) {
    this.suite = suite;
    this.founder = founder;
    const { person, keys } = founder;
    this.genesis = foundGenesis(suite, issueCertificate(suite, person.keys, keys, NOON), keys);
    this.id = this.genesis.vault;
    this.#epochKey = suite.random(32);
  }

  get start(): LogPoint {
    return { seq: 0, link: genesisLink(this.id) };
  }

  /** A frame of data that says `text`. */
  data(
    device: TestDevice,
    index: number,
    deviceSeq: number,
    text: string,
    at: LogPoint = this.start,
  ): Sealed {
    const body = encodeUtf8(text);
    const header = encodeHeader(
      {
        suite: this.suite.id,
        kind: frameKinds.data,
        flags: 0,
        epoch: 1,
        device: index,
        deviceSeq,
        anchorSeq: at.seq,
        anchor: at.link.hash,
        sealedAt: NOON / 1000,
        nonce: this.suite.random(24),
      },
      body.length,
    );
    return signFrame(this.suite, this.id, header, body, device.keys.signSecret);
  }

  /** A membership frame with these records, said over `at`. */
  say(
    device: TestDevice,
    index: number,
    deviceSeq: number,
    records: readonly MembershipRecord[],
    at: LogPoint,
    epoch = 1,
  ): Sealed {
    return sealMembership(this.suite, this.id, {
      author: { keys: device.keys, id: device.id, index, deviceSeq },
      at: { ...at, now: NOON },
      epoch: { n: epoch, key: this.#epochKey },
      records: records.map((record) => ({ record, hidden: undefined })),
    });
  }

  /** The founder's first frame: epoch 1. */
  first(): Sealed {
    const commit = commitment(this.suite, this.#epochKey, this.id, 1);
    const list = this.suite.sha256(encodeUtf8("envelopes"));
    return this.say(this.founder, 0, 1, [{ type: "epoch", n: 1, commit, envelopes: 2, list }], this.start);
  }

  /** Takes a person in, with this first device. */
  taking(device: TestDevice, role: Role): MembershipRecord {
    const { suite, id: vault } = this;
    const { keys, person } = device;
    const joined = joinBytes(vault, person.keys, keys, NO_INVITE);
    const seal = (kind: "device" | "person", id: Uint8Array, box: Uint8Array): Uint8Array =>
      sealEnvelope(suite, this.#epochKey, vault, 1, { kind, id, box });
    return {
      type: "member-add",
      certificates: [device.certificate],
      joinSignature: suite.sign(joined, keys.signSecret),
      role,
      invite: NO_INVITE,
      deviceEnvelope: seal("device", device.id, keys.box),
      personEnvelope: seal("person", person.id, person.keys.box),
    };
  }

  /** What `device` says to let itself in. */
  admission(device: TestDevice, index: number, at: LogPoint, deviceSeq = 1): Sealed {
    const { suite, id: vault } = this;
    const { keys, person } = device;
    const record: MembershipRecord = {
      type: "device-add",
      certificate: device.certificate,
      joinSignature: suite.sign(joinBytes(vault, person.keys, keys), keys.signSecret),
      envelope: sealEnvelope(suite, this.#epochKey, vault, 1, {
        kind: "device",
        id: device.id,
        box: keys.box,
      }),
      recoverSignature: suite.sign(recoverBytes(vault, keys, at.link.hash), person.keys.signSecret),
    };
    return this.say(device, index, deviceSeq, [record], at);
  }
}

/** What a frame of `TestVault.data` says. */
export function textOf(frame: Uint8Array): string | undefined {
  const parsed = parseFrame(frame);
  return parsed === null ? undefined : decodeUtf8(parsed.body);
}
