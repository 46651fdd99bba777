/** What was done and what is used, as it is told to those who may know. */
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import type { Entitlement, Terms } from "../auth/terms.ts";
import type { Services } from "../services.ts";
import type { AuditEntry, Usage, VaultRow } from "../store.ts";

/** Rows of one answer. */
export const AUDIT_PAGE = 200;

/** Bytes that a vault still takes from whoever asks. */
export function freeOf({ quota, uploads }: Services, row: VaultRow, { room }: Terms): number {
  const left = Math.min(quota - row.logBytes - row.blobBytes, room);
  return Math.max(0, left - uploads.of(row.vault));
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
