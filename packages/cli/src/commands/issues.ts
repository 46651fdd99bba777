/** `issues`: what a person should know. */
import { withVault } from "@tidelock/node/daemon/connect";
import type { Issue } from "@tidelock/node/vault/issues";
import type { Context } from "../context.ts";

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
