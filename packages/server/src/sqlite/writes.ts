/**
 * Every write of the embedded database, as plain functions over one connection. None opens a
 * transaction: `group.ts` runs many of them in one, each under a savepoint of its own.
 */
import { equalBytes } from "@tidelock/core/bytes/bytes";
import { isMembership } from "@tidelock/core/log/chain";
import type {
  AccessRow,
  AccountDevice,
  AuditRow,
  BlobRow,
  MemberRow,
  NoteRow,
  PersonRow,
  Slot,
  VaultRow,
  VaultWrite,
} from "../store.ts";
import { KEPT, SPARED } from "../store.ts";
import { prepareAside } from "./aside.ts";
import { prepareAudit } from "./audit.ts";
import { prepareDeletions } from "./deletions.ts";
import type { Db } from "./file.ts";
import { prepareOperator } from "./operator.ts";

export type Writes = ReturnType<typeof prepareVaultWrites> &
  ReturnType<typeof prepareDeletions> &
  ReturnType<typeof prepareAside> &
  ReturnType<typeof prepareOperator>;

type Bytes = Uint8Array;

export function prepareWrites(db: Db): Writes {
  return { ...prepareVaultWrites(db), ...prepareDeletions(db), ...prepareAside(db), ...prepareOperator(db) };
}

function prepareVaultWrites(db: Db) {
  const vaultN = db.prepare<[Bytes], number>("SELECT n FROM vaults WHERE vault = ?").pluck();
  const newVault = db.prepare(
    `INSERT INTO vaults (vault, genesis, owner, created, head_seq, head_hash, head_members, head_time, log_bytes, blob_bytes)
     VALUES (@vault, @genesis, @owner, @created, 0, @hash, @members, @time, 0, 0)`,
  );
  const moveHead = db.prepare(
    `UPDATE vaults SET head_seq = @seq, head_hash = @hash, head_members = @members, head_time = @time,
       log_bytes = log_bytes + @bytes WHERE n = @n AND head_seq = @from`,
  );
  const putEntry = db.prepare(
    "INSERT INTO log (vault_n, seq, time, device, device_seq, id, membership, frame) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
  );
  const putMember = db.prepare(
    `INSERT INTO members (vault_n, person, level, since, ended) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET level = excluded.level, since = excluded.since, ended = excluded.ended`,
  );
  const setOwner = db.prepare("UPDATE vaults SET owner = ? WHERE n = ?");
  const putAccess = db.prepare(
    `INSERT INTO devices (vault_n, device, person, sign_key, device_index, since, ended) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET device_index = excluded.device_index, since = excluded.since, ended = excluded.ended`,
  );
  const putUsed = db.prepare("UPDATE devices SET last_seq = ? WHERE vault_n = ? AND device = ?");
  const { audit, auditAlone } = prepareAudit(db);
  const addBlob = db.prepare(
    `INSERT INTO blobs (vault_n, id, size, stored_at) VALUES (?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET stored_at = excluded.stored_at, aside = NULL WHERE aside IS NOT NULL`,
  );
  const addSpared = db.prepare(
    `INSERT INTO spared (vault_n, person, since, bytes) VALUES (@n, @person, @now, @bytes)
     ON CONFLICT DO UPDATE SET
       bytes = CASE WHEN since > @ended THEN bytes + @bytes ELSE @bytes END,
       since = CASE WHEN since > @ended THEN since ELSE @now END`,
  );
  const spare = (n: number, person: Bytes, bytes: number, now: number): void => {
    addSpared.run({ n, person, bytes, now, ended: now - SPARED.window });
  };
  const growBlobs = db.prepare("UPDATE vaults SET blob_bytes = blob_bytes + ? WHERE n = ?");
  const putNote = db.prepare(
    `INSERT INTO notes (vault_n, device, time, note) VALUES (?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET time = excluded.time, note = excluded.note`,
  );
  const reserve = db.prepare("INSERT OR IGNORE INTO rendezvous (id, device, until) VALUES (?, ?, ?)");
  const slots = {
    1: db.prepare<[Bytes, number], { bytes: Bytes | null }>(
      "SELECT slot1 AS bytes FROM rendezvous WHERE id = ? AND until > ?",
    ),
    2: db.prepare<[Bytes, number], { bytes: Bytes | null }>(
      "SELECT slot2 AS bytes FROM rendezvous WHERE id = ? AND until > ?",
    ),
  };
  const fill = {
    1: db.prepare("UPDATE rendezvous SET slot1 = ? WHERE id = ?"),
    2: db.prepare("UPDATE rendezvous SET slot2 = ? WHERE id = ?"),
  };
  const cancel = db.prepare("DELETE FROM rendezvous WHERE id = ? AND device = ?");
  const addChallenge = db.prepare("INSERT INTO challenges (challenge, device, until) VALUES (?, ?, ?)");
  const takeChallenge = db.prepare("DELETE FROM challenges WHERE challenge = ? AND device = ? AND until > ?");
  const addPerson = db.prepare(
    "INSERT OR IGNORE INTO persons (person, sign_key, box_key, created) VALUES (?, ?, ?, ?)",
  );
  const seeDevice = db.prepare(
    `INSERT INTO account_devices (device, person, sign_key, added, seen) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET seen = excluded.seen`,
  );
  const revokeDevice = db.prepare(
    "UPDATE account_devices SET revoked = ? WHERE device = ? AND person = ? AND revoked IS NULL",
  );
  const addRegistration = db.prepare(
    "INSERT OR REPLACE INTO registrations (hash, uses, until) VALUES (?, ?, ?)",
  );
  const takeRegistration = db.prepare(
    "UPDATE registrations SET uses = uses - 1 WHERE hash = ? AND uses > 0 AND until > ?",
  );
  const sweeps = ["challenges", "rendezvous", "registrations"].map((table) =>
    db.prepare(`DELETE FROM ${table} WHERE until <= ?`),
  );
  const sweepAudit = db.prepare("DELETE FROM audit WHERE time <= ?");
  const gone = "(SELECT person FROM persons WHERE closed <= ?)";
  const sweepPersons = [
    `DELETE FROM edges WHERE kind = 'device' AND id IN
       (SELECT device FROM account_devices WHERE person IN ${gone})`,
    `DELETE FROM account_devices WHERE person IN ${gone}`,
    `DELETE FROM edges WHERE kind = 'person' AND id IN ${gone}`,
    `DELETE FROM entitlements WHERE subject IN ${gone}`,
    "DELETE FROM persons WHERE closed <= ?",
  ].map((sql) => db.prepare(sql));

  const numberOf = (vault: Bytes): number => {
    const n = vaultN.get(vault);
    if (n === undefined) throw new RangeError("a vault that is not there");
    return n;
  };
  const access = (n: number, d: AccessRow): void => {
    putAccess.run(n, d.device, d.person, d.signKey, d.index, d.since, d.ended ?? null);
  };
  const member = (n: number, m: MemberRow): void => {
    putMember.run(n, m.person, m.level, m.since, m.ended ?? null);
  };

  return {
    createVault(row: VaultRow, founder: MemberRow, first: AccessRow, note: AuditRow): "created" | "same" {
      if (vaultN.get(row.vault) !== undefined) return "same";
      const { vault, genesis, owner, created, head } = row;
      const added = newVault.run({
        vault,
        genesis,
        owner,
        created,
        hash: head.hash,
        members: head.members,
        time: head.time,
      });
      const n = Number(added.lastInsertRowid);
      member(n, founder);
      access(n, first);
      audit(n, note);
      return "created";
    },

    commit(write: VaultWrite): boolean {
      const n = numberOf(write.vault);
      let bytes = 0;
      for (const { frame } of write.entries) bytes += frame.length;
      const { head, from } = write;
      const moved = moveHead.run({ ...head, n, from, bytes });
      if (moved.changes !== 1) return false;
      for (const e of write.entries) {
        const membership = isMembership(e.frame) ? 1 : 0;
        putEntry.run(n, e.seq, e.time, e.device, e.deviceSeq, e.id, membership, e.frame);
      }
      for (const one of write.members) {
        member(n, one);
        if (one.level === "owner" && one.ended === undefined) setOwner.run(one.person, n);
      }
      for (const one of write.access) access(n, one);
      for (const { device, lastSeq } of write.used) putUsed.run(lastSeq, n, device);
      for (const one of write.audit) audit(n, one);
      for (const one of write.spared) spare(n, one.person, one.bytes, head.time);
      return true;
    },

    addBlob(vault: Bytes, { id, size, storedAt }: BlobRow, person?: Bytes): void {
      const n = numberOf(vault);
      if (addBlob.run(n, id, size, storedAt).changes !== 1) return;
      growBlobs.run(size, n);
      if (person !== undefined) spare(n, person, size, storedAt);
    },

    putNote(vault: Bytes, { device: by, time, note }: NoteRow): void {
      putNote.run(numberOf(vault), by, time, note);
    },

    reserve: (id: Bytes, by: Bytes, until: number): boolean => reserve.run(id, by, until).changes === 1,

    putSlot(id: Bytes, slot: Slot, bytes: Bytes, now: number): "stored" | "used" | "absent" {
      const found = slots[slot].get(id, now);
      if (found === undefined) return "absent";
      if (found.bytes !== null) return equalBytes(found.bytes, bytes) ? "stored" : "used";
      fill[slot].run(bytes, id);
      return "stored";
    },

    cancel: (id: Bytes, by: Bytes): boolean => cancel.run(id, by).changes === 1,

    addChallenge(challenge: Bytes, by: Bytes, until: number): void {
      addChallenge.run(challenge, by, until);
    },

    takeChallenge: (challenge: Bytes, by: Bytes, now: number): boolean =>
      takeChallenge.run(challenge, by, now).changes === 1,

    admitAccount(p: PersonRow, d: AccountDevice, row?: AuditRow): void {
      const isNew = addPerson.run(p.person, p.signKey, p.boxKey, p.created).changes === 1;
      if (isNew && row !== undefined) auditAlone(row);
      seeDevice.run(d.device, d.person, d.signKey, d.added, d.seen);
    },

    revokeDevice(person: Bytes, device: Bytes, row: AuditRow): boolean {
      if (revokeDevice.run(row.time, device, person).changes !== 1) return false;
      auditAlone(row);
      return true;
    },

    addRegistration(hash: Bytes, uses: number, until: number, row?: AuditRow): void {
      addRegistration.run(hash, uses, until);
      if (row !== undefined) auditAlone(row);
    },

    takeRegistration: (hash: Bytes, now: number): boolean => takeRegistration.run(hash, now).changes === 1,

    sweep(now: number): void {
      for (const one of sweeps) one.run(now);
      sweepAudit.run(now - AUDIT_KEPT);
      for (const one of sweepPersons) one.run(now - KEPT);
    },

    check(): void {
      db.pragma(`user_version = ${db.pragma("user_version", { simple: true }) as number}`);
    },
  };
}

const AUDIT_KEPT = 400 * 86_400_000;
