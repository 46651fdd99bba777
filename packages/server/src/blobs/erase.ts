/** What can be taken back no more, vaults and single blobs: first the bytes, then the rows. */
import { ASIDE, KEPT, type LogStore } from "../store.ts";
import type { BlobBytes } from "./bytes.ts";

/** Vaults and blobs in one go, and rows in one transaction. */
const MOST = { vaults: 100, blobs: 1_000, rows: 2_000 };

/** Cut short it goes on the next time: the vault's own row goes last. */
export async function eraseDeleted(store: LogStore, blobs: BlobBytes, now: number): Promise<void> {
  for (const vault of await store.deletedVaults(now - KEPT, MOST.vaults)) {
    await blobs.drop(vault);
    while (!(await store.eraseVault(vault, MOST.rows)));
  }
}

/** Cut short it goes on the next time, with what still has a row. */
export async function eraseAside(store: LogStore, blobs: BlobBytes, now: number): Promise<void> {
  for (const { vault, id } of await store.blobsAside(now - ASIDE, MOST.blobs)) {
    await blobs.remove(vault, id);
    await store.eraseBlob(vault, id);
  }
}
