/** `issues`, `device ls`: what a person should know, and which devices there are. */
import { withVault } from "@tidelock/node/daemon/connect";
import type { Issue } from "@tidelock/node/vault/issues";
import type { Context } from "../context.ts";
import { columns } from "../output.ts";

export async function ls(ctx: Context, options: Record<string, unknown>): Promise<undefined> {
  const all = options["all"] === true;
  show(ctx, await withVault(ctx.connect("issues"), (vault) => vault.issues({ all })));
}

export async function dismiss(
  ctx: Context,
  _options: Record<string, unknown>,
  code: string,
): Promise<undefined> {
  show(ctx, await withVault(ctx.connect("issues"), (vault) => vault.dismiss({ code })));
}

function show(ctx: Context, issues: readonly Issue[]): void {
  ctx.out.data("IssueList", { issues }, () =>
    issues.length === 0
      ? ["no issues"]
      : issues.flatMap((issue) => [
          `${issue.code}  since ${issue.since}${issue.dismissed ? "  (dismissed)" : ""}`,
          `    why:  ${issue.why}`,
          `    next: ${issue.next}`,
        ]),
  );
}

export async function devices(ctx: Context): Promise<undefined> {
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
