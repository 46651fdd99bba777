/** `verify`: reads everything this device holds again, and the remote's log beside it. */
import { errorKinds } from "@tidelock/core/errors";
import { withVault } from "@tidelock/node/daemon/connect";
import type { Context } from "../context.ts";
import { columns } from "../output.ts";

export async function verify(ctx: Context): Promise<number | undefined> {
  ctx.out.progress("verifying …");
  const report = await withVault(ctx.connect("verify"), (vault) => vault.verify());
  ctx.out.data("VerifyReport", { sound: report.ok, entries: report.entries, checks: report.checks }, () =>
    columns(report.checks.map((c) => [c.state, c.name, c.fact])),
  );
  const exits = report.checks.flatMap((c) =>
    c.state === "failed" && c.code !== undefined ? [errorKinds[c.code].exit] : [],
  );
  // An alarm outranks an unreachable remote, which outranks nothing.
  return exits.includes(17) ? 17 : exits[0];
}
