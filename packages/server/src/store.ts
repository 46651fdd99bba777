/**
 * What the server keeps, as a port: embedded SQLite today, other databases by the same contract
 * (`describeServerStore`). Everything is asynchronous, and nothing above it knows a dialect.
 *
 * A write is durable when its promise resolves. Planning is not the store's: the server reads a
 * vault's state, decides, and hands over finished rows, which a store takes only if the vault's
 * head is still the one they were planned on. That one comparison orders any number of processes.
 */
import type { Link } from "@tidelock/core/log/chain";
import type { Entitlement, TermRows } from "./auth/terms.ts";
import type { AddressClass } from "./http/address-class.ts";

/** A role of the log as the server enforces it; each may do what those before it may. */
export type Level = "viewer" | "editor" | "admin" | "owner";

export interface Head extends Link {
  /** 0 with the vault's id as both hashes: nothing stands after genesis yet. */
  readonly seq: number;
  /** Receive time of the newest entry, ms since 1970; of the founding while there is none. */
  readonly time: number;
}

export interface VaultRow {
  readonly vault: Uint8Array;
  readonly genesis: Uint8Array;
  /** Person id, as the log says; at first of who founded it. */
  readonly owner: Uint8Array;
  readonly created: number;
  readonly head: Head;
  /** Bytes of frames, and of blobs. */
  readonly logBytes: number;
  readonly blobBytes: number;
  /** It is kept for a while, and nobody reads it. */
  readonly deleted: Deletion | undefined;
}

/** Who deletes is who may take it back. */
export interface Deletion {
  readonly at: number;
  readonly by: "owner" | "operator";
}

/** A person's place in a vault, as the log says. */
export interface MemberRow {
  readonly person: Uint8Array;
  readonly level: Level;
  /** The seq that gave and the one that took it. */
  readonly since: number;
  readonly ended: number | undefined;
}

/** A device's place in a vault, as the log says. Rows are never removed. */
export interface AccessRow {
  readonly device: Uint8Array;
  readonly person: Uint8Array;
  readonly signKey: Uint8Array;
  readonly index: number;
  readonly since: number;
  readonly ended: number | undefined;
}

export interface DeviceRow extends AccessRow {
  /** Its newest frame here: a device seq is used once, for ever. 0 while there is none. */
  readonly lastSeq: number;
}

export interface LogRow {
  readonly seq: number;
  readonly time: number;
  /** Who sent it: the device's id, not its index. */
  readonly device: Uint8Array;
  readonly deviceSeq: number;
  /** SHA-256 of the frame. */
  readonly id: Uint8Array;
  readonly frame: Uint8Array;
}

/** A membership entry: what rosters are made of. */
export type MembershipRow = Pick<LogRow, "seq" | "time" | "frame">;

export interface PlacedRow {
  readonly device: Uint8Array;
  readonly deviceSeq: number;
  readonly seq: number;
  readonly time: number;
  readonly id: Uint8Array;
}

export interface AuditRow {
  readonly time: number;
  /** Who did it; undefined: whoever runs the server. */
  readonly device: Uint8Array | undefined;
  /** A word of a closed list, such as `device-add`. */
  readonly action: string;
  /** What it was done to: an id, or nothing. */
  readonly object: Uint8Array | undefined;
  /** From where, and no more of it than this. */
  readonly address: AddressClass;
}

export interface AuditEntry extends AuditRow {
  /** Grows with time. */
  readonly n: number;
  readonly vault: Uint8Array | undefined;
}

/** What an append asks about a vault before it decides. */
export interface StateQuery {
  readonly vault: Uint8Array;
  readonly devices: readonly Uint8Array[];
  readonly persons: readonly Uint8Array[];
  readonly placed: readonly { readonly device: Uint8Array; readonly deviceSeq: number }[];
}

/** What was taken from a person in a vault though there was no room for it, in the window that began at `since`. */
export interface SparedRow {
  readonly person: Uint8Array;
  readonly since: number;
  readonly bytes: number;
}

/**
 * So much is taken of each person: nobody's removal waits for room or for money. By person, so that
 * whoever is to be removed cannot use it up; bounded, so that nobody keeps his files in it. Blobs go
 * up to a part of it: the frame that speaks of them must still find room.
 */
export const SPARED: { readonly window: number; readonly bytes: number; readonly blobs: number } = {
  window: 86_400_000,
  bytes: 2 << 20,
  blobs: 1 << 20,
};

/** What a person has used of it at `now`. */
export function sparedAt(row: SparedRow | undefined, now: number): number {
  return row !== undefined && now - row.since < SPARED.window ? row.bytes : 0;
}

export interface VaultState {
  readonly row: VaultRow;
  /** Those asked for that are known. */
  readonly devices: readonly DeviceRow[];
  readonly members: readonly MemberRow[];
  readonly placed: readonly PlacedRow[];
  /** Of the persons asked for. */
  readonly spared: readonly SparedRow[];
}

/** All of it or none, and only on the head it was planned on. */
export interface VaultWrite {
  readonly vault: Uint8Array;
  readonly from: number;
  readonly head: Head;
  readonly entries: readonly LogRow[];
  readonly access: readonly AccessRow[];
  /** Device seqs that the entries use up, one row a device. */
  readonly used: readonly { readonly device: Uint8Array; readonly lastSeq: number }[];
  readonly members: readonly MemberRow[];
  readonly audit: readonly AuditRow[];
  /** To be added to what was spared, at the head's time. */
  readonly spared: readonly Omit<SparedRow, "since">[];
}

export interface BlobRow {
  readonly id: Uint8Array;
  readonly size: number;
  readonly storedAt: number;
}

/** Blobs that the log gives up at `condemnedAt`, as whoever asks says. */
export interface SetAside {
  readonly ids: readonly Uint8Array[];
  readonly condemnedAt: number;
  readonly now: number;
  /** What was stored or placed after this stays. */
  readonly until: number;
}

/** How long blobs that were set aside can be taken back, ms: one bad device of an editor must not empty a vault. */
export const ASIDE: number = 7 * 86_400_000;

/** Who may sign in. The account is the person's key; there is no name, no address, no password. */
export interface PersonRow {
  readonly person: Uint8Array;
  readonly signKey: Uint8Array;
  readonly boxKey: Uint8Array;
  readonly created: number;
  /** The account is closed: nobody signs in to it. */
  readonly closed: number | undefined;
}

export interface AccountDevice {
  readonly device: Uint8Array;
  readonly person: Uint8Array;
  readonly signKey: Uint8Array;
  readonly added: number;
  readonly seen: number;
  /** Signed out by its person; undefined while it may sign in. */
  readonly revoked: number | undefined;
  /** Its person's account is closed. */
  readonly closed: number | undefined;
}

export interface NoteRow {
  readonly device: Uint8Array;
  readonly time: number;
  readonly note: Uint8Array;
}

export type Slot = 1 | 2;

export type EdgeKind = "person" | "device" | "vault";

/** A person, a device or a vault in a group. Only the operator of the server makes them. */
export interface Edge {
  readonly group: Uint8Array;
  readonly kind: EdgeKind;
  readonly id: Uint8Array;
}

/** A group that has something in it, or an entitlement, in numbers. */
export interface GroupRow {
  readonly group: Uint8Array;
  readonly persons: number;
  readonly devices: number;
  readonly vaults: number;
  readonly entitlement: Entitlement | undefined;
}

export interface Usage {
  readonly person: Uint8Array;
  readonly created: number;
  readonly closed: number | undefined;
  readonly devices: number;
  /** That the person owns. */
  readonly vaults: number;
  readonly bytes: number;
  readonly entitlement: Entitlement | undefined;
}

export interface TermsQuery {
  readonly vault: Uint8Array;
  readonly owner: Uint8Array;
  readonly person: Uint8Array;
  readonly device: Uint8Array;
}

/** How long what was deleted can be taken back, ms. */
export const KEPT: number = 30 * 86_400_000;

export interface LogStore {
  /** `same` where this genesis is there already: its vault is left as it is. */
  createVault(
    row: VaultRow,
    member: MemberRow,
    device: AccessRow,
    audit: AuditRow,
  ): Promise<"created" | "same">;
  vault(vault: Uint8Array): Promise<VaultRow | undefined>;
  /** Vaults in which the person is a member, in the order of their founding here; none that is deleted. */
  vaultsOf(person: Uint8Array): Promise<readonly { readonly row: VaultRow; readonly member: MemberRow }[]>;
  /** Undefined where there is no such vault. One consistent view. */
  state(query: StateQuery): Promise<VaultState | undefined>;
  /**
   * Each write stands alone: false where its head had moved on. Resolves when all that answered
   * true are durable; several vaults may share one flush. A rejection says nothing about any of
   * them: whoever asked must answer `unknown`.
   */
  commit(writes: readonly VaultWrite[]): Promise<readonly boolean[]>;
  /** Entries after `after` without a gap: at least one if there is one, then up to the bounds. Durable ones only. */
  entries(
    vault: Uint8Array,
    after: number,
    most: { readonly frames: number; readonly bytes: number },
  ): Promise<readonly Pick<LogRow, "seq" | "time" | "frame">[]>;
  /** Membership entries after `after`, all of them. */
  membership(vault: Uint8Array, after: number): Promise<readonly MembershipRow[]>;
  /** The rows as the log has them, ended ones too. */
  access(
    vault: Uint8Array,
  ): Promise<{ readonly members: readonly MemberRow[]; readonly devices: readonly DeviceRow[] }>;
  /** Newest first; of everything where no vault is named. */
  audit(vault: Uint8Array | undefined, before: number, most: number): Promise<readonly AuditEntry[]>;

  /** False where there is no such vault. One that is deleted already stays as it is. */
  deleteVault(vault: Uint8Array, deletion: Deletion, audit: AuditRow): Promise<boolean>;
  /** Takes back a deletion after `since`; the owner only his own. False where there is nothing to take back. */
  restoreVault(vault: Uint8Array, by: Deletion["by"], since: number, audit: AuditRow): Promise<boolean>;
  /** Vaults whose deletion was at `until` or before. */
  deletedVaults(until: number, most: number): Promise<readonly Uint8Array[]>;
  /** Removes a vault's rows, about `most` at a time. False: there are more, call again. */
  eraseVault(vault: Uint8Array, most: number): Promise<boolean>;

  blob(vault: Uint8Array, id: Uint8Array): Promise<BlobRow | undefined>;
  /** After its bytes are durable. Again: nothing changes; one that was set aside is there again. `spared`: the person for whom it was taken though there was no room. */
  addBlob(vault: Uint8Array, blob: BlobRow, spared?: Uint8Array): Promise<void>;
  /** By id, after `after`. */
  blobs(vault: Uint8Array, after: Uint8Array, most: number): Promise<readonly BlobRow[]>;

  /** From then on they are neither there nor counted. Answers those that stay, for their time. */
  setBlobsAside(vault: Uint8Array, asked: SetAside, audit: AuditRow): Promise<readonly Uint8Array[]>;
  /** All that were set aside are there again; how many. */
  restoreBlobs(vault: Uint8Array, audit: AuditRow): Promise<number>;
  /** Set aside at `until` or before, the oldest first. */
  blobsAside(
    until: number,
    most: number,
  ): Promise<readonly { readonly vault: Uint8Array; readonly id: Uint8Array }[]>;
  /** It can be taken back no more; false where it is there again. Before its bytes go. */
  giveBlobUp(vault: Uint8Array, id: Uint8Array): Promise<boolean>;
  /** The row of one that was given up, after its bytes. */
  eraseBlob(vault: Uint8Array, id: Uint8Array): Promise<void>;

  putNote(vault: Uint8Array, note: NoteRow): Promise<void>;
  notes(vault: Uint8Array): Promise<readonly NoteRow[]>;

  /** False where the id is taken. */
  reserve(id: Uint8Array, device: Uint8Array, until: number): Promise<boolean>;
  /** Each slot takes one object, once; the same bytes again are `stored`. */
  putSlot(id: Uint8Array, slot: Slot, bytes: Uint8Array, now: number): Promise<"stored" | "used" | "absent">;
  /** Undefined while the slot is empty. */
  slot(id: Uint8Array, slot: Slot, now: number): Promise<Uint8Array | "absent" | undefined>;
  /** By whoever reserved it; false where it is another's, or none. */
  cancel(id: Uint8Array, device: Uint8Array): Promise<boolean>;

  addChallenge(challenge: Uint8Array, device: Uint8Array, until: number): Promise<void>;
  /** True once for a challenge made for this device that has not run out. */
  takeChallenge(challenge: Uint8Array, device: Uint8Array, now: number): Promise<boolean>;
  person(person: Uint8Array): Promise<PersonRow | undefined>;
  accountDevice(device: Uint8Array): Promise<AccountDevice | undefined>;
  accountDevices(person: Uint8Array): Promise<readonly AccountDevice[]>;
  /** The person, with its audit row, and its device, where they are not known yet; a known device is seen now. */
  admitAccount(person: PersonRow, device: AccountDevice, audit?: AuditRow): Promise<void>;
  revokeDevice(person: Uint8Array, device: Uint8Array, audit: AuditRow): Promise<boolean>;
  /** With all vaults that the person owns. False where there is no such person. */
  closePerson(person: Uint8Array, deletion: Deletion, audit: AuditRow): Promise<boolean>;
  /** The account is as it was; its vaults are not touched. */
  reopenPerson(person: Uint8Array, audit: AuditRow): Promise<void>;
  /** A registration token by its SHA-256: good for `uses` persons. */
  addRegistration(hash: Uint8Array, uses: number, until: number, audit?: AuditRow): Promise<void>;
  takeRegistration(hash: Uint8Array, now: number): Promise<boolean>;
  /** Whether anybody has registered: the first start says how to. */
  hasPersons(): Promise<boolean>;

  /** By version: a lower one is `older`, other words under the same one are `conflict`; neither changes anything. */
  putEntitlement(
    subject: Uint8Array,
    entitlement: Entitlement,
    audit: AuditRow,
  ): Promise<"kept" | "older" | "conflict">;
  entitlement(subject: Uint8Array): Promise<Entitlement | undefined>;
  /** Whether it was not there before. The order of their making is kept: it is that of seats. */
  addEdge(edge: Edge, audit: AuditRow): Promise<boolean>;
  /** Whether it was there. */
  dropEdge(edge: Edge, audit: AuditRow): Promise<boolean>;
  /** What stands in a group, in the order of its making. */
  edges(group: Uint8Array, kind: EdgeKind): Promise<readonly Uint8Array[]>;
  /** By group, after `after`. */
  groups(after: Uint8Array, most: number): Promise<readonly GroupRow[]>;
  /** Everything that was said about a vault and who asks for it. One consistent view. */
  terms(query: TermsQuery): Promise<TermRows>;
  /** By person, after `after`; also closed ones. */
  usage(after: Uint8Array, most: number): Promise<readonly Usage[]>;
  usageOf(person: Uint8Array): Promise<Usage | undefined>;

  /** Drops what ran out: rows of the moment, old audit rows, accounts closed longer than vaults are kept. */
  sweep(now: number): Promise<void>;
  /** Throws where nothing can be written. */
  check(): Promise<void>;
  /** Resolves when nothing more will be written until the store is opened anew. May never. */
  readonly failed: Promise<Error>;
  close(): Promise<void>;
}
