import type { Bundle } from "../bundle.ts";
import type { Victim } from "./victim.ts";

/** What is killed, and how it is judged. */
export interface Campaign {
  readonly victim: Victim;
  /** It works now: the work on it begins. */
  begin(): Promise<void>;
  /** It is dead. Cheap, after each kill: what differs from what was told. */
  look(): Promise<readonly string[]>;
  /** It is dead. Everything. */
  judge(): Promise<readonly string[]>;
  /** Operations that were acknowledged. */
  acknowledged(): number;
  dispose(): Promise<void>;
}

/** In a folder of its own. */
export type Begin = (folder: string, programs: Bundle, seed: number) => Promise<Campaign>;
