/** What a device keeps for itself: drawn once for a set-up, and the same when that goes on after it was cut short. */
import { existsSync } from "node:fs";
import { drawDeviceSeeds } from "@tidelock/core/crypto/identity";
import { privateFolder } from "../home/files.ts";
import {
  chooseKeyForm,
  type DeviceSecrets,
  type KeyForm,
  loadSecrets,
  storedForm,
  storeSecrets,
} from "../home/keys.ts";
import type { VaultPlace } from "./place.ts";
import type { Setup } from "./setup.ts";

export interface Prepared {
  readonly form: KeyForm;
  readonly secrets: DeviceSecrets;
}

/** New secrets, durable; or those of a set-up that was cut short. */
export async function prepareSecrets(setup: Setup, place: VaultPlace): Promise<Prepared> {
  const { suite } = setup;
  const known = await knownSecrets(setup, place);
  return known ?? newSecrets(setup, place, { seeds: drawDeviceSeeds(suite), local: suite.random(32) });
}

/** New secrets, or those of a set-up that was cut short: its admission may be in the log already. */
export async function ownSecrets(setup: Setup, place: VaultPlace, secrets: DeviceSecrets): Promise<Prepared> {
  const known = existsSync(place.replica) ? await knownSecrets(setup, place) : undefined;
  return known ?? newSecrets(setup, place, secrets);
}

async function knownSecrets({ suite, keys }: Setup, place: VaultPlace): Promise<Prepared | undefined> {
  const form = await storedForm(suite, place.keys, keys);
  return form === undefined ? undefined : { form, secrets: await loadSecrets(suite, place.keys, form, keys) };
}

async function newSecrets(
  { suite, keys }: Setup,
  place: VaultPlace,
  secrets: DeviceSecrets,
): Promise<Prepared> {
  const form = await chooseKeyForm(keys);
  privateFolder(place.folder);
  await storeSecrets(suite, place.keys, form, secrets, keys);
  return { form, secrets };
}
