/**
 * Put-if-absent with the calls of a file system, and reading what it put. Rule REM20: an object
 * is written and synced under a name of its own and then published in one step that never
 * replaces anything, so no reader sees half of one and no crash uses up its name.
 */
import { toHex } from "@tidelock/core/bytes/bytes";
import { limits } from "@tidelock/core/bytes/limits";
import type { Failure } from "@tidelock/core/ports";
import type { Fs } from "@tidelock/core/ports-fs";
import { errnoOf, failureOf, ignoring, isCertain, unless } from "./errno.ts";

/** `link`: a file, published by a hard link. `rename-dir`: a directory holding it, published by a rename. */
export type Mode = "link" | "rename-dir";

export type Put =
  | { readonly kind: "placed" }
  /** Something else stands there. */
  | { readonly kind: "taken" }
  | NotPut;

export type NotPut = { readonly kind: "unknown" } | Failure;

export interface Place {
  readonly fs: Fs;
  readonly root: string;
  readonly random: (n: number) => Uint8Array;
}

const NOTHING = new Uint8Array(0);

export async function stage(fs: Fs, mode: Mode, staged: string, bytes: Uint8Array): Promise<void> {
  if (mode === "rename-dir") await fs.mkdir(staged);
  await fs.writeFileNew(dataIn(mode, staged), bytes);
}

export async function syncStaged(fs: Fs, mode: Mode, staged: string): Promise<void> {
  await fs.syncFile(dataIn(mode, staged));
  if (mode === "rename-dir") await fs.syncDir(staged);
}

/** The commit point: fails, whatever the error, where `target` is taken. */
export async function publish(fs: Fs, mode: Mode, staged: string, target: string): Promise<void> {
  await (mode === "link" ? fs.link(staged, target) : fs.rename(staged, target));
}

/** What is left here is removed by whoever opens the folder a day later. */
export async function discard(fs: Fs, mode: Mode, staged: string): Promise<void> {
  await ignoring(fs.unlink(dataIn(mode, staged)));
  if (mode === "rename-dir") await ignoring(fs.rmdir(staged));
}

/**
 * The first `max` bytes of the object under a name, in whichever of the two forms it is;
 * undefined where none is. What is neither (a directory of something else, a link, a pipe) takes
 * its name all the same and counts as an object without bytes.
 */
export async function readObject(fs: Fs, path: string, max: number): Promise<Uint8Array | undefined> {
  try {
    return await fs.readFile(path, max);
  } catch (error) {
    const code = errnoOf(error);
    if (code === "ENOENT") return undefined;
    if (code === "ELOOP" || code === "EINVAL") return NOTHING;
    if (code !== "EISDIR") throw error;
  }
  const data = await unless(["ENOENT", "ELOOP", "EINVAL", "EISDIR"], fs.readFile(`${path}/data`, max));
  return data ?? NOTHING;
}

/** As `readObject`, for a writer: a rename replaces an empty directory, so there it stands in nobody's way. */
async function lookAt(fs: Fs, mode: Mode, path: string, max: number): Promise<Uint8Array | undefined> {
  const found = await readObject(fs, path, max);
  if (found === undefined || found.length > 0 || mode === "link") return found;
  const names = await unless(["ENOTDIR"], fs.readdir(path));
  return names?.length === 0 ? undefined : found;
}

/**
 * Puts `bytes` under `target`, in the directory `home`, durably or not at all. `isOurs` tells from
 * the bytes that stand there whether an earlier try placed them. Any error from the commit point
 * on is settled by looking; a failed sync never is tried again on what it failed for.
 */
export async function put(
  place: Place,
  mode: Mode,
  home: string,
  target: string,
  bytes: Uint8Array,
  isOurs: (found: Uint8Array) => boolean,
): Promise<Put> {
  const { fs } = place;
  const staged = await stageSynced(place, mode, bytes);
  if (typeof staged !== "string") return staged;
  try {
    await publish(fs, mode, staged, target);
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    await discard(fs, mode, staged);
    return resolve(place, mode, home, target, isOurs, error);
  }
  if (mode === "link") await ignoring(fs.unlink(staged));
  const synced = await settled(fs.syncDir(home));
  // A server of the folder may have lost its power since the link, and its clients nothing but a call.
  return synced.kind === "placed" ? stillThere(fs, target, isOurs) : synced;
}

/** Whether what was published is what the sync has made durable. */
async function stillThere(fs: Fs, target: string, isOurs: (found: Uint8Array) => boolean): Promise<Put> {
  try {
    const found = await readObject(fs, target, limits.garbageHashed);
    return found !== undefined && isOurs(found) ? { kind: "placed" } : { kind: "unknown" };
  } catch (reason) {
    if (errnoOf(reason) === undefined) throw reason;
    return { kind: "unknown" };
  }
}

/** Writes and syncs in `tmp/`; answers the name, or why nothing will be placed. */
export async function stageSynced(place: Place, mode: Mode, bytes: Uint8Array): Promise<string | NotPut> {
  const { fs, root, random } = place;
  const staged = `${root}/tmp/${toHex(random(16))}`;
  try {
    await stage(fs, mode, staged, bytes).catch((error) => stageAgain(place, mode, staged, bytes, error));
  } catch (error) {
    await discard(fs, mode, staged);
    return failureOf(error);
  }
  try {
    await syncStaged(fs, mode, staged);
  } catch (error) {
    await discard(fs, mode, staged);
    const failure = failureOf(error);
    return failure.kind === "quota" ? failure : { kind: "unknown" };
  }
  return staged;
}

/** Once more where `tmp/` alone is gone: somebody tidied up. Where genesis is gone too, the volume is. */
async function stageAgain(
  place: Place,
  mode: Mode,
  staged: string,
  bytes: Uint8Array,
  error: unknown,
): Promise<void> {
  const { fs, root } = place;
  if (errnoOf(error) !== "ENOENT" || (await unless(["ENOENT"], fs.stat(`${root}/genesis`))) === undefined)
    throw error;
  await unless(["EEXIST"], fs.mkdir(`${root}/tmp`));
  await stage(fs, mode, staged, bytes);
}

async function resolve(
  { fs }: Place,
  mode: Mode,
  home: string,
  target: string,
  isOurs: (found: Uint8Array) => boolean,
  error: unknown,
): Promise<Put> {
  let found: Uint8Array | undefined;
  try {
    found = await lookAt(fs, mode, target, limits.garbageHashed);
  } catch (reason) {
    if (errnoOf(reason) === undefined) throw reason;
    return { kind: "unknown" };
  }
  if (found === undefined) return isCertain(errnoOf(error) ?? "") ? failureOf(error) : { kind: "unknown" };
  if (!isOurs(found)) return { kind: "taken" };
  // P1: a repeated call answers only when the first copy is durable.
  return settled(fs.syncFile(dataIn(mode, target)).then(() => fs.syncDir(home)));
}

async function settled(sync: Promise<void>): Promise<Put> {
  try {
    await sync;
    return { kind: "placed" };
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return { kind: "unknown" };
  }
}

function dataIn(mode: Mode, path: string): string {
  return mode === "link" ? path : `${path}/data`;
}
