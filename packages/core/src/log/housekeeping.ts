/**
 * The housekeeping reducer. Under rules version 1 it knows one change: none. A frame whose only
 * section is an empty one attests its anchor, which lets other devices pass an entry that nobody
 * signed (rule LOG7). Content, checkpoints and the floor will be its records.
 */
import type { Kind } from "./kind.ts";

export const HOUSEKEEPING = 1;

export function createHousekeeping(): Kind<null> {
  return {
    section: HOUSEKEEPING,
    name: "housekeeping",
    spaces: [],
    decode: (section) => (section.length === 0 ? { changes: 0, value: null } : null),
    apply: () => undefined,
    hold: () => undefined,
    release: () => undefined,
    settle: () => undefined,
  };
}
