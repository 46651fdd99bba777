/** What can be taken back no more, vaults and single blobs: first the bytes, then the rows. */
import { concat } from "@tidelock/core/bytes/bytes";
import type { Services } from "../services.ts";
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

/** Cut short it goes on the next time, with what still has a row. One that is being put again stays. */
export async function eraseAside(
  { store, blobs, turns }: Pick<Services, "store" | "blobs" | "turns">,
  now: number,
): Promise<void> {
  for (const { vault, id } of await store.blobsAside(now - ASIDE, MOST.blobs))
    await turns.take(concat(vault, id), async () => {
      if (!(await store.giveBlobUp(vault, id))) return;
      await blobs.remove(vault, id);
      await store.eraseBlob(vault, id);
    });
}
