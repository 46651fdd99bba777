/** What was done and what is used, as it is told to those who may know. */
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import type { Entitlement, Terms } from "../auth/terms.ts";
import type { Services } from "../services.ts";
import type { AuditEntry, GroupRow, Usage, VaultRow } from "../store.ts";

/** Rows of one answer. */
export const AUDIT_PAGE = 200;

/** Bytes that a vault still takes from whoever asks. */
export function freeOf({ quota, uploads }: Services, row: VaultRow, { room }: Terms): number {
  const left = Math.min(quota - row.logBytes - row.blobBytes, room);
  return Math.max(0, left - uploads.of(row.vault));
}

/** From so much on whoever reads is told: there is still time to make room. */
const NEAR = 90;

/** How full it is for whoever asks, in percent; undefined while there is plenty of room. */
export function fullnessOf({ quota, uploads }: Services, row: VaultRow, terms: Terms): number | undefined {
  const own = (row.logBytes + row.blobBytes + uploads.of(row.vault)) / quota;
  const percent = Math.min(100, Math.floor(100 * Math.max(own, terms.used)));
  return percent >= NEAR ? percent : undefined;
}

/** What is undefined is left out. */
export function entitlementJson(entitlement: Entitlement | undefined): unknown {
  return entitlement ?? null;
}

export function auditJson({
  vault,
  device,
  object,
  ...row
}: Omit<AuditEntry, "vault"> & Partial<AuditEntry>): unknown {
  const id = (bytes: Uint8Array | undefined): string | undefined =>
    bytes === undefined ? undefined : toBase64Url(bytes);
  return { ...row, vault: id(vault), device: id(device), object: id(object) };
}

export function groupJson({ group, entitlement, ...counts }: GroupRow): unknown {
  return { group: toBase64Url(group), ...counts, entitlement: entitlementJson(entitlement) };
}

export function usageJson({ person, created, closed, devices, vaults, bytes, entitlement }: Usage): unknown {
  return {
    person: toBase64Url(person),
    created,
    closed,
    devices,
    vaults,
    bytes,
    entitlement: entitlementJson(entitlement),
  };
}
