/**
 * This device's secrets at rest: in the system's keychain, in a file under a passphrase, or, by a
 * person's explicit choice, in a plain file. Never silently in a plain one.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { DeviceSeeds } from "@tidelock/core/crypto/identity";
import {
  keyringForm,
  type OpenedKeyring,
  openKeyring,
  openPlainKeyring,
  plainKeyring,
  type Secrets,
  sealKeyring,
} from "@tidelock/core/crypto/keyring";
import type { Suite } from "@tidelock/core/crypto/suite";
import { TidelockError } from "@tidelock/core/errors";
import { readableByOthers, readSecretFile, readWhole, writeWhole } from "./files.ts";
import { type OpenedKeychain, openKeychain } from "./keychain.ts";

export type KeyForm = "keychain" | "passphrase" | "plain";

export interface DeviceSecrets {
  readonly seeds: DeviceSeeds;
  /** Seals what rests in the replica. */
  readonly local: Uint8Array;
}

export interface KeyOptions {
  /** `--insecure-key-file`: a plain file, because somebody said so. */
  readonly insecureKeyFile?: boolean | undefined;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly keychain?: () => Promise<OpenedKeychain>;
}

/** Where the keys of one vault of one home rest. */
export interface KeyPlace {
  readonly folder: string;
  /** Name in the system's keychain. */
  readonly entry: string;
}

const file = (place: KeyPlace): string => join(place.folder, "keys");

/** Which form new keys get: the flag, then the passphrase variables, then the keychain. */
export async function chooseKeyForm(options: KeyOptions): Promise<KeyForm> {
  if (options.insecureKeyFile === true) return "plain";
  if (passphraseIn(options.env ?? process.env) !== undefined) return "passphrase";
  const opened = await (options.keychain ?? openKeychain)();
  if (opened.ok) return "keychain";
  throw new TidelockError("keyring", {
    why: `${opened.why}, and no passphrase was given`,
    next: "set TIDELOCK_PASSPHRASE, or choose a plain key file with --insecure-key-file",
  });
}

/** Durable when it returns. */
export async function storeSecrets(
  suite: Suite,
  place: KeyPlace,
  form: KeyForm,
  secrets: DeviceSecrets,
  options: KeyOptions,
): Promise<void> {
  const held: Secrets = new Map([
    ["device/sign", secrets.seeds.sign],
    ["device/box", secrets.seeds.box],
    ["local", secrets.local],
  ]);
  if (form === "passphrase") writeWhole(file(place), sealKeyring(suite, held, needPassphrase(options)));
  else if (form === "plain") writeWhole(file(place), plainKeyring(suite, held));
  else (await needKeychain(options)).set(place.entry, plainKeyring(suite, held));
}

/** Throws `keyring` with what to do; a wrong passphrase is told from a damaged file. */
export async function loadSecrets(
  suite: Suite,
  place: KeyPlace,
  form: KeyForm,
  options: KeyOptions,
): Promise<DeviceSecrets> {
  const opened = await openForm(suite, place, form, options);
  if (!opened.ok) throw refused(opened.reason);
  const [sign, box, local] = ["device/sign", "device/box", "local"].map((name) => opened.secrets.get(name));
  if (sign === undefined || box === undefined || local === undefined) throw refused("malformed");
  return { seeds: { sign, box }, local };
}

/** The form of keys that lie there already; undefined where there are none. */
export async function storedForm(
  suite: Suite,
  place: KeyPlace,
  options: KeyOptions,
): Promise<KeyForm | undefined> {
  if (existsSync(file(place)))
    return keyringForm(suite, readWhole(file(place)) ?? new Uint8Array(0)) ?? "passphrase";
  const opened = await (options.keychain ?? openKeychain)();
  return opened.ok && opened.keychain.get(place.entry) !== undefined ? "keychain" : undefined;
}

async function openForm(
  suite: Suite,
  place: KeyPlace,
  form: KeyForm,
  options: KeyOptions,
): Promise<OpenedKeyring> {
  if (form === "keychain") {
    const object = (await needKeychain(options)).get(place.entry);
    if (object === undefined) throw missing("the keychain holds no keys for this home");
    return openPlainKeyring(suite, object);
  }
  const object = readWhole(file(place));
  if (object === undefined) throw missing("the key file is gone");
  if (form === "passphrase") return openKeyring(suite, object, needPassphrase(options));
  if (readableByOthers(file(place)))
    throw new TidelockError("keyring", {
      why: "the plain key file can be read by other users",
      next: `chmod 600 ${file(place)}`,
    });
  return openPlainKeyring(suite, object);
}

function passphraseIn(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const direct = env["TIDELOCK_PASSPHRASE"];
  if (direct !== undefined && direct !== "") return direct;
  const path = env["TIDELOCK_PASSPHRASE_FILE"];
  return path === undefined || path === "" ? undefined : readSecretFile(path);
}

function needPassphrase(options: KeyOptions): string {
  const passphrase = passphraseIn(options.env ?? process.env);
  if (passphrase !== undefined) return passphrase;
  throw new TidelockError("keyring", {
    why: "the keys are under a passphrase, and none was given",
    next: "set TIDELOCK_PASSPHRASE or TIDELOCK_PASSPHRASE_FILE, and try again",
  });
}

async function needKeychain(options: KeyOptions) {
  const opened = await (options.keychain ?? openKeychain)();
  if (opened.ok) return opened.keychain;
  throw new TidelockError("keyring", { why: opened.why, next: "unlock the keychain, and try again" });
}

function missing(why: string): TidelockError {
  return new TidelockError("key-missing", {
    why,
    retryable: false,
    next: "add this device again: tidelock join --remote DIR --words",
  });
}

function refused(reason: string): TidelockError {
  const details = { reason };
  if (reason === "commit")
    return new TidelockError("keyring", {
      why: "this is not the passphrase of these keys",
      next: "try again",
      details,
    });
  if (reason === "update-needed")
    return new TidelockError("update-needed", { why: "the keys were written by a newer Tidelock", details });
  return new TidelockError("keyring", {
    why: `the stored keys cannot be read (${reason})`,
    next: "add this device again: tidelock join --remote DIR --words",
    details,
  });
}
