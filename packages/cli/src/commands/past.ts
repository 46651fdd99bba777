/** Files as they were: `history`, `why`, `restore`, `trash`, and their conflicts. */
import { TidelockError } from "@tidelock/core/errors";
import { withVault } from "@tidelock/node/daemon/connect";
import type { VaultService } from "@tidelock/node/daemon/service";
import type { FileConflict, FileConflictShown, FileSide } from "@tidelock/node/vault/drive-conflicts";
import type { FileHistory } from "@tidelock/node/vault/drive-past";
import type { FileCause, FileWhy } from "@tidelock/node/vault/drive-why";
import type { Context } from "../context.ts";
import { columns } from "../output.ts";

type Options = Record<string, unknown>;

const SHORT = 12;
const PERSON = 3;

export type Kind = "rows" | "files";

export function kindOf({ kind }: Options): Kind | undefined {
  if (kind === "files" || kind === "rows" || kind === undefined) return kind;
  throw new TidelockError("usage", { why: "--kind is rows or files", next: "--kind files" });
}

/** Of the kind that was said; else of a row, and of a file where there is no such row. */
export async function eitherKind<R, F>(
  connect: Parameters<typeof withVault>[0],
  kind: Kind | undefined,
  { row, file }: { row: (vault: VaultService) => Promise<R>; file: (vault: VaultService) => Promise<F> },
): Promise<{ readonly kind: "rows"; readonly found: R } | { readonly kind: "files"; readonly found: F }> {
  return withVault(connect, async (vault) => {
    if (kind === "rows") return { kind: "rows", found: await row(vault) };
    if (kind === "files") return { kind: "files", found: await file(vault) };
    try {
      return { kind: "rows", found: await row(vault) };
    } catch (noRow) {
      if (!isNone(noRow)) throw noRow;
      const found = await file(vault).catch((error: unknown) => {
        throw isNone(error) ? neither : error;
      });
      return { kind: "files", found };
    }
  });
}

function isNone(error: unknown): boolean {
  return error instanceof TidelockError && (error.code === "not-found" || error.code === "usage");
}

const neither = new TidelockError("not-found", {
  why: "there is no row TABLE/KEY and no file that is called so",
  next: "tidelock db ls, tidelock drive ls, tidelock trash",
});

export function showHistory(ctx: Context, found: FileHistory): undefined {
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

export function showWhy(ctx: Context, found: FileWhy): undefined {
  ctx.out.data("FileWhy", found, () => [
    `${found.path}${found.alive ? "" : " is deleted"}`,
    ...columns(found.parts.map((part) => [`  ${part.part}`, ...causeOf(part)])),
    ...(found.told.length === 0 ? [] : ["  and besides"]),
    ...columns(found.told.map((told) => [`  ${told.why}`, ...causeOf(told)])),
  ]);
}

function causeOf({ seq, time, device, deviceName, rule }: FileCause): string[] {
  return [seq === undefined ? "not sent yet" : `entry ${seq}`, time ?? "-", nameOf(deviceName, device), rule];
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
      : columns(
          items.map((i) => [
            i.id,
            i.time ?? "not sent yet",
            nameOf(i.deviceName, i.device),
            i.size === undefined ? "-" : `${i.size} B`,
            `${i.path}${i.kind === "dir" ? "/" : ""}`,
          ]),
        ),
  );
}

export async function show(ctx: Context, _options: Options, id: string): Promise<undefined> {
  const found = await withVault(ctx.connect("conflicts show"), (vault) => vault.showConflict({ id }));
  ctx.out.data("FileConflict", found, () => [...linesOf(found), ...previewOf(found)]);
}

export async function settle(
  ctx: Context,
  _options: Options,
  id: string,
  pick: string,
): Promise<number | undefined> {
  const done = await withVault(ctx.connect("conflicts settle"), (vault) =>
    vault.settleConflict({ id, pick }),
  );
  ctx.out.data("FileSettled", done, () => linesOf(done));
  if (done.state === pick || pick === "later") return undefined;
  ctx.out.warn(
    done.state === "open"
      ? "somebody went on with one of them meanwhile: look at both again, and settle then"
      : `it had ended already, by another device: ${done.state}`,
  );
  return PERSON;
}

export function linesOf({ id, state, current, other }: FileConflict): string[] {
  return [`${id}  ${state}`, `    current: ${side(current)}`, `    other:   ${side(other)}`];
}

function side({ path, deviceName, device, time, size }: FileSide): string {
  return `${path}  ${size} B  ${nameOf(deviceName, device)}  ${time}`;
}

function previewOf({ preview, without }: FileConflictShown): string[] {
  if (preview === undefined) return without === undefined ? [] : [`    no preview: ${without}`];
  return [
    `    from line ${preview.line}`,
    ...preview.current.map((line) => `    current | ${line}`),
    ...preview.other.map((line) => `    other   | ${line}`),
  ];
}

function nameOf(name: string | undefined, device: number): string {
  return name ?? `device ${device}`;
}
