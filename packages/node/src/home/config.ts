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

export interface LimitConfig {
  /** Bytes a second that content may take on its way out, and in; no limit where absent. */
  readonly up?: number;
  readonly down?: number;
  /** Full hours in which they hold, `8-18,22-24`; at all hours where absent. */
  readonly schedule?: string;
}

export interface HomeConfig {
  /** One for now; a home may come to hold several. */
  readonly vaults: readonly VaultConfig[];
  readonly limit?: LimitConfig;
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
  const limit = table["limit"] === undefined ? {} : { limit: parseLimit(paths, table["limit"]) };
  return { vaults: list.map((one: unknown) => parseVault(paths, one)), ...limit };
}

export function writeConfig(paths: HomePaths, { vaults, limit }: HomeConfig): void {
  const head = "# Tidelock: the vault of this home. Written by `tidelock init` and `tidelock join`.\n\n";
  writeWhole(
    paths.config,
    `${head}${stringify({ vault: vaults, ...(limit === undefined ? {} : { limit }) })}\n`,
  );
}

function parseVault(paths: HomePaths, one: unknown): VaultConfig {
  const { id, remote, keys } = (one ?? {}) as Record<string, unknown>;
  if (typeof id !== "string" || !/^[0-9a-f]{64}$/.test(id)) throw broken(paths);
  if (typeof keys !== "string" || !forms.includes(keys)) throw broken(paths);
  if (remote !== undefined && typeof remote !== "string") throw broken(paths);
  return { id, keys: keys as KeyForm, ...(remote === undefined ? {} : { remote }) };
}

function parseLimit(paths: HomePaths, one: unknown): LimitConfig {
  const { up, down, schedule } = (one ?? {}) as Record<string, unknown>;
  for (const rate of [up, down])
    if (rate !== undefined && !(typeof rate === "number" && Number.isSafeInteger(rate) && rate > 0))
      throw broken(paths);
  if (schedule !== undefined && (typeof schedule !== "string" || hoursOf(schedule) === undefined))
    throw broken(paths);
  return {
    ...(typeof up === "number" ? { up } : {}),
    ...(typeof down === "number" ? { down } : {}),
    ...(typeof schedule === "string" ? { schedule } : {}),
  };
}

/** Of `8-18,22-6`: from one full hour to another; undefined where it makes no sense. */
export function hoursOf(schedule: string): readonly (readonly [number, number])[] | undefined {
  const spans = schedule.split(",").map((one) => {
    const [, from = "", to = ""] = /^(\d{1,2})-(\d{1,2})$/.exec(one.trim()) ?? [];
    return from === "" ? undefined : ([Number(from), Number(to)] as const);
  });
  const sound = spans.filter(
    (span) => span !== undefined && span[0] < 24 && span[1] <= 24 && span[0] !== span[1],
  );
  return sound.length === spans.length ? (sound as (readonly [number, number])[]) : undefined;
}

function broken(paths: HomePaths): TidelockError {
  return new TidelockError("usage", {
    why: `${paths.config} does not describe a vault`,
    next: "repair it, or move it away and join again",
  });
}
