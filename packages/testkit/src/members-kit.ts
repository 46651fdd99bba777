/** Several persons in one vault: what pairing will carry between machines, done by hand. */
import { personKeys, type SecretKeys } from "@tidelock/core/crypto/identity";
import type { MemberAct } from "@tidelock/core/engine/acts";
import type { Verdict } from "@tidelock/core/engine/api";
import { beginReplica } from "@tidelock/core/engine/replica";
import { issueCertificate } from "@tidelock/core/vault/certificate";
import type { Genesis } from "@tidelock/core/vault/genesis";
import { joinBytes, NO_INVITE, type Role } from "@tidelock/core/vault/records";
import type { Device, Kit } from "./vault-kit.ts";

export class Members {
  readonly kit: Kit;
  /** By name; the founder's person is `owner`. */
  readonly persons: Map<string, SecretKeys> = new Map();

  constructor(kit: Kit) {
    this.kit = kit;
    this.persons.set("owner", kit.person);
  }

  person(name: string): SecretKeys {
    let keys = this.persons.get(name);
    if (keys === undefined) {
      keys = personKeys(this.kit.suite, this.kit.suite.random(32));
      this.persons.set(name, keys);
    }
    return keys;
  }

  /** A device that knows the vault and is not in it. */
  stranger(name: string, genesis: Genesis, person?: string): Device {
    const over = person === undefined ? {} : { person: this.person(person) };
    const device = this.kit.open(name, genesis, this.kit.newKeys(), over);
    device.replica.write((tx) => beginReplica(device.replica, tx, true));
    return device;
  }

  /** What a newcomer hands to whoever takes him in. */
  addAct(device: Device, person: string, role: Role, invite: Uint8Array = NO_INVITE): MemberAct {
    const { suite, time } = this.kit;
    const keys = this.person(person);
    return {
      kind: "add-member",
      certificates: [issueCertificate(suite, keys, device.keys, time.now()).bytes],
      joinSignature: suite.sign(
        joinBytes(device.replica.vault, keys, device.keys, invite),
        device.keys.signSecret,
      ),
      role,
      invite,
      name: person,
      deviceName: device.name,
    };
  }

  admitAct(device: Device, person: string): MemberAct {
    const keys = this.person(person);
    const { sign, box } = device.keys;
    const joined = joinBytes(device.replica.vault, keys, device.keys);
    const joinSignature = this.kit.suite.sign(joined, device.keys.signSecret);
    return { kind: "admit-device", device: { sign, box }, joinSignature, name: device.name };
  }

  /** A new person with a first device, taken in by `by`. */
  async add(by: Device, person: string, role: Role, invite?: Uint8Array): Promise<Device> {
    const device = this.stranger(`${person}'s`, by.replica.genesis, person);
    await this.does(by, this.addAct(device, person, role, invite));
    await this.kit.sync(device);
    return device;
  }

  /** One more device of the person that `by` belongs to. */
  async pair(by: Device, person: string, name = `${person}'s other`): Promise<Device> {
    const device = this.stranger(name, by.replica.genesis, person);
    await this.does(by, this.admitAct(device, person));
    await this.kit.sync(device);
    return device;
  }

  queue(by: Device, act: MemberAct): number {
    return by.engine.write((tx) => by.replica.submitAct(tx, act));
  }

  /** Says it, and waits for what the log makes of it. */
  async does(by: Device, act: MemberAct): Promise<Verdict> {
    const run = this.queue(by, act);
    await this.kit.sync(by);
    return this.kit.time.until(by.engine.verdict(run));
  }

  /** Its index, once it knows it. */
  index(device: Device): number {
    const index = device.engine.device;
    if (index === undefined) throw new Error(`${device.name} is not in the vault`);
    return index;
  }

  personIndex(device: Device): number {
    const { replica } = device;
    return replica.read((tx) => replica.membership.device(tx, this.index(device))?.person ?? -1);
  }

  revokeAct(device: Device, since: number = device.replica.cursor().applied): MemberAct {
    return { kind: "revoke-device", device: this.index(device), since };
  }

  removeAct(device: Device): MemberAct {
    return { kind: "remove-member", person: this.personIndex(device) };
  }

  roleAct(device: Device, role: Role): MemberAct {
    return { kind: "set-role", person: this.personIndex(device), role };
  }
}
