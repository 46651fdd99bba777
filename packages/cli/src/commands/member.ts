/** `member`: who is in the vault, what each may do, and changing that. */
import { withVault } from "@tidelock/node/daemon/connect";
import type { MemberActed } from "@tidelock/node/vault/members";
import { agreed } from "../agreed.ts";
import type { Context } from "../context.ts";
import { columns } from "../output.ts";

type Options = Record<string, unknown>;

export async function ls(ctx: Context): Promise<undefined> {
  const members = await withVault(ctx.connect("member ls"), (vault) => vault.members());
  ctx.out.data("MemberList", { members }, () =>
    columns(
      members.map((m) => [
        String(m.member),
        m.name === "" ? "(no name)" : m.name,
        m.role,
        m.removed === undefined
          ? m.devices === 1
            ? "1 device"
            : `${m.devices} devices`
          : `removed ${m.removed}`,
        m.own ? "you" : "",
      ]),
    ),
  );
}

export async function role(
  ctx: Context,
  _options: Options,
  wanted: string,
  given: string,
): Promise<undefined> {
  const done = await withVault(ctx.connect("member role"), (vault) => vault.setRole({ wanted, role: given }));
  tell(ctx, done, `member ${done.member} is ${given} now`);
}

export async function rm(ctx: Context, _options: Options, wanted: string): Promise<undefined> {
  const meant = await withVault(ctx.connect("member rm"), (vault) => vault.memberNamed({ wanted }));
  const { member, name, devices } = meant;
  await agreed(ctx, {
    would: `take member ${member} (${name}) with ${devices} devices out of the vault`,
    text: `Takes member ${member} (${name}) with ${devices} devices out of the vault. They keep what they have.`,
    next: "tidelock member ls",
  });
  // By the number: between the question and the answer somebody else may have taken the name.
  const done = await withVault(ctx.connect("member rm"), (vault) =>
    vault.removeMember({ wanted: String(member) }),
  );
  tell(ctx, done, `member ${member} (${name}) reads nothing that is written from now on`);
}

export async function transfer(ctx: Context, _options: Options, wanted: string): Promise<undefined> {
  const { member, name } = await withVault(ctx.connect("member transfer"), (vault) =>
    vault.memberNamed({ wanted }),
  );
  await agreed(ctx, {
    would: `make member ${member} (${name}) the owner`,
    text: `Makes member ${member} (${name}) the owner. You become an admin, and only the new owner can undo it.`,
    next: "tidelock member ls",
  });
  const done = await withVault(ctx.connect("member transfer"), (vault) =>
    vault.transferVault({ wanted: String(member) }),
  );
  tell(ctx, done, `member ${member} (${name}) is the owner now`);
}

function tell(ctx: Context, done: MemberActed, text: string): void {
  ctx.out.data("MemberActed", done, () => [
    done.state === "accepted"
      ? text
      : "kept here; it goes when the remote can be reached: tidelock sync --wait",
  ]);
}
