/** `history`, `why`, `conflicts ls`: what happened to edits. */
import { withVault } from "@tidelock/node/daemon/connect";
import type { ConflictSideView } from "@tidelock/node/vault/rows-view";
import type { Context } from "../context.ts";
import { columns } from "../output.ts";
import { fileConflicts, fileHistory, kindOf } from "./past.ts";

export async function history(
  ctx: Context,
  options: Record<string, unknown>,
  object: string,
): Promise<undefined> {
  if (kindOf(options) === "files") return fileHistory(ctx, object);
  const found = await withVault(ctx.connect("history"), (vault) => vault.history({ object }));
  ctx.out.data("HistoryList", found, () =>
    found.versions.flatMap((v) => [
      columns([[String(v.seq), v.time, v.deviceName ?? `device ${v.device}`, v.op]])[0] ?? "",
      ...v.cells.map(
        (c) => `    ${c.column}: ${show(c.before)} -> ${show(c.after)}${c.won ? "" : "   (lost, kept here)"}`,
      ),
    ]),
  );
}

export async function why(
  ctx: Context,
  _options: Record<string, unknown>,
  object: string,
): Promise<undefined> {
  const found = await withVault(ctx.connect("why"), (vault) => vault.why({ object }));
  ctx.out.data("Why", found, () => [
    `${found.table}/${show(found.key)}${found.alive ? "" : " is deleted"}`,
    ...columns(
      found.cells.map((c) => [
        `  ${c.column}`,
        show(c.value),
        `entry ${c.seq}`,
        c.time,
        c.deviceName ?? `device ${c.device}`,
        c.rule,
      ]),
    ),
    ...found.without.map((w) => `  entry ${w.seq} has no effect here: ${w.reason}`),
  ]);
}

export async function conflicts(ctx: Context, options: Record<string, unknown>): Promise<undefined> {
  if (kindOf(options) === "files") return fileConflicts(ctx, options["all"] === true);
  const list = await withVault(ctx.connect("conflicts"), (vault) =>
    vault.conflicts({ all: options["all"] === true }),
  );
  ctx.out.data("ConflictList", { conflicts: list }, () =>
    list.length === 0
      ? ["no conflicts"]
      : list.flatMap((c) => [
          `${c.id}  ${c.table}/${show(c.key)}  ${c.reason}  ${c.state}`,
          `    holds: ${side(c.winner)}`,
          `    lost:  ${side(c.loser)}`,
        ]),
  );
}

function side(s: ConflictSideView): string {
  const who = s.deviceName ?? `device ${s.device}`;
  const what =
    s.cells === undefined
      ? "deleted"
      : Object.entries(s.cells)
          .map(([k, v]) => `${k}=${show(v)}`)
          .join(" ");
  return `${who}${s.time === undefined ? "" : `, ${s.time}`}: ${what}`;
}

function show(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : JSON.stringify(value);
}
