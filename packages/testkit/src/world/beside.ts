/** What stands beside the replica on a simulated machine, on a disk of its own: a synced folder and the people who use it. */
import type { EditKind, Moment } from "./app.ts";
import type { Life, SimNode } from "./node.ts";

export interface Beside {
  /** The engine runs: what stands on it starts. */
  started(life: Life): void;
  /** Somebody does something at this machine, also while its program is not there. */
  act(node: SimNode, what: EditKind, moment: Moment): void;
  /** This boot is over. A power cut takes what the disk had not written. */
  ended(life: Life, power: boolean): void;
  /** The faults are over. */
  healed(nodes: readonly SimNode[]): void;
  /** What it still has to do; undefined where all is done. */
  unquiet(life: Life): string | undefined;
  /** What is wrong at the end, in words. */
  judge(nodes: readonly SimNode[]): string | undefined;
}
