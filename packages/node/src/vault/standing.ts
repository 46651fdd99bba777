/** Matters of the home itself. */

import type { HaltCode } from "@tidelock/core/engine/ingest";
import { errorKinds } from "@tidelock/core/errors";
import type { VaultConfig } from "../home/config.ts";
import type { HomePaths } from "../home/paths.ts";
import type { Matter } from "./issues.ts";
import { hasSheet, sheetPath } from "./words.ts";

/** What holds as long as a person leaves it so. `parked`: edits that the log did not take. */
export function standing(paths: HomePaths, info: VaultConfig, parked: number): readonly Matter[] {
  const matters: Matter[] = [];
  if (info.keys === "plain")
    matters.push({
      code: "insecure-key-file",
      why: "this device's keys lie in a plain file, as was chosen",
      next: "whoever can read this account's files can read the vault",
    });
  if (hasSheet(paths))
    matters.push({
      code: "recovery-sheet",
      why: "the recovery words lie in a file of this home",
      next: `write them down, keep them safe, then delete ${sheetPath(paths)}`,
    });
  if (parked > 0)
    matters.push({
      code: "rejected",
      count: parked,
      why: `the vault did not take ${parked} of your edits`,
      next: "tidelock queue ls",
    });
  return matters;
}

/** Why nothing is applied or sent any more, and what ends that. */
export function halted(code: HaltCode | undefined): readonly Matter[] {
  if (code === undefined) return [];
  const { title, next } = errorKinds[code];
  return [{ code, why: `${title}; nothing is applied or sent until that ends, and editing goes on`, next }];
}
