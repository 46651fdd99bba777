/** `sync`: both ways, now. */
import { withVault } from "@tidelock/node/daemon/connect";
import type { SyncReport } from "@tidelock/node/vault/session";
import type { Context } from "../context.ts";

export async function sync(ctx: Context, options: Record<string, unknown>): Promise<number | undefined> {
  const wait = options["wait"] === true;
  ctx.out.progress("syncing …");
  const { timeoutMs } = ctx;
  const wish = timeoutMs === undefined ? { wait } : { wait, timeoutMs };
  return told(ctx, await withVault(ctx.connect("sync", { databases: true }), (vault) => vault.sync(wish)));
}

export function told(ctx: Context, done: SyncReport): number | undefined {
  ctx.out.data("SyncResult", done, () => [
    done.pendingUp + done.pendingDown === 0
      ? `Synced: entry ${done.head}`
      : `Synced: entry ${done.head}; ${done.pendingUp} edits without a verdict, ${done.pendingDown} changes to show`,
  ]);
  if (done.paused > 0)
    ctx.out.warn(
      `${done.paused} of your databases and folders did not take part: tidelock db ls, tidelock drive folders`,
    );
  if (done.rejected > 0)
    ctx.out.warn(`The vault did not take ${done.rejected} of your edits: tidelock queue ls`);
  return done.paused + done.rejected > 0 ? 3 : undefined;
}
