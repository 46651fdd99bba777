/** Where the vault of a round lives. One kind today; a server becomes another of these. */
import { mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

export interface Place {
  /** What `openVault` is given. */
  readonly remote: string;
  /** Bytes that devices have put on the remote so far. */
  wire(): number;
  /** Bytes the remote takes on its disk. */
  disk(): number;
  close(): Promise<void>;
}

export const placeKinds: Readonly<Record<string, (root: string) => Promise<Place>>> = {
  folder: async (root) => {
    const parent = join(root, "folder");
    mkdirSync(parent);
    const remote = join(parent, "remote");
    const bytes = (): number => sizeOf(remote);
    return { remote, wire: bytes, disk: bytes, close: async () => undefined };
  },
};

export function sizeOf(directory: string): number {
  return readdirSync(directory, { withFileTypes: true }).reduce((sum, entry) => {
    const path = join(directory, entry.name);
    return sum + (entry.isDirectory() ? sizeOf(path) : statSync(path).size);
  }, 0);
}
