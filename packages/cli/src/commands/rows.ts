/** `history`, `why`, `conflicts ls`: what happened to edits. */
import { withVault } from "@tidelock/node/daemon/connect";
import type { FileConflict } from "@tidelock/node/vault/drive-conflicts";
import type { ConflictSideView, ConflictView } from "@tidelock/node/vault/rows-view";
import type { Context } from "../context.ts";
import { columns } from "../output.ts";
import { eitherKind, kindOf, linesOf, showHistory, showWhy } from "./past.ts";

export async function history(
  ctx: Context,
  options: Record<string, unknown>,
  object: string,
): Promise<undefined> {
  const either = await eitherKind(ctx.connect("history"), kindOf(options), {
    row: (vault) => vault.history({ object }),
    file: (vault) => vault.fileHistory({ path: object }),
  });
  if (either.kind === "files") return showHistory(ctx, either.found);
  const { found } = either;
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
  options: Record<string, unknown>,
  object: string,
): Promise<undefined> {
  const either = await eitherKind(ctx.connect("why"), kindOf(options), {
    row: (vault) => vault.why({ object }),
    file: (vault) => vault.fileWhy({ path: object }),
  });
  if (either.kind === "files") return showWhy(ctx, either.found);
  const { found } = either;
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

/** Of both kinds, unless one is said. */
export async function conflicts(ctx: Context, options: Record<string, unknown>): Promise<undefined> {
  const [kind, all] = [kindOf(options), options["all"] === true];
  const { rows, files } = await withVault(ctx.connect("conflicts"), async (vault) => ({
    rows: kind === "files" ? [] : await vault.conflicts({ all }),
    files: kind === "rows" ? [] : await vault.fileConflicts({ all }),
  }));
  const lines = (): string[] =>
    rows.length + files.length === 0 ? ["no conflicts"] : [...rows.flatMap(rowLines), ...fileLines(files)];
  if (kind === "files") ctx.out.data("FileConflictList", { conflicts: files }, lines);
  else ctx.out.data("ConflictList", { conflicts: rows, ...(kind === "rows" ? {} : { files }) }, lines);
}

function rowLines(c: ConflictView): string[] {
  return [
    `${c.id}  ${c.table}/${show(c.key)}  ${c.reason}  ${c.state}`,
    `    holds: ${side(c.winner)}`,
    `    lost:  ${side(c.loser)}`,
  ];
}

function fileLines(files: readonly FileConflict[]): string[] {
  const open = files.some(({ state }) => state === "open");
  return [
    ...files.flatMap(linesOf),
    ...(open
      ? [
          "what differs: tidelock conflicts show ID; to end one: tidelock conflicts settle ID keep-current|use-other|keep-both",
        ]
      : []),
  ];
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
