/** Blobs that go: set aside first and counted no more, taken back while there is time, then erased. */
import type { AuditRow, SetAside } from "../store.ts";
import { prepareAudit } from "./audit.ts";
import type { Db } from "./file.ts";

type Bytes = Uint8Array;

export function prepareAside(db: Db) {
  const { audit } = prepareAudit(db);
  const vaultN = db.prepare<[Bytes], number>("SELECT n FROM vaults WHERE vault = ?").pluck();
  const placedAt = db
    .prepare<[number, number], number>("SELECT time FROM log WHERE vault_n = ? AND seq = ?")
    .pluck();
  const there = db.prepare<[number, Bytes], { size: number; stored_at: number }>(
    "SELECT size, stored_at FROM blobs WHERE vault_n = ? AND id = ? AND aside IS NULL",
  );
  const setAside = db.prepare("UPDATE blobs SET aside = ? WHERE vault_n = ? AND id = ?");
  const sizeAside = db
    .prepare<[number], number>("SELECT coalesce(sum(size), 0) FROM blobs WHERE vault_n = ? AND aside > 0")
    .pluck();
  const takeBack = db.prepare("UPDATE blobs SET aside = NULL WHERE vault_n = ? AND aside > 0");
  const grow = db.prepare("UPDATE vaults SET blob_bytes = blob_bytes + ? WHERE n = ?");
  const give = db.prepare("UPDATE blobs SET aside = 0 WHERE vault_n = ? AND id = ? AND aside IS NOT NULL");
  const erase = db.prepare("DELETE FROM blobs WHERE vault_n = ? AND id = ? AND aside = 0");

  return {
    setBlobsAside(
      vault: Bytes,
      { ids, condemnedAt, now, until }: SetAside,
      note: AuditRow,
    ): readonly Bytes[] {
      const n = vaultN.get(vault);
      if (n === undefined) return [];
      const condemned = placedAt.get(n, condemnedAt);
      const early: Bytes[] = [];
      let bytes = 0;
      for (const id of ids) {
        const row = there.get(n, id);
        if (row === undefined) continue;
        if (condemned === undefined || condemned > until || row.stored_at > until) {
          early.push(id);
          continue;
        }
        setAside.run(now, n, id);
        bytes += row.size;
      }
      if (bytes === 0) return early;
      grow.run(-bytes, n);
      audit(n, note);
      return early;
    },

    restoreBlobs(vault: Bytes, note: AuditRow): number {
      const n = vaultN.get(vault);
      if (n === undefined) return 0;
      const bytes = sizeAside.get(n) ?? 0;
      const { changes } = takeBack.run(n);
      if (changes === 0) return 0;
      grow.run(bytes, n);
      audit(n, note);
      return changes;
    },

    giveBlobUp(vault: Bytes, id: Bytes): boolean {
      const n = vaultN.get(vault);
      return n !== undefined && give.run(n, id).changes === 1;
    },

    eraseBlob(vault: Bytes, id: Bytes): void {
      const n = vaultN.get(vault);
      if (n !== undefined) erase.run(n, id);
    },
  };
}
