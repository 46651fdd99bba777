/** What the vault says of itself to all its devices, and changing that. */
import { TidelockError } from "@tidelock/core/errors";
import { MOST_FILE_SIZE, maxFileSize, sizeText } from "./content.ts";
import { act } from "./devices.ts";
import { needAdmin } from "./members.ts";
import type { Outcome } from "./outcome.ts";
import type { Session } from "./session.ts";

export interface VaultSettings {
  readonly name: string;
  /** Bytes that a file may have. */
  readonly maxFileSize: number;
}

export interface SettingsActed extends VaultSettings {
  readonly state: Outcome;
}

export function settingsOf(session: Session): VaultSettings {
  return { name: session.name(), maxFileSize: maxFileSize(session.replica) };
}

/** Files that the vault has keep their place, whatever their size: only what is saved from now on is judged. */
export async function setMaxFileSize(session: Session, most: number): Promise<SettingsActed> {
  if (!Number.isSafeInteger(most) || most < 1 || most > MOST_FILE_SIZE)
    throw new TidelockError("usage", {
      why: `a file may have from 1 byte to ${sizeText(MOST_FILE_SIZE)}`,
      next: "tidelock vault set maxFileSize 10GB",
    });
  needAdmin(session);
  const state = await act(session, { kind: "set", maxFileSize: most });
  return { ...settingsOf(session), maxFileSize: most, state };
}
