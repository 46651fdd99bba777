import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { drawDeviceSeeds } from "@tidelock/core/crypto/identity";
import type { Suite } from "@tidelock/core/crypto/suite";
import { TidelockError } from "@tidelock/core/errors";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { loadSuite } from "../crypto/load-suite.ts";
import { type OpenedKeychain, openKeychain } from "./keychain.ts";
import {
  chooseKeyForm,
  type DeviceSecrets,
  type KeyOptions,
  loadSecrets,
  storedForm,
  storeSecrets,
} from "./keys.ts";

let suite: Suite;
let folder: string;
let secrets: DeviceSecrets;

beforeAll(async () => {
  ({ suite } = await loadSuite());
});

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidelock-keys-"));
  secrets = { seeds: drawDeviceSeeds(suite), local: suite.random(32) };
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const place = () => ({ folder, entry: "home/vault" });
const none = async (): Promise<OpenedKeychain> => ({ ok: false, why: "there is no session bus" });
const passphrase = (text: string): KeyOptions => ({ env: { TIDELOCK_PASSPHRASE: text }, keychain: none });
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "none",
    (error: unknown) => (error instanceof TidelockError ? error.code : String(error)),
  );

/** A keychain in memory, as the optional package has it. */
function fakePackage(refuses: "no" | "absent" | "forgets" = "no"): {
  load: () => Promise<never>;
  held: Map<string, string>;
} {
  const held = new Map<string, string>();
  class Entry {
    readonly #name: string;
    constructor(service: string, name: string) {
      if (refuses === "absent") throw new Error("AccessDenied");
      this.#name = `${service}/${name}`;
    }
    setPassword(text: string): void {
      if (refuses !== "forgets") held.set(this.#name, text);
    }
    getPassword(): string | null {
      return held.get(this.#name) ?? null;
    }
    deletePassword(): boolean {
      return held.delete(this.#name);
    }
  }
  return { load: async () => ({ Entry }) as never, held };
}

const bus = { DBUS_SESSION_BUS_ADDRESS: "unix:path=/run/user/0/bus" };

test("[IFC4] M-44 the flag is stronger than the passphrase, that than the keychain; without any there is an instruction", async () => {
  const keychain = (): Promise<OpenedKeychain> => openKeychain(bus, fakePackage().load);
  const env = { TIDELOCK_PASSPHRASE: "x" };
  expect(await chooseKeyForm({ insecureKeyFile: true, env, keychain })).toBe("plain");
  expect(await chooseKeyForm({ env, keychain })).toBe("passphrase");
  expect(await chooseKeyForm({ env: {}, keychain })).toBe("keychain");
  await expect(chooseKeyForm({ env: {}, keychain: none })).rejects.toMatchObject({
    code: "keyring",
    next: expect.stringContaining("--insecure-key-file"),
  });
});

test("[IFC4] under a passphrase the keys are unreadable without it, and a wrong one is said to be wrong", async () => {
  await storeSecrets(suite, place(), "passphrase", secrets, passphrase("right"));
  const stored = readFileSync(join(folder, "keys"));
  for (const secret of [secrets.seeds.sign, secrets.seeds.box, secrets.local])
    expect(stored.includes(Buffer.from(secret))).toBe(false);
  expect(await storedForm(suite, place(), { keychain: none })).toBe("passphrase");
  expect(await loadSecrets(suite, place(), "passphrase", passphrase("right"))).toEqual(secrets);
  expect(await codeOf(loadSecrets(suite, place(), "passphrase", passphrase("wrong")))).toBe("keyring");
  expect(await codeOf(loadSecrets(suite, place(), "passphrase", { env: {} }))).toBe("keyring");
  stored[40] = (stored[40] as number) ^ 1;
  writeFileSync(join(folder, "keys"), stored);
  expect(await codeOf(loadSecrets(suite, place(), "passphrase", passphrase("right")))).toBe("keyring");
  rmSync(join(folder, "keys"));
  expect(await codeOf(loadSecrets(suite, place(), "passphrase", passphrase("right")))).toBe("key-missing");
});

test("[IFC4] a plain file is private, and refused once others can read it", async () => {
  await storeSecrets(suite, place(), "plain", secrets, {});
  expect(statSync(join(folder, "keys")).mode & 0o777).toBe(0o600);
  expect(await loadSecrets(suite, place(), "plain", {})).toEqual(secrets);
  // A plain file in place of a sealed one is not taken for it.
  expect(await codeOf(loadSecrets(suite, place(), "passphrase", passphrase("x")))).toBe("keyring");
  chmodSync(join(folder, "keys"), 0o640);
  expect(await codeOf(loadSecrets(suite, place(), "plain", {}))).toBe("keyring");
});

test("[IFC4] a keychain is used only after it has proven itself", async () => {
  const { load, held } = fakePackage();
  const keychain = (): Promise<OpenedKeychain> => openKeychain(bus, load);
  await storeSecrets(suite, place(), "keychain", secrets, { keychain });
  expect([...held.keys()]).toEqual(["tidelock/home/vault"]);
  expect(existsSync(join(folder, "keys"))).toBe(false);
  expect(await storedForm(suite, place(), { keychain })).toBe("keychain");
  expect(await loadSecrets(suite, place(), "keychain", { keychain })).toEqual(secrets);
  held.clear();
  expect(await codeOf(loadSecrets(suite, place(), "keychain", { keychain }))).toBe("key-missing");
  for (const refuses of ["absent", "forgets"] as const)
    expect((await openKeychain(bus, fakePackage(refuses).load)).ok).toBe(false);
  if (process.platform === "linux") expect((await openKeychain({}, load)).ok).toBe(false);
});
