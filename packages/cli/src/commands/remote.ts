/** `remote limit`: how fast content may go to the remote and come from it, on this device alone. */
import { withVault } from "@tidelock/node/daemon/connect";
import type { LimitConfig } from "@tidelock/node/home/config";
import type { LimitWish } from "@tidelock/node/vault/limits";
import { bytesIn, bytesOf } from "../bytes.ts";
import type { Context } from "../context.ts";
import { columns } from "../output.ts";

type Options = Record<string, unknown>;

/** What is not said stays; without any it only shows. */
export async function limit(ctx: Context, options: Options): Promise<undefined> {
  const { up, down, schedule } = options;
  const wish: LimitWish = {
    ...(typeof up === "string" ? { up: rateOf(up, "--up") } : {}),
    ...(typeof down === "string" ? { down: rateOf(down, "--down") } : {}),
    ...(typeof schedule === "string" ? { schedule: schedule === "always" ? "" : schedule } : {}),
  };
  const found = await withVault(ctx.connect("remote limit"), (vault) =>
    Object.keys(wish).length === 0 ? vault.limits() : vault.setLimits(wish),
  );
  ctx.out.data("RemoteLimits", found, () => describe(found));
}

function rateOf(text: string, flag: string): number {
  return text === "off" ? 0 : bytesIn(text, flag, `tidelock remote limit ${flag} 500kB`);
}

function describe({ up, down, schedule }: LimitConfig): string[] {
  const rate = (one: number | undefined): string =>
    one === undefined ? "no limit" : `${bytesOf(one)} a second`;
  return columns([
    ["up", rate(up)],
    ["down", rate(down)],
    ["hours", schedule ?? "always"],
  ]);
}
