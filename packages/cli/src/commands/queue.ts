/** `queue`: edits without a verdict, and those that the vault did not take. */
import { TidelockError } from "@tidelock/core/errors";
import { withVault } from "@tidelock/node/daemon/connect";
import type { QueueItem } from "@tidelock/node/vault/queue";
import { agreed } from "../agreed.ts";
import type { Context } from "../context.ts";
import { columns } from "../output.ts";

export async function ls(ctx: Context): Promise<undefined> {
  const items = await withVault(ctx.connect("queue ls"), (vault) => vault.queue());
  ctx.out.data("QueueList", { items }, () =>
    items.length === 0
      ? ["nothing waits"]
      : columns(
          items.map((i) => [
            String(i.id),
            i.time,
            i.state,
            i.cause,
            i.nextTry === undefined ? tried(i) : `again at ${i.nextTry}`,
            i.summary,
          ]),
        ),
  );
  if (items.some((i) => i.state === "rejected"))
    ctx.out.note("rejected: tidelock queue retry ID, queue save ID, or queue drop ID");
}

export async function retry(
  ctx: Context,
  _options: Record<string, unknown>,
  text: string,
): Promise<undefined> {
  const id = number(text);
  const done = await withVault(ctx.connect("queue retry", { databases: true }), (vault) =>
    vault.retryEdit({ id }),
  );
  ctx.out.data("QueueActed", done, () => [
    done.state === "accepted"
      ? "the vault has taken it"
      : "it waits again; it goes when the remote can be reached: tidelock sync --wait",
  ]);
}

export async function save(
  ctx: Context,
  _options: Record<string, unknown>,
  text: string,
): Promise<undefined> {
  const id = number(text);
  const done = await withVault(ctx.connect("queue save"), (vault) => vault.saveEdit({ id }));
  ctx.out.data("QueueActed", done, () => [done.path ?? ""]);
}

export async function drop(
  ctx: Context,
  _options: Record<string, unknown>,
  text: string,
): Promise<undefined> {
  const id = number(text);
  const items = await withVault(ctx.connect("queue drop"), (vault) => vault.queue());
  const item = items.find((one) => one.id === id);
  if (item === undefined)
    throw new TidelockError("not-found", {
      why: "no edit of this number waits or was refused",
      next: "tidelock queue ls",
    });
  await agreed(ctx, {
    would: `give up edit ${id} (${item.summary})`,
    text: `Gives up edit ${id}: ${item.summary}. A copy is kept in the home; no device gets it.`,
    next: "tidelock queue ls",
  });
  const done = await withVault(ctx.connect("queue drop", { databases: true }), (vault) =>
    vault.dropEdit({ id }),
  );
  ctx.out.data("QueueActed", done, () => [`given up; a copy lies in ${done.path ?? ""}`]);
}

function tried(item: QueueItem): string {
  return item.state === "rejected" ? "at your word" : "with the next sync";
}

function number(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new TidelockError("usage", { why: "an edit is named by its number", next: "tidelock queue ls" });
}
