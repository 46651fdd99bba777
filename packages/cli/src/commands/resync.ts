/** `resync`: this device's copy made anew from the log. */
import { withVault } from "@tidelock/node/daemon/connect";
import type { Context } from "../context.ts";
import { told } from "./sync.ts";

export async function resync(ctx: Context): Promise<number | undefined> {
  ctx.out.progress("reading the log …");
  const { timeoutMs } = ctx;
  const wish = timeoutMs === undefined ? {} : { timeoutMs };
  return told(
    ctx,
    await withVault(ctx.connect("resync", { databases: true }), (vault) => vault.resync(wish)),
  );
}
