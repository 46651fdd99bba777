/**
 * The system's keychain, through an optional package and only after it has proven itself: written,
 * read back, deleted. On Linux it must be a Secret Service on the session bus, because what the
 * kernel's keyring holds is gone after a reboot.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { equalBytes } from "@tidelock/core/bytes/bytes";

export interface Keychain {
  get(name: string): Uint8Array | undefined;
  set(name: string, secret: Uint8Array): void;
  delete(name: string): void;
}

export type OpenedKeychain =
  | { readonly ok: true; readonly keychain: Keychain }
  | { readonly ok: false; readonly why: string };

const SERVICE = "tidelock";

export async function openKeychain(
  env: Readonly<Record<string, string | undefined>> = process.env,
  load: () => Promise<typeof import("@napi-rs/keyring")> = () => import("@napi-rs/keyring"),
): Promise<OpenedKeychain> {
  if (process.platform === "linux" && !hasSessionBus(env))
    return { ok: false, why: "there is no session bus" };
  try {
    const { Entry } = await load();
    const entry = (name: string): InstanceType<typeof Entry> =>
      new Entry(SERVICE, name, { linux: { store: "secret-service" } });
    const keychain: Keychain = {
      get: (name) => {
        const text = entry(name).getPassword();
        return text === null ? undefined : new Uint8Array(Buffer.from(text, "base64"));
      },
      set: (name, secret) => entry(name).setPassword(Buffer.from(secret).toString("base64")),
      delete: (name) => {
        entry(name).deletePassword();
      },
    };
    return proven(keychain)
      ? { ok: true, keychain }
      : { ok: false, why: "the keychain forgets what it is given" };
  } catch {
    // The package's message may name accounts and entries; that it refused is enough.
    return { ok: false, why: "the system's keychain is absent or locked" };
  }
}

function proven(keychain: Keychain): boolean {
  const name = `self-test-${randomBytes(8).toString("hex")}`;
  const secret = new Uint8Array(randomBytes(32));
  keychain.set(name, secret);
  const found = keychain.get(name);
  keychain.delete(name);
  return found !== undefined && equalBytes(found, secret);
}

function hasSessionBus(env: Readonly<Record<string, string | undefined>>): boolean {
  if ((env["DBUS_SESSION_BUS_ADDRESS"] ?? "") !== "") return true;
  const runtime = env["XDG_RUNTIME_DIR"] ?? "";
  return runtime !== "" && existsSync(join(runtime, "bus"));
}
