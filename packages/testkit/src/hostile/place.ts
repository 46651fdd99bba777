/** A real place that keeps a vault, in the hands of somebody hostile: what the table of attacks stands on. */
import type { Remote } from "@tidelock/core/ports";
import type { MemoryVaultLog } from "../memory-remote.ts";
import type { Who } from "../vault-kit.ts";

export interface HostilePlace {
  readonly name: "server" | "folder";
  /** A device's own way to it: the remote that ships. */
  door(who: Who): Remote;
  /** A copy of all that one device finds there, or everybody: his to change, and to show. */
  found(by?: Pick<Who, "name">): Promise<MemoryVaultLog>;
  /** What one device finds there from now on, or everybody. Undefined: what the others find again, or the truth. */
  show(log: MemoryVaultLog | undefined, to?: Pick<Who, "name">): Promise<void>;
  /** What becomes of an append that one device is told was taken: it is thrown away, or another's stands there. */
  acknowledge(how: "dropped" | "replaced" | undefined, by: Pick<Who, "name">): void;
  dispose(): Promise<void>;
}
