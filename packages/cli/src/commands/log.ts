/** `log`: the vault's history as it stands in the log; `log show SEQ` tells one entry whole. */
import { TidelockError } from "@tidelock/core/errors";
import { withVault } from "@tidelock/node/daemon/connect";
import type { LogChange, LogEntry } from "@tidelock/node/vault/log-view";
import type { Context } from "../context.ts";
import { columns } from "../output.ts";

export async function log(
  ctx: Context,
  options: Record<string, unknown>,
  show?: string,
  seq?: string,
): Promise<undefined> {
  if (show === "show") return one(ctx, number("SEQ", seq));
  if (show !== undefined)
    throw new TidelockError("usage", {
      why: `log knows no ${show}`,
      next: "tidelock log, or tidelock log show SEQ",
    });
  const from = options["from"] === undefined ? {} : { from: number("--from", options["from"]) };
  const limit = number("--limit", options["limit"]);
  const entries = await withVault(ctx.connect("log"), (vault) => vault.log({ ...from, limit }));
  ctx.out.data("LogPage", { entries }, () =>
    columns(
      entries.map((e) => [
        String(e.seq),
        e.time ?? "-",
        e.deviceName ?? (e.device === undefined ? "-" : `device ${e.device}`),
        e.kind,
        e.verdict,
        e.summary,
      ]),
    ),
  );
}

async function one(ctx: Context, seq: number): Promise<undefined> {
  const entry = await withVault(ctx.connect("log"), (vault) => vault.entry({ seq }));
  ctx.out.data("LogEntry", { entry }, () => describe(entry));
}

function describe(e: LogEntry): string[] {
  const rows: [string, string | number | undefined][] = [
    ["entry", e.seq],
    ["received", e.time],
    ["device", e.deviceName ?? e.device],
    ["kind", e.kind],
    ["verdict", e.verdict],
    ["bytes", e.bytes],
    ["id", e.id],
    ["chain", e.chain],
    ["number of the device", e.deviceSeq],
    ["epoch", e.epoch],
    ["verified up to", e.anchor],
    ["run", e.run],
    ["records", e.records?.join(", ")],
  ];
  const head = columns(rows.flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])));
  return [...head, ...(e.content ?? []).map(changeLine)];
}

function changeLine(c: LogChange): string {
  const key = c.key === undefined ? "" : `/${JSON.stringify(c.key)}`;
  const cells = Object.entries(c.cells ?? {}).map(([column, value]) => `${column}=${JSON.stringify(value)}`);
  return `  ${c.op} ${c.table}${key}${cells.length > 0 ? `  ${cells.join(" ")}` : ""}`;
}

function number(what: string, value: unknown): number {
  const n = Number(value);
  if (Number.isSafeInteger(n) && n > 0) return n;
  throw new TidelockError("usage", { why: `${what} wants a number above 0`, next: "tidelock help log" });
}
