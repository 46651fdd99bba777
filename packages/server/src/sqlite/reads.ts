/** Every read of the embedded database, over a connection that sees committed rows only. */
import type {
  AccountDevice,
  BlobRow,
  DeviceRow,
  Level,
  LogRow,
  MemberRow,
  MembershipRow,
  NoteRow,
  PersonRow,
  PlacedRow,
  Slot,
  SparedRow,
  StateQuery,
  VaultRow,
  VaultState,
} from "../store.ts";
import { plain, prepareAuditReads } from "./audit.ts";
import type { Db } from "./file.ts";
import { prepareOperatorReads } from "./operator.ts";

export type Reads = ReturnType<typeof prepareVaultReads> &
  ReturnType<typeof prepareAuditReads> &
  ReturnType<typeof prepareOperatorReads>;

type Bytes = Uint8Array;
type Raw = readonly (Bytes | number | string | null)[];

const VAULT =
  "n, vault, genesis, owner, created, head_seq, head_hash, head_members, head_time, log_bytes, blob_bytes, deleted_at, deleted_by";
const VAULT_COLUMNS = VAULT.split(",").length;
const MEMBER = "person, level, since, ended";
const DEVICE = "device, person, sign_key, device_index, since, ended, last_seq";
const ACCOUNT = "device, d.person, d.sign_key, added, seen, revoked, closed";
const ACCOUNTS = "account_devices d LEFT JOIN persons p ON p.person = d.person";

export function prepareReads(db: Db): Reads {
  return { ...prepareVaultReads(db), ...prepareAuditReads(db), ...prepareOperatorReads(db) };
}

function prepareVaultReads(db: Db) {
  const select = (sql: string) => db.prepare<unknown[], Raw>(`SELECT ${sql}`).raw();
  const vault = select(`${VAULT} FROM vaults WHERE vault = ?`);
  const vaultsOf = select(
    `${VAULT}, ${MEMBER} FROM members JOIN vaults ON n = vault_n WHERE person = ? AND ended IS NULL AND deleted_at IS NULL ORDER BY n`,
  );
  const device = select(`${DEVICE} FROM devices WHERE vault_n = ? AND device = ?`);
  const member = select(`${MEMBER} FROM members WHERE vault_n = ? AND person = ?`);
  const devices = select(`${DEVICE} FROM devices WHERE vault_n = ? ORDER BY device_index`);
  const members = select(`${MEMBER} FROM members WHERE vault_n = ?`);
  const placed = select("seq, time, id FROM log WHERE vault_n = ? AND device = ? AND device_seq = ?");
  const entries = select("seq, time, frame FROM log WHERE vault_n = ? AND seq > ? ORDER BY seq LIMIT ?");
  const membership = select(
    "seq, time, frame FROM log WHERE vault_n = ? AND seq > ? AND membership = 1 ORDER BY seq",
  );
  const blob = select("id, size, stored_at FROM blobs WHERE vault_n = ? AND id = ? AND aside IS NULL");
  const blobs = select(
    "id, size, stored_at FROM blobs WHERE vault_n = ? AND id > ? AND aside IS NULL ORDER BY id LIMIT ?",
  );
  const aside = select(
    "vault, id FROM blobs JOIN vaults ON n = vault_n WHERE aside <= ? ORDER BY aside LIMIT ?",
  );
  const spared = select("person, since, bytes FROM spared WHERE vault_n = ? AND person = ?");
  const deleted = select("vault FROM vaults WHERE deleted_at <= ? ORDER BY deleted_at LIMIT ?");
  const notes = select("device, time, note FROM notes WHERE vault_n = ? ORDER BY device");
  const slots = {
    1: select("slot1 FROM rendezvous WHERE id = ? AND until > ?"),
    2: select("slot2 FROM rendezvous WHERE id = ? AND until > ?"),
  };
  const person = select("person, sign_key, box_key, created, closed FROM persons WHERE person = ?");
  const anyPerson = select("1 FROM persons LIMIT 1");
  const account = select(`${ACCOUNT} FROM ${ACCOUNTS} WHERE device = ?`);
  const accounts = select(`${ACCOUNT} FROM ${ACCOUNTS} WHERE d.person = ? ORDER BY added, device`);

  const numberOf = (id: Bytes): number | undefined => vault.get(id)?.[0] as number | undefined;

  const state = (query: StateQuery): VaultState | undefined => {
    const found = vault.get(query.vault);
    // A vault that is not there costs as much as one of others: nobody shall tell them apart by time.
    const n = (found?.[0] ?? 0) as number;
    const placedRows = query.placed.flatMap(({ device: by, deviceSeq }): PlacedRow[] => {
      const row = placed.get(n, by, deviceSeq);
      if (row === undefined) return [];
      return [
        { device: by, deviceSeq, seq: row[0] as number, time: row[1] as number, id: plain(row[2] as Bytes) },
      ];
    });
    const known = query.devices.flatMap((id) => {
      const one = device.get(n, id);
      return one === undefined ? [] : [deviceRow(one)];
    });
    const theirs = query.persons.flatMap((id) => {
      const one = member.get(n, id);
      return one === undefined ? [] : [memberRow(one)];
    });
    const sparedRows = query.persons.flatMap((id): SparedRow[] => {
      const one = spared.get(n, id) as readonly [Bytes, number, number] | undefined;
      return one === undefined ? [] : [{ person: plain(one[0]), since: one[1], bytes: one[2] }];
    });
    if (found === undefined) return undefined;
    const row = vaultRow(found);
    return { row, devices: known, members: theirs, placed: placedRows, spared: sparedRows };
  };

  return {
    vault(id: Bytes): VaultRow | undefined {
      const row = vault.get(id);
      return row === undefined ? undefined : vaultRow(row);
    },

    vaultsOf: (by: Bytes): readonly { readonly row: VaultRow; readonly member: MemberRow }[] =>
      vaultsOf.all(by).map((row) => ({ row: vaultRow(row), member: memberRow(row.slice(VAULT_COLUMNS)) })),

    /** Several reads: the caller has opened a view. */
    state: (query: StateQuery): VaultState | undefined => state(query),

    entries(
      id: Bytes,
      after: number,
      most: { readonly frames: number; readonly bytes: number },
    ): readonly Pick<LogRow, "seq" | "time" | "frame">[] {
      const n = numberOf(id);
      const out: Pick<LogRow, "seq" | "time" | "frame">[] = [];
      if (n === undefined) return out;
      let bytes = 0;
      for (const row of entries.iterate(n, after, most.frames)) {
        const [seq, time, frame] = row as [number, number, Bytes];
        // Whoever took an entry out of the database must not make the next one pass for it.
        if (seq !== after + 1 + out.length) break;
        if (out.length > 0 && bytes + frame.length > most.bytes) break;
        out.push({ seq, time, frame: plain(frame) });
        bytes += frame.length;
      }
      return out;
    },

    membership(id: Bytes, after: number): readonly MembershipRow[] {
      const n = numberOf(id);
      if (n === undefined) return [];
      return membership.all(n, after).map((row) => {
        const [seq, time, frame] = row as [number, number, Bytes];
        return { seq, time, frame: plain(frame) };
      });
    },

    access(id: Bytes): { readonly members: readonly MemberRow[]; readonly devices: readonly DeviceRow[] } {
      const n = numberOf(id);
      if (n === undefined) return { members: [], devices: [] };
      return { members: members.all(n).map(memberRow), devices: devices.all(n).map(deviceRow) };
    },

    blob(id: Bytes, name: Bytes): BlobRow | undefined {
      const n = numberOf(id);
      const row = n === undefined ? undefined : blob.get(n, name);
      return row === undefined ? undefined : blobRow(row);
    },

    blobs(id: Bytes, after: Bytes, most: number): readonly BlobRow[] {
      const n = numberOf(id);
      return n === undefined ? [] : blobs.all(n, after, most).map(blobRow);
    },

    blobsAside: (until: number, most: number): readonly { readonly vault: Bytes; readonly id: Bytes }[] =>
      aside.all(until, most).map(([vault, id]) => ({ vault: plain(vault as Bytes), id: plain(id as Bytes) })),

    deletedVaults: (until: number, most: number): readonly Bytes[] =>
      deleted.all(until, most).map(([vault]) => plain(vault as Bytes)),

    notes(id: Bytes): readonly NoteRow[] {
      const n = numberOf(id);
      if (n === undefined) return [];
      return notes.all(n).map((row) => ({
        device: plain(row[0] as Bytes),
        time: row[1] as number,
        note: plain(row[2] as Bytes),
      }));
    },

    slot(id: Bytes, slot: Slot, now: number): Bytes | "absent" | undefined {
      const row = slots[slot].get(id, now);
      if (row === undefined) return "absent";
      return row[0] === null ? undefined : plain(row[0] as Bytes);
    },

    person(id: Bytes): PersonRow | undefined {
      const row = person.get(id);
      if (row === undefined) return undefined;
      const [who, signKey, boxKey, created, closed] = row as [Bytes, Bytes, Bytes, number, number | null];
      return {
        person: plain(who),
        signKey: plain(signKey),
        boxKey: plain(boxKey),
        created,
        closed: closed ?? undefined,
      };
    },

    hasPersons: (): boolean => anyPerson.get() !== undefined,

    accountDevice(id: Bytes): AccountDevice | undefined {
      const row = account.get(id);
      return row === undefined ? undefined : accountRow(row);
    },

    accountDevices: (by: Bytes): readonly AccountDevice[] => accounts.all(by).map(accountRow),
  };
}

function vaultRow(r: Raw): VaultRow {
  const bytes = (i: number): Bytes => plain(r[i] as Bytes);
  const number = (i: number): number => r[i] as number;
  return {
    vault: bytes(1),
    genesis: bytes(2),
    owner: bytes(3),
    created: number(4),
    head: { seq: number(5), hash: bytes(6), members: bytes(7), time: number(8) },
    logBytes: number(9),
    blobBytes: number(10),
    deleted:
      r[11] === null ? undefined : { at: number(11), by: r[12] as NonNullable<VaultRow["deleted"]>["by"] },
  };
}

function memberRow(r: Raw): MemberRow {
  const [person, level, since, ended] = r as [Bytes, Level, number, number | null];
  return { person: plain(person), level, since, ended: ended ?? undefined };
}

function deviceRow(r: Raw): DeviceRow {
  return {
    device: plain(r[0] as Bytes),
    person: plain(r[1] as Bytes),
    signKey: plain(r[2] as Bytes),
    index: r[3] as number,
    since: r[4] as number,
    ended: (r[5] as number | null) ?? undefined,
    lastSeq: r[6] as number,
  };
}

function blobRow(r: Raw): BlobRow {
  const [id, size, storedAt] = r as [Bytes, number, number];
  return { id: plain(id), size, storedAt };
}

function accountRow(r: Raw): AccountDevice {
  const [device, person, signKey, added, seen, revoked, closed] = r as [
    Bytes,
    Bytes,
    Bytes,
    number,
    number,
    number | null,
    number | null,
  ];
  return {
    device: plain(device),
    person: plain(person),
    signKey: plain(signKey),
    added,
    seen,
    revoked: revoked ?? undefined,
    closed: closed ?? undefined,
  };
}
