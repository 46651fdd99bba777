/** Vaults whose time to be taken back is over: first the bytes of their blobs, then their rows. */
import { KEPT, type LogStore } from "../store.ts";
import type { BlobBytes } from "./bytes.ts";

/** Vaults in one go, and rows in one transaction. */
const MOST = { vaults: 100, rows: 2_000 };

/** Cut short it goes on the next time: the vault's own row goes last. */
export async function eraseDeleted(store: LogStore, blobs: BlobBytes, now: number): Promise<void> {
  for (const vault of await store.deletedVaults(now - KEPT, MOST.vaults)) {
    await blobs.drop(vault);
    while (!(await store.eraseVault(vault, MOST.rows)));
  }
}
