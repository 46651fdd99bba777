/** `invite`: a code that lets another person in, once. */
import { withVault } from "@tidelock/node/daemon/connect";
import type { Context } from "../context.ts";
import { duration } from "../duration.ts";
import { columns } from "../output.ts";

type Options = Record<string, unknown>;

export async function create(ctx: Context, options: Options): Promise<undefined> {
  const { role, ttl } = options;
  const wish = {
    role: String(role),
    ...(typeof ttl === "string"
      ? { lifeMs: duration(ttl, "--ttl wants a number with s, m, h or d", "--ttl 7d") }
      : {}),
  };
  const made = await withVault(ctx.connect("invite"), (vault) => vault.invite(wish));
  ctx.out.data("Invite", made, () => [made.code]);
  ctx.out.note(`Whoever has this code comes in once, as ${made.role}, until ${made.expires}.`);
  ctx.out.note("Hand it over in private. There: tidelock join --code, and paste it");
  ctx.out.note("A device of an admin must be at work then: tidelock daemon run, or tidelock invite admit");
}

export async function ls(ctx: Context): Promise<undefined> {
  const invites = await withVault(ctx.connect("invite ls"), (vault) => vault.invites());
  ctx.out.data("InviteList", { invites }, () =>
    invites.length === 0
      ? ["no open invites"]
      : columns(
          invites.map((i) => [
            i.id,
            i.role,
            `until ${i.expires}`,
            i.known ? "" : "made before this device came",
          ]),
        ),
  );
}

export async function revoke(ctx: Context, _options: Options, id: string): Promise<undefined> {
  const gone = await withVault(ctx.connect("invite revoke"), (vault) => vault.revokeInvite({ id }));
  ctx.out.data("InviteList", { invites: [gone] }, () => [`${gone.id} lets nobody in any more`]);
}

export async function admit(ctx: Context): Promise<undefined> {
  const admitted = await withVault(ctx.connect("invite admit"), (vault) => vault.admit());
  ctx.out.data("Admitted", { admitted }, () =>
    admitted.length === 0
      ? ["nobody has answered yet"]
      : admitted.map((a) => `${a.name} is in, as ${a.role}`),
  );
}
