/** `config.toml`: what a person may read and edit. Written last at set-up, so its presence says that a vault is here. */
import { TidelockError } from "@tidelock/core/errors";
import { parse, stringify } from "smol-toml";
import { readWhole, writeWhole } from "./files.ts";
import type { KeyForm } from "./keys.ts";
import type { HomePaths } from "./paths.ts";

export interface VaultConfig {
  /** 64 hexadecimal digits. */
  readonly id: string;
  /** A `file:` URL; absent for a vault that lives on this device only. */
  readonly remote?: string;
  /** Where this device's keys rest. */
  readonly keys: KeyForm;
}

export interface HomeConfig {
  /** One for now; a home may come to hold several. */
  readonly vaults: readonly VaultConfig[];
}

const forms: readonly string[] = ["keychain", "passphrase", "plain"] satisfies readonly KeyForm[];

export function readConfig(paths: HomePaths): HomeConfig {
  const bytes = readWhole(paths.config);
  if (bytes === undefined) return { vaults: [] };
  let table: Record<string, unknown>;
  try {
    table = parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new TidelockError("usage", { why: `${paths.config} is not valid TOML`, next: "repair it", cause });
  }
  const list = table["vault"] ?? [];
  if (!Array.isArray(list)) throw broken(paths);
  return { vaults: list.map((one: unknown) => parseVault(paths, one)) };
}

export function writeConfig(paths: HomePaths, config: HomeConfig): void {
  const head = "# Tidelock: the vault of this home. Written by `tidelock init` and `tidelock join`.\n\n";
  writeWhole(paths.config, `${head}${stringify({ vault: config.vaults })}\n`);
}

function parseVault(paths: HomePaths, one: unknown): VaultConfig {
  const { id, remote, keys } = (one ?? {}) as Record<string, unknown>;
  if (typeof id !== "string" || !/^[0-9a-f]{64}$/.test(id)) throw broken(paths);
  if (typeof keys !== "string" || !forms.includes(keys)) throw broken(paths);
  if (remote !== undefined && typeof remote !== "string") throw broken(paths);
  return { id, keys: keys as KeyForm, ...(remote === undefined ? {} : { remote }) };
}

function broken(paths: HomePaths): TidelockError {
  return new TidelockError("usage", {
    why: `${paths.config} does not describe a vault`,
    next: "repair it, or move it away and join again",
  });
}
