/** `db`: attach, detach, list, and let withheld deletions go. */
import { resolve } from "node:path";
import { TidelockError } from "@tidelock/core/errors";
import { withVault } from "@tidelock/node/daemon/connect";
import type { DatabaseInfo } from "@tidelock/node/vault/attachments";
import type { Context } from "../context.ts";
import { columns } from "../output.ts";

export async function attach(
  ctx: Context,
  options: Record<string, unknown>,
  path: string,
): Promise<undefined> {
  needPath(path);
  ctx.out.progress("attaching …");
  const wish = {
    path: resolve(path),
    ...list("tables", options["tables"]),
    ...list("natural", options["natural"]),
  };
  const done = await withVault(ctx.connect("db attach", { databases: true }), (vault) => vault.attach(wish));
  ctx.out.data("Attachment", { database: done }, () => describe(done));
  for (const note of done.notes) ctx.out.note(note);
}

export async function detach(
  ctx: Context,
  options: Record<string, unknown>,
  path: string,
): Promise<undefined> {
  needPath(path);
  const wish = { path: resolve(path), force: options["force"] === true };
  const done = await withVault(ctx.connect("db detach", { databases: true }), (vault) => vault.detach(wish));
  ctx.out.data("Attachment", { database: done }, () => [
    `detached: ${done.path} is as it was, its rows stay`,
  ]);
  for (const note of done.notes) ctx.out.warn(note);
}

export async function ls(ctx: Context): Promise<undefined> {
  const databases = await withVault(ctx.connect("db ls", { databases: true }), (vault) => vault.databases());
  ctx.out.data("AttachmentList", { databases }, () =>
    databases.length === 0 ? ["no database is attached"] : databases.flatMap(describe),
  );
}

export async function approve(
  ctx: Context,
  _options: Record<string, unknown>,
  path: string,
): Promise<undefined> {
  needPath(path);
  const done = await withVault(ctx.connect("db approve", { databases: true }), (vault) =>
    vault.approve({ path: resolve(path) }),
  );
  ctx.out.data("Approved", done, () => [`${done.approved} deletions go to the vault`]);
}

/** A variable that was not set, most likely. */
function needPath(path: string): void {
  if (path === "") throw new TidelockError("usage", { why: "the path is empty", next: "name a file" });
}

function describe(db: DatabaseInfo): string[] {
  const state = [
    `${db.tables.length} tables`,
    db.state === "paused" ? `paused: ${db.why ?? ""}` : db.state,
    ...(db.waiting > 0 ? [`${db.waiting} rows to show`] : []),
    ...(db.withheld > 0 ? [`${db.withheld} deletions withheld`] : []),
    ...(db.aside > 0 ? [`${db.aside} rows not in step`] : []),
  ];
  return [
    ...columns([[db.path, state.join(", ")]]),
    ...(db.next === undefined ? [] : [`  next: ${db.next}`]),
  ];
}

function list<K extends string>(key: K, value: unknown): { [P in K]?: string[] } {
  if (typeof value !== "string") return {};
  const names = value
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  return { [key]: names } as { [P in K]?: string[] };
}
