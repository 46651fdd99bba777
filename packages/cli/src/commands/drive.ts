/** `drive`: files of the vault by their paths, without a folder of this machine. */
import { randomBytes } from "node:crypto";
import { createReadStream, rmSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { withVault } from "@tidelock/node/daemon/connect";
import type { FileActed, FileKept, FileView } from "@tidelock/node/vault/drive";
import type { TransferItem } from "@tidelock/node/vault/moving";
import { agreed } from "../agreed.ts";
import { withBar } from "../bar.ts";
import type { Context } from "../context.ts";
import { columns } from "../output.ts";

type Options = Record<string, unknown>;

export async function ls(ctx: Context, _options: Options, path = ""): Promise<undefined> {
  const items = await withVault(ctx.connect("drive ls"), (vault) => vault.files({ path }));
  ctx.out.data("DriveList", { items }, () =>
    items.length === 0 ? ["nothing is there"] : columns(items.map((item) => lineOf(item))),
  );
}

export async function put(ctx: Context, _options: Options, from: string, path = ""): Promise<undefined> {
  acted(
    ctx,
    await withVault(ctx.connect("drive put"), (vault) => {
      const mine = ({ direction, name }: TransferItem): boolean =>
        direction === "up" && (name === path || name.endsWith(basename(from)));
      return withBar(ctx, vault, mine, vault.putFile({ from: resolve(from), path }));
    }),
  );
}

export async function get(ctx: Context, options: Options, path: string, to?: string): Promise<undefined> {
  const file = resolve(to ?? basename(path));
  await withVault(ctx.connect("drive get"), (vault) => {
    const mine = ({ direction, name }: TransferItem): boolean => direction === "down" && name === path;
    return withBar(ctx, vault, mine, vault.getFile({ path, to: file, ...versionIn(options) }));
  });
  ctx.out.data("DriveActed", { path: file, state: "written" }, () => [file]);
}

function versionIn({ at }: Options): { readonly revision?: string } {
  return typeof at === "string" ? { revision: at } : {};
}

export async function cat(ctx: Context, options: Options, path: string): Promise<undefined> {
  // Whole and checked before its first byte is shown.
  const file = join(ctx.paths.data, `cat-${randomBytes(8).toString("hex")}`);
  try {
    await withVault(ctx.connect("drive cat"), (vault) =>
      vault.getFile({ path, to: file, ...versionIn(options) }),
    );
    await pipeline(createReadStream(file), ctx.streams.stdout, { end: false });
  } finally {
    rmSync(file, { force: true });
  }
}

export async function mkdir(ctx: Context, _options: Options, path: string): Promise<undefined> {
  acted(ctx, await withVault(ctx.connect("drive mkdir"), (vault) => vault.makeFolder({ path })));
}

export async function mv(ctx: Context, _options: Options, from: string, to: string): Promise<undefined> {
  acted(ctx, await withVault(ctx.connect("drive mv"), (vault) => vault.moveFile({ from, to })));
}

export async function pin(ctx: Context, _options: Options, path: string): Promise<undefined> {
  kept(ctx, await withVault(ctx.connect("drive pin"), (vault) => vault.pinFile({ path })));
}

export async function unpin(ctx: Context, _options: Options, path: string): Promise<undefined> {
  kept(ctx, await withVault(ctx.connect("drive unpin"), (vault) => vault.unpinFile({ path })));
}

export async function free(ctx: Context, _options: Options, path: string): Promise<undefined> {
  kept(ctx, await withVault(ctx.connect("drive free"), (vault) => vault.freeFile({ path })));
}

export async function stateHash(ctx: Context): Promise<undefined> {
  const state = await withVault(ctx.connect("drive state-hash"), (vault) => vault.stateHash());
  ctx.out.data("StateHash", { ...state }, () => [`${state.seq} ${state.hash}`]);
}

function kept(ctx: Context, done: FileKept): void {
  ctx.out.data("DriveActed", done, () => [done.path]);
}

export async function remove(ctx: Context, _options: Options, path: string): Promise<undefined> {
  const items = await withVault(ctx.connect("drive delete"), (vault) => vault.files({ path }));
  const [first] = items;
  const isFolder = items.length !== 1 || first?.path !== path.replace(/^\/+|\/+$/g, "");
  if (isFolder && items.length > 0)
    await agreed(ctx, {
      would: `delete ${path} with what lies in it`,
      text: `Deletes ${path} and what lies in it on every device.`,
      next: "tidelock drive ls",
    });
  acted(ctx, await withVault(ctx.connect("drive delete"), (vault) => vault.removeFile({ path })));
}

function acted(ctx: Context, done: FileActed): void {
  ctx.out.data("DriveActed", done, () => [
    done.state === "accepted"
      ? done.path
      : `${done.path}: kept here, and sent when the remote can be reached`,
  ]);
}

function lineOf({ path, kind, size, mtime, target, state }: FileView): string[] {
  const what = kind === "dir" ? "/" : kind === "link" ? ` -> ${target ?? ""}` : "";
  const where = state === "excluded" ? "  (in no folder here)" : "";
  return [size === undefined ? "-" : String(size), mtime ?? "-", `${path}${what}${where}`];
}
