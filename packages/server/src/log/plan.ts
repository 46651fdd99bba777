/**
 * Decides a batch of appends to one vault, as a pure function of its state: what is placed, at which
 * seq, what was placed before, what is refused and why. The result is rows for the store, which
 * takes them only if the vault's head has not moved. Rules SRV1 to SRV9.
 */
import { equalBytes, toHex } from "@tidelock/core/bytes/bytes";
import type { Suite } from "@tidelock/core/crypto/suite";
import { nextLink } from "@tidelock/core/log/chain";
import { type Frame, frameKinds, parseFrame } from "@tidelock/core/log/frame";
import type { Roster } from "@tidelock/core/vault/roster";
import type { Terms } from "../auth/terms.ts";
import type { ProblemCode } from "../problem.ts";
import {
  type AccessRow,
  type AuditRow,
  type DeviceRow,
  type Head,
  type LogRow,
  type MemberRow,
  SPARED,
  sparedAt,
  type VaultState,
  type VaultWrite,
} from "../store.ts";
import {
  judgeData,
  judgeMembership,
  type Refusal,
  type Sender,
  type Standing,
  standingOf,
} from "./access.ts";

export interface AppendRequest {
  readonly sender: Sender;
  /** What the operator has said of the sender and this vault, as it was when the append arrived. */
  readonly terms: Terms;
  /** 1..256, parsed once, in the order of their device seqs. */
  readonly frames: readonly SentFrame[];
}

export interface SentFrame {
  readonly bytes: Uint8Array;
  readonly frame: Frame;
  /** SHA-256 of the bytes. */
  readonly id: Uint8Array;
}

export type Appended =
  | {
      readonly kind: "placed";
      readonly first: number;
      readonly time: number;
      /** The vault's head when it was answered. */
      readonly head: Head;
      /** They stood there already. */
      readonly again: boolean;
    }
  | ({ readonly kind: "refused" } & Refusal);

export interface PlanRules {
  readonly suite: Suite;
  /** Bytes of log and blobs that a vault may have. */
  readonly quota: number;
}

/** Bytes of membership frames that are taken though there is no room, in one append. */
const SMALL = 64 << 10;

export interface Plan {
  /** Undefined where nothing is to be written. */
  readonly write: VaultWrite | undefined;
  /** One per request, in order. */
  readonly answers: readonly Appended[];
  /** As of the new head, where one was needed. */
  readonly roster: Roster | undefined;
}

/** Null for what is no run of frames of one device: a fault of the client. */
export function parseSent(suite: Suite, frames: readonly Uint8Array[]): readonly SentFrame[] | null {
  const out: SentFrame[] = [];
  for (const bytes of frames) {
    const frame = parseFrame(bytes);
    const first = out[0]?.frame ?? frame;
    if (frame === null || frame.device !== first?.device || frame.deviceSeq !== first.deviceSeq + out.length)
      return null;
    out.push({ bytes, frame, id: suite.sha256(bytes) });
  }
  return out;
}

/** Whether a plan needs to know who is in the vault. */
export function needsRoster(request: AppendRequest): boolean {
  return request.frames.some(isMembershipFrame);
}

/** `roster` as of the vault's head; needed only for membership frames. */
export function planAppends(
  rules: PlanRules,
  state: VaultState,
  roster: Roster | undefined,
  requests: readonly AppendRequest[],
  now: number,
): Plan {
  const draft = new Draft(rules, state, roster, now);
  const results = requests.map((request) => draft.take(request));
  const write = draft.write();
  const head = write?.head ?? state.row.head;
  return {
    write,
    roster: draft.roster,
    answers: results.map((one) => (one.kind === "placed" ? { ...one, head } : one)),
  };
}

/** The state as it becomes, entry by entry. */
class Draft {
  readonly #rules: PlanRules;
  readonly #state: VaultState;
  readonly #time: number;
  readonly #entries: LogRow[] = [];
  readonly #audit: AuditRow[] = [];
  #changedAccess = new Map<string, AccessRow>();
  #changedMembers = new Map<string, MemberRow>();
  #head: Head;
  #room: number;
  #taken = 0;
  readonly #spared = new Map<string, { readonly person: Uint8Array; readonly bytes: number }>();
  roster: Roster | undefined;
  #devices: Map<string, DeviceRow>;
  #members: Map<string, MemberRow>;
  #placed: Map<string, Pick<LogRow, "seq" | "time" | "id">>;

  constructor(rules: PlanRules, state: VaultState, roster: Roster | undefined, now: number) {
    this.#rules = rules;
    this.#state = state;
    this.#time = now;
    this.#head = state.row.head;
    this.#room = rules.quota - state.row.logBytes - state.row.blobBytes;
    this.roster = roster;
    this.#devices = new Map(state.devices.map((one) => [toHex(one.device), one]));
    this.#members = new Map(state.members.map((one) => [toHex(one.person), one]));
    this.#placed = new Map(state.placed.map((one) => [placeKey(one.device, one.deviceSeq), one]));
  }

  take({ sender, terms, frames }: AppendRequest): Appended {
    const standing = this.#standing(sender);
    if (standing.kind === "stranger") return refused("not-found", "no such vault");
    if (this.#state.row.deleted !== undefined) return refused("vault-deleted", "the vault was deleted here");
    if (standing.kind === "removed") return refused("device-removed", "the log has removed this device");
    const first = (frames[0] as SentFrame).frame.deviceSeq;
    const last = this.#devices.get(toHex(sender.device))?.lastSeq ?? 0;
    if (first <= last) return this.#again(sender, frames, last);
    // It counts on frames that are not here: what it has to see is that they are gone.
    if (first > last + 1) return refused("behind", "frames of this device are missing before these");
    return this.#place(sender, terms, frames);
  }

  #standing(sender: Sender): Standing {
    return standingOf(this.#devices.get(toHex(sender.device)), this.#members.get(toHex(sender.person)));
  }

  /** SRV3: the same bytes have one position for ever, and others never take it. */
  #again(sender: Sender, frames: readonly SentFrame[], last: number): Appended {
    let first: Pick<LogRow, "seq" | "time"> | undefined;
    for (const [i, { frame, id }] of frames.entries()) {
      if (frame.deviceSeq > last) return refused("behind", "some of these frames stand in the log already");
      const found = this.#placed.get(placeKey(sender.device, frame.deviceSeq));
      if (found === undefined) return refused("behind", "these frames stand below what the log keeps");
      if (!equalBytes(found.id, id))
        return refused("op-reused", "another frame of this device has this number");
      first ??= found;
      if (found.seq !== first.seq + i)
        return refused("behind", "these frames stand in the log already, not side by side");
    }
    const { seq, time } = first as Pick<LogRow, "seq" | "time">;
    return { kind: "placed", first: seq, time, head: this.#head, again: true };
  }

  #place(sender: Sender, terms: Terms, frames: readonly SentFrame[]): Appended {
    const bytes = frames.reduce((sum, one) => sum + one.bytes.length, 0);
    const lack = this.#lack(terms, bytes);
    const spared = lack !== undefined && this.#maySpare(sender, frames, bytes);
    if (lack !== undefined && !spared) return lack;
    const first = this.#head.seq + 1;
    const undo = frames.some(isMembershipFrame) ? this.#memory() : undefined;
    for (const one of frames) {
      const refusal = isMembershipFrame(one)
        ? this.#judgeMembership(sender, one)
        : judgeData(this.#standing(sender), one.frame);
      if (refusal === undefined) {
        this.#add(sender.device, one);
        continue;
      }
      // All or none. Data frames of one append are all judged alike, by the first of them.
      undo?.();
      return { kind: "refused", ...refusal };
    }
    this.#room -= bytes;
    this.#taken += bytes;
    if (spared) {
      const key = toHex(sender.person);
      const before = this.#spared.get(key)?.bytes ?? 0;
      this.#spared.set(key, { person: sender.person, bytes: before + bytes });
    }
    return { kind: "placed", first, time: this.#time, head: this.#head, again: false };
  }

  /** What these bytes want that is not there. */
  #lack(terms: Terms, bytes: number): Appended | undefined {
    if (!terms.covered) return refused("no-plan", "no plan and no seat covers this person here");
    if (bytes > this.#room) return refused("quota", "the vault has used up its room");
    return bytes > terms.room - this.#taken ? refused("quota", "the plan has no room left") : undefined;
  }

  #maySpare({ person }: Sender, frames: readonly SentFrame[], bytes: number): boolean {
    const row = this.#state.spared.find((one) => equalBytes(one.person, person));
    const used = sparedAt(row, this.#time) + (this.#spared.get(toHex(person))?.bytes ?? 0);
    return bytes <= SMALL && used + bytes <= SPARED.bytes && frames.every(isMembershipFrame);
  }

  /** What brings everything back to how it is now. */
  #memory(): () => void {
    const [head, roster, devices, members] = [this.#head, this.roster, this.#devices, this.#members];
    const placed = this.#placed;
    const access = new Map(this.#changedAccess);
    const changed = new Map(this.#changedMembers);
    const [entries, audit] = [this.#entries.length, this.#audit.length];
    this.#devices = new Map(devices);
    this.#members = new Map(members);
    this.#placed = new Map(placed);
    return () => {
      [this.#head, this.roster, this.#devices, this.#members] = [head, roster, devices, members];
      this.#placed = placed;
      this.#changedAccess = access;
      this.#changedMembers = changed;
      this.#entries.length = entries;
      this.#audit.length = audit;
    };
  }

  #judgeMembership(sender: Sender, { frame }: SentFrame): Refusal | undefined {
    if (this.roster === undefined) throw new RangeError("a membership frame without a roster");
    const { suite } = this.#rules;
    const { vault } = this.#state.row;
    const place = { vault, seq: this.#head.seq + 1, time: this.#time, members: this.#head.members };
    const effect = judgeMembership(suite, this.roster, sender, this.#standing(sender), frame, place);
    if (effect === null) return undefined;
    if ("code" in effect) return effect;
    this.roster = effect.roster;
    for (const one of effect.access) {
      const key = toHex(one.device);
      this.#changedAccess.set(key, one);
      this.#devices.set(key, { ...one, lastSeq: this.#devices.get(key)?.lastSeq ?? 0 });
    }
    for (const one of effect.members) {
      this.#changedMembers.set(toHex(one.person), one);
      this.#members.set(toHex(one.person), one);
    }
    this.#audit.push(...effect.audit);
    return undefined;
  }

  #add(device: Uint8Array, { bytes, frame, id }: SentFrame): void {
    const seq = this.#head.seq + 1;
    const time = this.#time;
    this.#head = { ...nextLink(this.#rules.suite, this.#head, seq, { time, id, frame: bytes }), seq, time };
    this.#entries.push({ seq, time, device, deviceSeq: frame.deviceSeq, id, frame: bytes });
    this.#placed.set(placeKey(device, frame.deviceSeq), { seq, time, id });
    const key = toHex(device);
    this.#devices.set(key, { ...(this.#devices.get(key) as DeviceRow), lastSeq: frame.deviceSeq });
  }

  write(): VaultWrite | undefined {
    const { row } = this.#state;
    if (this.#entries.length === 0) return undefined;
    const senders = new Map(this.#entries.map(({ device }) => [toHex(device), device]));
    return {
      vault: row.vault,
      from: row.head.seq,
      head: this.#head,
      entries: this.#entries,
      access: [...this.#changedAccess.values()],
      used: [...senders].map(([key, device]) => ({
        device,
        lastSeq: (this.#devices.get(key) as DeviceRow).lastSeq,
      })),
      members: [...this.#changedMembers.values()],
      audit: this.#audit,
      spared: [...this.#spared.values()],
    };
  }
}

function isMembershipFrame({ frame }: SentFrame): boolean {
  return frame.kind === frameKinds.membership;
}

function placeKey(device: Uint8Array, deviceSeq: number): string {
  return `${toHex(device)}/${deviceSeq}`;
}

function refused(code: ProblemCode, why: string): Appended {
  return { kind: "refused", code, why };
}
