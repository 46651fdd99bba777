/**
 * Who may do what in a vault, once more, as plainly as the rules say it: no keys, no bytes, no
 * signatures, names for persons. Written from docs/spec/vault.md and not from the product.
 */
export type Role = "owner" | "admin" | "editor" | "viewer";

export interface ModelPerson {
  role: Role;
  in: boolean;
  /** When it said something, in ms. */
  said: number[];
}

export interface ModelDevice {
  person: number;
  by: number | undefined;
  at: number;
  in: boolean;
}

export type Saying =
  | {
      readonly say: "add";
      readonly person: string;
      readonly device: string;
      readonly role: Role;
      readonly invite?: string;
    }
  | { readonly say: "role"; readonly person: number; readonly role: Role }
  | { readonly say: "remove"; readonly person: number; readonly named: number }
  | { readonly say: "admit"; readonly device: string }
  | { readonly say: "self"; readonly person: number; readonly device: string }
  | { readonly say: "revoke"; readonly device: number; readonly since: number }
  | { readonly say: "epoch"; readonly n: number; readonly envelopes: number }
  | { readonly say: "envelope"; readonly n: number; readonly to: "device" | "person"; readonly index: number }
  | {
      readonly say: "invite";
      readonly id: string;
      readonly role: Role;
      readonly uses: number;
      readonly expires: number;
      readonly secrets: number;
    }
  | { readonly say: "cancel"; readonly id: string }
  | { readonly say: "transfer"; readonly person: number }
  | { readonly say: "settings" }
  | { readonly say: "rename" };

export interface ModelFrame {
  readonly device: number;
  readonly seq: number;
  readonly time: number;
  readonly epoch: number;
  readonly sayings: readonly Saying[];
}

export class MembersModel {
  persons: ModelPerson[] = [{ role: "owner", in: true, said: [] }];
  devices: ModelDevice[] = [{ person: 0, by: undefined, at: 0, in: true }];
  /** Index by name, of all that ever came in. */
  personByName: Map<string, number> = new Map([["owner", 0]]);
  deviceByName: Map<string, number> = new Map([["owner's", 0]]);
  epoch = 0;
  due = false;
  time = 0;
  invites: Map<string, { role: Role; uses: number; expires: number; knownTo: number[] }> = new Map();

  copy(): MembersModel {
    const { persons, devices, personByName, deviceByName, epoch, due, time, invites } = this;
    const state = { persons, devices, personByName, deviceByName, epoch, due, time, invites };
    return Object.assign(new MembersModel(), structuredClone(state));
  }

  /** The model after the frame, or the reason for which it is void. */
  after(frame: ModelFrame): MembersModel | string {
    const next = this.copy();
    next.time = Math.max(next.time, frame.time);
    const said = next.#sayAll(frame);
    return said ?? next;
  }

  #sayAll(frame: ModelFrame): string | undefined {
    const before = this.devices[frame.device]?.person;
    let speaker = before;
    let wasAdmin = before !== undefined && isAdmin(this.persons[before]?.role);
    for (const [i, saying] of frame.sayings.entries()) {
      const reason = saying.say === "self" ? this.#self(saying, frame, i === 0) : this.#say(saying, frame);
      if (reason !== undefined) return reason;
      if (saying.say === "self") {
        speaker = saying.person;
        wasAdmin = isAdmin(this.persons[saying.person]?.role);
      }
    }
    if (frame.epoch !== this.epoch) return "epoch-stale";
    const person = this.persons[speaker ?? -1];
    if (person === undefined) return "role";
    person.said = person.said.filter((t) => t > this.time - 3_600_000);
    if (!wasAdmin && person.said.length >= 8) return "limit";
    person.said.push(this.time);
    return undefined;
  }

  #self(s: Extract<Saying, { say: "self" }>, frame: ModelFrame, first: boolean): string | undefined {
    if (!first || frame.device !== this.devices.length) return "member-race";
    const person = this.persons[s.person];
    if (person === undefined) return "role";
    if (!person.in) return "removed";
    return this.#device(s.device, s.person, undefined, frame.seq);
  }

  #say(s: Exclude<Saying, { say: "self" }>, frame: ModelFrame): string | undefined {
    const device = this.devices[frame.device];
    if (device === undefined || !device.in) return "role";
    const me = this.persons[device.person] as ModelPerson;
    const above = (role: Role): boolean =>
      (me.role === "owner" && role !== "owner") ||
      (me.role === "admin" && (role === "editor" || role === "viewer"));
    switch (s.say) {
      case "add": {
        if (!above(s.role)) return "role";
        if (s.invite !== undefined) {
          const invite = this.invites.get(s.invite);
          if (invite === undefined || invite.role !== s.role || invite.expires < this.time) return "invite";
          invite.uses--;
          if (invite.uses === 0) this.invites.delete(s.invite);
        }
        const known = this.personByName.get(s.person);
        if (known !== undefined && this.persons[known]?.in === true) return "member-race";
        const index = known ?? this.persons.length;
        this.persons[index] = { role: s.role, in: true, said: this.persons[index]?.said ?? [] };
        this.personByName.set(s.person, index);
        return this.#device(s.device, index, undefined, frame.seq);
      }
      case "role": {
        const target = this.persons[s.person];
        if (target === undefined || !target.in || !above(target.role) || !above(s.role)) return "role";
        if (target.role === "admin" && s.role !== "admin") this.#cancel(this.#of(s.person));
        target.role = s.role;
        return undefined;
      }
      case "remove": {
        const target = this.persons[s.person];
        if (target === undefined || !target.in || target.role === "owner") return "role";
        if (s.person !== device.person && !above(target.role)) return "role";
        const gone = this.#of(s.person);
        if (s.named !== gone.length) return "malformed";
        target.in = false;
        this.#drop(gone);
        return undefined;
      }
      case "admit":
        return this.#device(s.device, device.person, frame.device, frame.seq);
      case "revoke": {
        const target = this.devices[s.device];
        if (target === undefined || !target.in) return "role";
        const holder = this.persons[target.person] as ModelPerson;
        if (target.person !== device.person && !above(holder.role)) return "role";
        const gone = new Set([s.device]);
        for (let more = true; more; ) {
          more = false;
          for (const [i, d] of this.devices.entries()) {
            if (!d.in || gone.has(i) || d.by === undefined || !gone.has(d.by)) continue;
            if (d.by === s.device && d.at <= s.since) continue;
            gone.add(i);
            more = true;
          }
        }
        this.#drop([...gone]);
        return undefined;
      }
      case "epoch":
        if (!isAdmin(me.role)) return "role";
        if (s.n !== this.epoch + 1) return "member-race";
        if (s.envelopes !== this.recipients) return "envelope-set";
        this.epoch = s.n;
        this.due = false;
        return undefined;
      case "envelope":
        if (s.n !== this.epoch || this.epoch === 0) return "epoch-stale";
        return (s.to === "device" ? this.devices : this.persons)[s.index]?.in === true
          ? undefined
          : "envelope-set";
      case "invite":
        if (!above(s.role)) return "role";
        if (this.invites.has(s.id)) return "member-race";
        if (s.secrets !== this.adminDevices.length) return "envelope-set";
        this.invites.set(s.id, {
          role: s.role,
          uses: s.uses,
          expires: s.expires,
          knownTo: this.adminDevices,
        });
        return undefined;
      case "cancel":
        if (!isAdmin(me.role)) return "role";
        return this.invites.delete(s.id) ? undefined : "invite";
      case "transfer": {
        const target = this.persons[s.person];
        if (me.role !== "owner" || target === undefined || !target.in || s.person === device.person)
          return "role";
        me.role = "admin";
        target.role = "owner";
        return undefined;
      }
      case "settings":
        return isAdmin(me.role) ? undefined : "role";
      case "rename":
        return undefined;
    }
  }

  #device(name: string, person: number, by: number | undefined, at: number): string | undefined {
    if (this.#of(person).length >= 32) return "limit";
    if (this.deviceByName.has(name)) return "member-race";
    this.deviceByName.set(name, this.devices.length);
    this.devices.push({ person, by, at, in: true });
    return undefined;
  }

  #of(person: number): number[] {
    return this.devices.flatMap((d, i) => (d.in && d.person === person ? [i] : []));
  }

  #drop(devices: readonly number[]): void {
    for (const i of devices) (this.devices[i] as ModelDevice).in = false;
    this.#cancel(devices);
    this.due = true;
  }

  #cancel(devices: readonly number[]): void {
    for (const [id, invite] of this.invites)
      if (invite.knownTo.some((d) => devices.includes(d))) this.invites.delete(id);
  }

  get recipients(): number {
    return this.devices.filter((d) => d.in).length + this.persons.filter((p) => p.in).length;
  }

  get adminDevices(): number[] {
    return this.devices.flatMap((d, i) => (d.in && isAdmin(this.persons[d.person]?.role) ? [i] : []));
  }
}

function isAdmin(role: Role | undefined): boolean {
  return role === "owner" || role === "admin";
}
