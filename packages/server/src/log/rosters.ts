/**
 * Who is in a vault, from its membership entries: the same pure judgement that every device makes,
 * so the server has no opinion of its own. A roster follows from the membership hash, which is
 * what it is kept under.
 */
import { equalBytes, toHex } from "@tidelock/core/bytes/bytes";
import type { Suite } from "@tidelock/core/crypto/suite";
import { nextLink } from "@tidelock/core/log/chain";
import { type Frame, parseFrame, verifyFrame } from "@tidelock/core/log/frame";
import type { VoidReason } from "@tidelock/core/log/kind";
import { parseCertificate } from "@tidelock/core/vault/certificate";
import { parseGenesis } from "@tidelock/core/vault/genesis";
import { parseBody } from "@tidelock/core/vault/records";
import { founderRoster, judgeRecords, type Roster } from "@tidelock/core/vault/roster";
import type { Head, LogStore, VaultRow } from "../store.ts";

/** Where a membership frame stands, or would. */
export interface Place {
  readonly vault: Uint8Array;
  readonly seq: number;
  readonly time: number;
  /** M of the entry before. */
  readonly members: Uint8Array;
}

/** The roster after a membership frame, or why it is void. */
export function nextRoster(suite: Suite, before: Roster, frame: Frame, place: Place): Roster | VoidReason {
  const body = parseBody(frame.body);
  if (body === null) return "malformed";
  const first = body.records[0];
  // A device that admits itself is not known yet: it is judged under the key that it brings.
  const key =
    first?.type === "device-add"
      ? parseCertificate(suite, first.certificate)?.device.sign
      : before.devices[frame.device]?.sign;
  if (key === undefined) return "unsigned-device";
  if (!verifyFrame(suite, place.vault, frame, key)) return "signature";
  if (before.devices[frame.device]?.removedAt !== undefined) return "removed";
  if (!equalBytes(body.prev, place.members)) return "member-race";
  return judgeRecords(suite, place.vault, before, body.records, {
    device: frame.device,
    deviceSeq: frame.deviceSeq,
    seq: place.seq,
    epoch: frame.epoch,
    anchor: frame.anchor,
    received: place.time,
    sealedAt: frame.sealedAt,
  });
}

interface Kept {
  readonly roster: Roster;
  readonly seq: number;
  readonly members: Uint8Array;
}

/** Vaults whose roster is at hand. */
const MOST = 1000;

export class Rosters {
  readonly #suite: Suite;
  readonly #store: LogStore;
  /** By the vault's hex, the longest unused first. */
  readonly #kept = new Map<string, Kept>();

  constructor(suite: Suite, store: LogStore) {
    this.#suite = suite;
    this.#store = store;
  }

  /** As of the vault's head. */
  async at(row: VaultRow): Promise<Roster> {
    const key = toHex(row.vault);
    let kept = this.#kept.get(key) ?? this.#founded(row);
    if (!equalBytes(kept.members, row.head.members)) {
      for (const entry of await this.#store.membership(row.vault, kept.seq)) {
        if (entry.seq <= row.head.seq) kept = this.#after(row.vault, kept, entry);
      }
    }
    this.#keep(key, kept);
    return kept.roster;
  }

  /** What a plan that was committed ended with. */
  keep(vault: Uint8Array, head: Head, roster: Roster): void {
    this.#keep(toHex(vault), { roster, seq: head.seq, members: head.members });
  }

  #keep(key: string, kept: Kept): void {
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    if (this.#kept.size > MOST) this.#kept.delete(this.#kept.keys().next().value as string);
  }

  #founded(row: VaultRow): Kept {
    const genesis = parseGenesis(this.#suite, row.genesis);
    if (genesis === null) throw new RangeError("a stored genesis that does not verify");
    const roster = founderRoster(this.#suite, genesis.owner, genesis.certificate.device);
    return { roster, seq: 0, members: row.vault };
  }

  #after(
    vault: Uint8Array,
    before: Kept,
    entry: { readonly seq: number; readonly time: number; readonly frame: Uint8Array },
  ): Kept {
    const { seq, time, frame: bytes } = entry;
    const id = this.#suite.sha256(bytes);
    // Only M is of interest: the chain hash before is not at hand, and not needed for it.
    const { members } = nextLink(this.#suite, { hash: vault, members: before.members }, seq, {
      time,
      id,
      frame: bytes,
    });
    const frame = parseFrame(bytes);
    const place = { vault, seq, time, members: before.members };
    const after = frame === null ? "malformed" : nextRoster(this.#suite, before.roster, frame, place);
    return { roster: typeof after === "string" ? before.roster : after, seq, members };
  }
}
