/** `device`: which there are, what this one is called, and taking one out. */
import { TidelockError } from "@tidelock/core/errors";
import { withVault } from "@tidelock/node/daemon/connect";
import type { DeviceActed } from "@tidelock/node/vault/devices";
import type { Context } from "../context.ts";
import { columns } from "../output.ts";
import { ask } from "../secrets.ts";

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

export async function rm(
  ctx: Context,
  _options: Record<string, unknown>,
  wanted: string,
): Promise<undefined> {
  const meant = await withVault(ctx.connect("device rm"), (vault) => vault.deviceNamed({ wanted }));
  const { device, name } = meant;
  await agreed(ctx, `device ${device} (${name})`);
  // By its number: between the question and the answer another one may have taken its name.
  const done = await withVault(ctx.connect("device rm"), (vault) =>
    vault.removeDevice({ wanted: String(device) }),
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

async function agreed(ctx: Context, what: string): Promise<void> {
  if (ctx.yes) return;
  if (!ctx.interactive)
    throw new TidelockError("usage", {
      why: `this would take ${what} out of the vault, for good`,
      next: "add --yes",
    });
  ctx.out.warn(`Takes ${what} out of the vault, for good. It can only join anew, by the words.`);
  const answer = await ask(ctx, "Go on? [y/N] ");
  if (!/^y(es)?$/i.test(answer.trim()))
    throw new TidelockError("cancelled", { why: "nothing was changed", next: "tidelock device ls" });
}
