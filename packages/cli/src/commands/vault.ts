/** `vault`: what the vault says of itself to all its devices. */
import { TidelockError } from "@tidelock/core/errors";
import { withVault } from "@tidelock/node/daemon/connect";
import type { VaultSettings } from "@tidelock/node/vault/settings";
import { bytesIn, bytesOf } from "../bytes.ts";
import type { Context } from "../context.ts";
import { columns } from "../output.ts";

type Options = Record<string, unknown>;

const EXAMPLE = "tidelock vault set maxFileSize 10GB";

export async function show(ctx: Context): Promise<undefined> {
  const found = await withVault(ctx.connect("vault show"), (vault) => vault.settings());
  ctx.out.data("VaultSettings", found, () => describe(found));
}

export async function set(ctx: Context, _options: Options, key: string, value: string): Promise<undefined> {
  if (key !== "maxFileSize")
    throw new TidelockError("usage", { why: "the vault has no such setting", next: EXAMPLE });
  const wish = { maxFileSize: bytesIn(value, key, EXAMPLE) };
  const done = await withVault(ctx.connect("vault set"), (vault) => vault.setSettings(wish));
  ctx.out.data("VaultSettings", done, () => [
    ...describe(done),
    ...(done.state === "accepted" ? [] : ["kept here, and sent when the remote can be reached"]),
  ]);
}

function describe({ name, maxFileSize }: VaultSettings): string[] {
  return columns([
    ["name", name],
    ["maxFileSize", `${bytesOf(maxFileSize)} a file`],
  ]);
}
