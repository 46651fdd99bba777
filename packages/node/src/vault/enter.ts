/** Set-up as one step, for the command line and the SDK: founded or joined, and synced once, or nothing at all. */
import { loadSuite } from "../crypto/load-suite.ts";
import { createClock } from "../env.ts";
import type { KeyOptions } from "../home/keys.ts";
import type { HomePaths } from "../home/paths.ts";
import { type AcceptOptions, acceptInvite, isFinal } from "./accept.ts";
import { joinHome } from "./join-home.ts";
import { ownHome } from "./own.ts";
import { openSession } from "./session.ts";
import { foundHome, needEmptyHome, type Setup } from "./setup.ts";
import { dropSheet, writeSheet } from "./words.ts";

export interface EnterOptions {
  readonly paths: HomePaths;
  readonly keys: KeyOptions;
  readonly timeoutMs?: number | undefined;
}

export type Plan =
  | {
      readonly kind: "found";
      /** A `file:` URL or a server's; undefined for a vault that stays on this device. */
      readonly remote: string | undefined;
      readonly registration?: Uint8Array | undefined;
      readonly vaultName: string;
      readonly deviceName: string;
      readonly entropy: Uint8Array;
      /** Words to leave on a private sheet, where nobody could be shown them. */
      readonly sheet: readonly string[] | undefined;
    }
  | {
      readonly kind: "join";
      readonly remote: string;
      readonly registration?: Uint8Array | undefined;
      readonly deviceName: string;
      readonly entropy: Uint8Array;
      readonly expected?: Uint8Array | undefined;
    }
  /** By an invite of somebody else. */
  | (AcceptOptions & {
      readonly kind: "accept";
      readonly remote: string;
      /** Words that nobody has yet. */
      readonly sheet: readonly string[] | undefined;
    });

export interface Entered {
  /** Hexadecimal. */
  readonly vault: string;
  readonly name: string;
  readonly device: number;
  readonly deviceName: string;
  readonly remote?: string;
  readonly founded: boolean;
  /** The words lie on a sheet in the home. */
  readonly sheet: boolean;
  /** The last entry of the log that is here. */
  readonly head: number;
}

/** Set-up ends synced, not merely configured. Where only the first sync fails, the vault is there and goes on later. */
export async function enterVault(options: EnterOptions, plan: Plan): Promise<Entered> {
  const { paths, keys } = options;
  const lock = await ownHome(paths, {
    what: plan.kind === "found" ? "init" : "join",
    waitMs: options.timeoutMs ?? 2000,
  });
  try {
    const { suite } = await loadSuite();
    const { timeoutMs } = options;
    await carryOut({ suite, clock: createClock(), paths, keys, timeoutMs }, plan);
    suite.wipe(plan.entropy);
    const session = await openSession({ paths, keys });
    try {
      const { head } = await session.sync({ timeoutMs: options.timeoutMs });
      return {
        vault: session.info.id,
        name: session.name(),
        device: session.engine.device ?? 0,
        deviceName: session.deviceName(),
        ...(plan.remote === undefined ? {} : { remote: plan.remote }),
        founded: plan.kind === "found",
        sheet: plan.kind !== "join" && plan.sheet !== undefined,
        head,
      };
    } finally {
      await session.close();
    }
  } finally {
    lock.release();
  }
}

async function carryOut(setup: Setup, plan: Plan): Promise<void> {
  if (plan.kind === "join") return joinHome(setup, plan);
  needEmptyHome(setup.paths);
  // Durable first: a vault whose words are nowhere could never be opened again.
  if (plan.sheet !== undefined) writeSheet(setup.paths, plan.sheet);
  try {
    await (plan.kind === "found" ? foundHome(setup, plan) : acceptInvite(setup, plan));
  } catch (error) {
    // A guest who was not let in yet goes on with the same words.
    if (plan.sheet !== undefined && (plan.kind === "found" || isFinal(error))) dropSheet(setup.paths);
    throw error;
  }
}
