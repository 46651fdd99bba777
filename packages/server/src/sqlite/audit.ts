/** Audit rows, written in the transaction of what they tell of. */
import type { AddressClass } from "../http/address-class.ts";
import type { AuditEntry, AuditRow } from "../store.ts";
import type { Db } from "./file.ts";

/** Of no vault: their numbers begin at 1. */
const NO_VAULT = 0;

export interface AuditWrites {
  readonly audit: (vaultN: number, row: AuditRow) => void;
  /** Of no vault. */
  readonly auditAlone: (row: AuditRow) => void;
}

export function prepareAudit(db: Db): AuditWrites {
  const put = db.prepare(
    "INSERT INTO audit (vault_n, time, device, action, object, address) VALUES (?, ?, ?, ?, ?, ?)",
  );
  const audit = (n: number, a: AuditRow): void => {
    // Nobody's device has an empty id: that is the operator.
    put.run(n, a.time, a.device ?? new Uint8Array(0), a.action, a.object ?? null, a.address);
  };
  return { audit, auditAlone: (row: AuditRow): void => audit(NO_VAULT, row) };
}

export function prepareAuditReads(db: Db) {
  const columns = "a.n, v.vault, a.time, a.device, a.action, a.object, a.address";
  const select = (where: string) =>
    db
      .prepare<unknown[], [number, Bytes | null, number, Bytes, string, Bytes | null, AddressClass]>(
        `SELECT ${columns} FROM audit a LEFT JOIN vaults v ON v.n = a.vault_n WHERE ${where} a.n < ? ORDER BY a.n DESC LIMIT ?`,
      )
      .raw();
  const ofAll = select("");
  const ofVault = select("a.vault_n = (SELECT n FROM vaults WHERE vault = ?) AND");
  return {
    audit(id: Bytes | undefined, before: number, most: number): readonly AuditEntry[] {
      const rows = id === undefined ? ofAll.all(before, most) : ofVault.all(id, before, most);
      return rows.map(([n, vault, time, device, action, object, address]) => ({
        n,
        vault: vault === null ? undefined : plain(vault),
        time,
        device: device.length === 0 ? undefined : plain(device),
        action,
        object: object === null ? undefined : plain(object),
        address,
      }));
    },
  };
}

type Bytes = Uint8Array;

/** The driver's Buffer as a plain array: its `slice` copies, as everybody expects. */
export function plain(buffer: Bytes): Bytes {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
