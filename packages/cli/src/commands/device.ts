/** `device`: which there are, what this one is called, and taking one out. */
import { withVault } from "@tidelock/node/daemon/connect";
import type { DeviceActed } from "@tidelock/node/vault/devices";
import { agreed } from "../agreed.ts";
import type { Context } from "../context.ts";
import { columns } from "../output.ts";

export async function ls(ctx: Context): Promise<undefined> {
  const list = await withVault(ctx.connect("device ls"), (vault) => vault.devices());
  ctx.out.data("DeviceList", { devices: list }, () =>
    columns(
      list.map((d) => [
        String(d.device),
        d.name,
        d.removed === undefined ? "" : `removed ${d.removed}`,
        d.own ? "this device" : d.lastSeen === undefined ? "not seen lately" : `last seen ${d.lastSeen}`,
      ]),
    ),
  );
}

export async function rename(
  ctx: Context,
  _options: Record<string, unknown>,
  name: string,
): Promise<undefined> {
  const done = await withVault(ctx.connect("device rename"), (vault) => vault.renameDevice({ name }));
  tell(ctx, done, `this device is called ${done.name}`);
}

export async function rm(ctx: Context, options: Record<string, unknown>, wanted: string): Promise<undefined> {
  const { certifiedSince } = options;
  const meant = await withVault(ctx.connect("device rm"), (vault) => vault.deviceNamed({ wanted }));
  const { device, name } = meant;
  const what = `device ${device} (${name})`;
  await agreed(ctx, {
    would: `take ${what} out of the vault, for good`,
    text: `Takes ${what} out of the vault, for good. It can only join anew, by the words.`,
    next: "tidelock device ls",
  });
  // By its number: between the question and the answer another one may have taken its name.
  const done = await withVault(ctx.connect("device rm"), (vault) =>
    vault.removeDevice({
      wanted: String(device),
      ...(typeof certifiedSince === "string" ? { certifiedSince } : {}),
    }),
  );
  tell(ctx, done, `device ${device} (${name}) reads nothing that is written from now on`);
  ctx.out.note(
    "What it has already stays on it. If it may be in wrong hands, so may what was written until now.",
  );
}

function tell(ctx: Context, done: DeviceActed, text: string): void {
  ctx.out.data("DeviceActed", done, () => [
    done.state === "accepted"
      ? text
      : "kept here; it goes when the remote can be reached: tidelock sync --wait",
  ]);
}
