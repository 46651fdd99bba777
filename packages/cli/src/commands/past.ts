/** Files as they were: `history`, `restore`, `trash`, and their conflicts. */
import { TidelockError } from "@tidelock/core/errors";
import { withVault } from "@tidelock/node/daemon/connect";
import type { FileConflict, FileSide } from "@tidelock/node/vault/drive-past";
import type { Context } from "../context.ts";
import { columns } from "../output.ts";

type Options = Record<string, unknown>;

const SHORT = 12;

export function kindOf({ kind }: Options): "rows" | "files" {
  if (kind === "files" || kind === "rows" || kind === undefined) return kind ?? "rows";
  throw new TidelockError("usage", { why: "--kind is rows or files", next: "--kind files" });
}

export async function fileHistory(ctx: Context, path: string): Promise<undefined> {
  const found = await withVault(ctx.connect("history"), (vault) => vault.fileHistory({ path }));
  ctx.out.data("FileHistory", found, () =>
    columns(
      found.versions.map((v) => [
        v.revision.slice(0, SHORT),
        v.time,
        v.deviceName ?? `device ${v.device}`,
        `${v.size} B`,
        v.current ? "now" : "",
      ]),
    ),
  );
}

export async function restore(ctx: Context, options: Options, object: string): Promise<undefined> {
  const [at, to] = [options["at"], options["to"]] as (string | undefined)[];
  const wish = { object, ...(at === undefined ? {} : { revision: at }), ...(to === undefined ? {} : { to }) };
  const done = await withVault(ctx.connect("restore"), (vault) => vault.restoreFile(wish));
  ctx.out.data("DriveActed", done, () => [
    done.state === "accepted"
      ? done.path
      : `${done.path}: kept here, and sent when the remote can be reached`,
  ]);
}

export async function trash(ctx: Context): Promise<undefined> {
  const items = await withVault(ctx.connect("trash"), (vault) => vault.trash());
  ctx.out.data("TrashList", { items }, () =>
    items.length === 0
      ? ["nothing was deleted"]
      : columns(items.map((i) => [i.id, i.size === undefined ? "-" : String(i.size), i.path])),
  );
}

export async function fileConflicts(ctx: Context, all: boolean): Promise<undefined> {
  const conflicts = await withVault(ctx.connect("conflicts"), (vault) => vault.fileConflicts({ all }));
  ctx.out.data("FileConflictList", { conflicts }, () =>
    conflicts.length === 0 ? ["no conflicts"] : conflicts.flatMap(linesOf),
  );
}

export async function settle(ctx: Context, _options: Options, id: string, pick: string): Promise<undefined> {
  const done = await withVault(ctx.connect("conflicts settle"), (vault) =>
    vault.settleConflict({ id, pick }),
  );
  ctx.out.data("FileSettled", done, () => linesOf(done));
}

function linesOf({ id, state, current, other }: FileConflict): string[] {
  return [`${id}  ${state}`, `    current: ${side(current)}`, `    other:   ${side(other)}`];
}

function side({ path, deviceName, device, time, size }: FileSide): string {
  return `${path}  ${size} B  ${deviceName ?? `device ${device}`}  ${time}`;
}
