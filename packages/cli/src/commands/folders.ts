/** `drive add`, `rm`, `folders`, `scan`, `select`, `approve`: folders of this machine that are kept equal with the drive. */
import { resolve } from "node:path";
import { TidelockError } from "@tidelock/core/errors";
import { withVault } from "@tidelock/node/daemon/connect";
import type { FolderInfo } from "@tidelock/node/vault/folders";
import type { TransferList } from "@tidelock/node/vault/moving";
import { barOf } from "../bar.ts";
import type { Context } from "../context.ts";
import { columns } from "../output.ts";

type Options = Record<string, unknown>;

export async function add(ctx: Context, options: Options, dir: string): Promise<undefined> {
  ctx.out.progress("looking at the folder …");
  const wish = { path: pathOf(dir), force: options["force"] === true };
  const done = await withVault(connect(ctx, "drive add"), (vault) => vault.addFolder(wish));
  ctx.out.data("Folder", { folder: done }, () => describe(done));
}

export async function rm(ctx: Context, _options: Options, dir: string): Promise<undefined> {
  const done = await withVault(connect(ctx, "drive rm"), (vault) =>
    vault.removeFolder({ path: pathOf(dir) }),
  );
  ctx.out.data("Folder", { folder: done }, () => [
    `${done.path} is kept in step no more; what lies in it stays`,
  ]);
}

export async function ls(ctx: Context): Promise<undefined> {
  const { folders, transfers } = await withVault(connect(ctx, "drive folders"), async (vault) => ({
    folders: await vault.folders(),
    transfers: await vault.transfers(),
  }));
  show(ctx, folders, transfers);
}

export async function scan(ctx: Context, _options: Options, dir?: string): Promise<undefined> {
  ctx.out.progress("looking at everything …");
  const wish = dir === undefined ? {} : { path: pathOf(dir) };
  show(ctx, await withVault(connect(ctx, "drive scan"), (vault) => vault.scanFolder(wish)));
}

export async function approve(ctx: Context, _options: Options, dir: string): Promise<undefined> {
  const done = await withVault(connect(ctx, "drive approve"), (vault) =>
    vault.approveFolder({ path: pathOf(dir) }),
  );
  ctx.out.data("Approved", done, () => [`${done.approved} deletions go on`]);
}

export async function undo(ctx: Context, _options: Options, dir: string): Promise<undefined> {
  const done = await withVault(connect(ctx, "drive undo"), (vault) =>
    vault.undoFolder({ path: pathOf(dir) }),
  );
  ctx.out.data("Restored", done, () => [`${done.restored} items come back`]);
}

export async function select(ctx: Context, _options: Options, path: string): Promise<undefined> {
  await choose(ctx, "drive select", path, true);
}

export async function deselect(ctx: Context, _options: Options, path: string): Promise<undefined> {
  await choose(ctx, "drive deselect", path, false);
}

async function choose(ctx: Context, what: string, path: string, selected: boolean): Promise<void> {
  const wish = { path, at: pathOf(path), selected };
  show(ctx, await withVault(connect(ctx, what), (vault) => vault.selectFolder(wish)));
}

function connect(ctx: Context, what: string): ReturnType<Context["connect"]> {
  return ctx.connect(what, { databases: true });
}

/** An empty one is a variable that was not set, most likely. */
function pathOf(dir: string): string {
  if (dir === "") throw new TidelockError("usage", { why: "the path is empty", next: "name a folder" });
  return resolve(dir);
}

function show(ctx: Context, folders: readonly FolderInfo[], transfers?: TransferList): void {
  const { items = [], up, down } = transfers ?? {};
  ctx.out.data("FolderList", { folders, transfers: items }, () => [
    ...(folders.length === 0 ? ["no folder is kept in step"] : folders.flatMap(describe)),
    ...items.map((item) => {
      const sums = { up, down }[item.direction] ?? item;
      return `  ${item.state}: ${item.name}: ${barOf(item, sums)}`;
    }),
  ]);
}

function describe(folder: FolderInfo): string[] {
  const state = [
    `${folder.items} ${folder.items === 1 ? "item" : "items"}`,
    folder.state === "paused" ? `paused: ${folder.why ?? ""}` : folder.state,
    ...(folder.waiting > 0 ? [`${folder.waiting} changes to make`] : []),
    ...(folder.withheld > 0 ? [`${folder.withheld} deletions withheld`] : []),
  ];
  return [
    ...columns([[folder.path, state.join(", ")]]),
    ...folder.excluded.map((path) => `  not here: ${path === "" ? "the drive" : path}`),
    ...folder.selected.map((path) => `  here all the same: ${path}`),
    ...folder.aside.map(
      ({ code, count, path, why }) =>
        `  ${code}: ${count}${path === undefined ? "" : `, e.g. ${path}`}${why === undefined ? "" : `: ${why}`}`,
    ),
    ...(folder.next === undefined ? [] : [`  next: ${folder.next}`]),
  ];
}
