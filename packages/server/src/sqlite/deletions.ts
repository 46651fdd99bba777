/** Vaults and accounts that go: marked first, taken back while there is time, erased in pieces. */
import type { AuditRow, Deletion } from "../store.ts";
import { prepareAudit } from "./audit.ts";
import type { Db } from "./file.ts";

type Bytes = Uint8Array;

/** What hangs on a vault, the largest first. */
const tables = ["log", "blobs", "notes", "members", "devices", "spared"] as const;

export function prepareDeletions(db: Db) {
  const { audit, auditAlone } = prepareAudit(db);
  const vaultN = db.prepare<[Bytes], number>("SELECT n FROM vaults WHERE vault = ?").pluck();
  const mark = db.prepare(
    "UPDATE vaults SET deleted_at = ?, deleted_by = ? WHERE n = ? AND deleted_at IS NULL",
  );
  const markOwned = db.prepare(
    "UPDATE vaults SET deleted_at = ?, deleted_by = ? WHERE owner = ? AND deleted_at IS NULL",
  );
  // An operator may take back anybody's deletion, an owner only his own.
  const unmark = db.prepare(
    `UPDATE vaults SET deleted_at = NULL, deleted_by = NULL
     WHERE n = ? AND deleted_at > ? AND (deleted_by = ? OR ? = 'operator')`,
  );
  const erase = tables.map((table) => {
    const key = {
      log: "rowid",
      blobs: "id",
      notes: "device",
      members: "person",
      devices: "device",
      spared: "person",
    }[table];
    return db.prepare(
      `DELETE FROM ${table} WHERE vault_n = @n AND ${key} IN (SELECT ${key} FROM ${table} WHERE vault_n = @n LIMIT @most)`,
    );
  });
  // Their vault's number may be given to another vault: its admins must not read these.
  const cutAudit = db.prepare("UPDATE audit SET vault_n = 0 WHERE vault_n = ?");
  const dropEdges = db.prepare("DELETE FROM edges WHERE kind = 'vault' AND id = ?");
  const dropVault = db.prepare("DELETE FROM vaults WHERE n = ?");
  const close = db.prepare("UPDATE persons SET closed = ? WHERE person = ? AND closed IS NULL");
  const known = db.prepare("SELECT 1 FROM persons WHERE person = ?");
  const reopen = db.prepare("UPDATE persons SET closed = NULL WHERE person = ?");

  return {
    deleteVault(vault: Bytes, { at, by }: Deletion, row: AuditRow): boolean {
      const n = vaultN.get(vault);
      if (n === undefined) return false;
      if (mark.run(at, by, n).changes === 1) audit(n, row);
      return true;
    },

    restoreVault(vault: Bytes, by: Deletion["by"], since: number, row: AuditRow): boolean {
      const n = vaultN.get(vault);
      if (n === undefined || unmark.run(n, since, by, by).changes !== 1) return false;
      audit(n, row);
      return true;
    },

    eraseVault(vault: Bytes, most: number): boolean {
      const n = vaultN.get(vault);
      if (n === undefined) return true;
      let left = most;
      for (const one of erase) {
        left -= one.run({ n, most: left }).changes;
        if (left <= 0) return false;
      }
      cutAudit.run(n);
      dropEdges.run(vault);
      dropVault.run(n);
      return true;
    },

    closePerson(person: Bytes, { at, by }: Deletion, row: AuditRow): boolean {
      if (known.get(person) === undefined) return false;
      if (close.run(at, person).changes === 1) auditAlone(row);
      markOwned.run(at, by, person);
      return true;
    },

    reopenPerson(person: Bytes, row: AuditRow): void {
      if (reopen.run(person).changes === 1) auditAlone(row);
    },
  };
}
