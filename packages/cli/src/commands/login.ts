/** `login`: this device signs in at its server; a person who is not known there brings a token. */
import { withVault } from "@tidelock/node/daemon/connect";
import type { Context } from "../context.ts";
import { fromVariable } from "../secrets.ts";

export async function login(ctx: Context, options: Record<string, unknown>): Promise<undefined> {
  const { tokenFromEnv: variable } = options;
  const named = typeof variable === "string" ? fromVariable(ctx, variable, "--token-from-env") : undefined;
  const token = named ?? ctx.env["TIDELOCK_TOKEN"] ?? "";
  const done = await withVault(ctx.connect("login"), (vault) => vault.logIn(token === "" ? {} : { token }));
  ctx.out.data("Session", done, () => [`signed in at ${done.remote}`]);
}
