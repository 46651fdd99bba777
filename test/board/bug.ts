/** A planted bug: an exact edit of the product's source, and the oracle that must notice it. */

import type { Oracle } from "@tidelock/testkit/world/world";
import type { Edit } from "../sim/pool.ts";

export interface Bug extends Edit {
  readonly id: string;
  /** What the edit does to the product, in a few words. */
  readonly bug: string;
  readonly oracle: Oracle;
  /** Other places that the same bug needs. */
  readonly also?: readonly Edit[];
  /** The profile whose histories show it; `small` without. */
  readonly profile?: string;
  /** Where only what ships below the engine shows it. */
  readonly layer?: 3;
  /** A seed that shows it, tried first. */
  readonly seed: number;
}

export function editsOf(bug: Bug): readonly Edit[] {
  return [bug, ...(bug.also ?? [])];
}
