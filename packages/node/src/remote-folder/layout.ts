/**
 * What a vault's folder is made of: laid out once by `create`, recognised by everybody else, and
 * tidied of what crashes left. Bytes: docs/format.md, "Folder of a vault".
 */
import { encodeUtf8, equalBytes } from "@tidelock/core/bytes/bytes";
import { limits } from "@tidelock/core/bytes/limits";
import { TidelockError } from "@tidelock/core/errors";
import type { Failure, Result } from "@tidelock/core/ports";
import type { Fs } from "@tidelock/core/ports-fs";
import { ignoring, unless } from "./errno.ts";
import { type Mode, type NotPut, type Place, put, readObject } from "./place.ts";
import { probe, sweepDirectory } from "./probe.ts";

const modes: readonly Mode[] = ["link", "rename-dir"];
const DAY = 86_400_000;

/** How objects are placed in this folder; undefined where no vault was laid out. */
export async function readMode(fs: Fs, root: string): Promise<Mode | Failure | undefined> {
  const bytes = await readObject(fs, `${root}/remote`, 100);
  if (bytes === undefined) return undefined;
  for (const mode of modes) if (equalBytes(bytes, layoutLine(mode))) return mode;
  return { kind: "corrupt", why: "the folder has a layout that this program does not know" };
}

export function readGenesis({ fs, root }: Place): Promise<Uint8Array | undefined> {
  return readObject(fs, `${root}/genesis`, limits.genesis + 1);
}

/** Lays out the folder, genesis last: where it is seen, everything else is durable. Throws `remote-no-cas`. */
export async function foundVault(
  place: Place,
  genesis: Uint8Array,
  allowed: readonly Mode[] = modes,
): Promise<Result<"created"> | { readonly kind: "exists" }> {
  const { fs, root } = place;
  const makes =
    (await unless(
      ["EEXIST"],
      fs.mkdir(root).then(() => true),
    )) ?? false;
  const parent = root.slice(0, root.lastIndexOf("/")) || "/";
  // Where somebody else made it and we may not open its parent, that is theirs to do.
  await (makes ? fs.syncDir(parent) : unless(["EACCES", "EPERM"], fs.syncDir(parent)));
  await unless(["EEXIST"], fs.mkdir(`${root}/tmp`));
  const mode = await layOut(place, allowed, makes);
  if (typeof mode !== "string") return mode;
  for (const name of ["log", "blob"]) await unless(["EEXIST"], fs.mkdir(`${root}/${name}`));
  await fs.syncDir(root);
  // What is missing now was lost with the power of the folder's server: begun again, before genesis.
  for (const name of ["log", "blob"]) await fs.stat(`${root}/${name}`);
  const result = await put(place, mode, root, `${root}/genesis`, genesis, (found) =>
    equalBytes(found, genesis),
  );
  if (result.kind === "placed") return { kind: "ok", value: "created" };
  return result.kind === "taken" ? { kind: "exists" } : failed(result);
}

/** The mode that `remote` names; where there is none yet, the one that the probe finds, written down. */
async function layOut(place: Place, allowed: readonly Mode[], makes: boolean): Promise<Mode | Failure> {
  const { fs, root } = place;
  const known = await readMode(fs, root);
  if (known !== undefined) return known;
  const verdict = await probe(place, allowed, 3);
  if (verdict.kind === "refused") {
    await ignoring(fs.rmdir(`${root}/tmp`));
    if (makes) await ignoring(fs.rmdir(root));
    throw noOrder(verdict.why);
  }
  const line = layoutLine(verdict.mode);
  const result = await put(place, verdict.mode, root, `${root}/remote`, line, (found) =>
    equalBytes(found, line),
  );
  if (result.kind !== "placed" && result.kind !== "taken") return failed(result);
  return (await readMode(fs, root)) ?? noVault();
}

/** Before a process's first write: the probe again. Throws `remote-no-cas`. */
export async function proveOrder(place: Place, mode: Mode): Promise<void> {
  const { fs, root } = place;
  await unless(["EEXIST"], fs.mkdir(`${root}/tmp`));
  const verdict = await probe(place, [mode], 1);
  if (verdict.kind === "refused") throw noOrder(verdict.why);
}

/** Removes what crashes left in `tmp/` more than a day ago by the store's own clock. */
export async function tidy({ fs, root }: Place, now: number): Promise<void> {
  for (const name of await fs.readdir(`${root}/tmp`)) {
    const path = `${root}/tmp/${name}`;
    const stat = await unless(["ENOENT"], fs.stat(path));
    if (stat === undefined || now - stat.mtime < DAY) continue;
    await (stat.kind === "directory" ? sweepDirectory(fs, path) : ignoring(fs.unlink(path)));
  }
}

/** Of what the same call settles when it is made again: whether it was placed does not matter. */
export function failed(result: NotPut): Failure {
  return result.kind === "unknown" ? { kind: "unreachable", why: "the folder failed to flush" } : result;
}

export function noVault(): Failure {
  return { kind: "unreachable", why: "no vault is in this folder; its volume may not be mounted" };
}

export function noOrder(why: string): TidelockError {
  return new TidelockError("remote-no-cas", { why });
}

function layoutLine(mode: Mode): Uint8Array {
  return encodeUtf8(`tidelock folder 1 ${mode}\n`);
}
