/**
 * Whether a directory can order writes: not by its kind or name, but by contenders that race for
 * one name in it. Rule REM21.
 */
import { toHex } from "@tidelock/core/bytes/bytes";
import type { Fs } from "@tidelock/core/ports-fs";
import { errnoOf, ignoring, unless } from "./errno.ts";
import { discard, type Mode, type Place, publish, readObject, stage } from "./place.ts";

export type Verdict =
  | { readonly kind: "ordered"; readonly mode: Mode }
  | { readonly kind: "refused"; readonly why: string };

const CONTENDERS = 8;

/**
 * Tries the modes in their order, each with two puts in sequence and then `rounds` of eight at
 * once: exactly one wins, and its bytes stand there. Errors that say nothing about order (full,
 * denied, gone) are thrown.
 */
export async function probe(place: Place, modes: readonly Mode[], rounds: number): Promise<Verdict> {
  const { fs, root, random } = place;
  const home = `${root}/tmp/probe-${toHex(random(8))}`;
  await fs.mkdir(home);
  try {
    const flushed = await flushes(fs, home);
    if (!flushed) return { kind: "refused", why: "this file system cannot flush a directory" };
    let why = "";
    for (const mode of modes) {
      const fault = await faultOf(fs, mode, home, rounds);
      if (fault === undefined) return { kind: "ordered", mode };
      why = fault;
    }
    return { kind: "refused", why };
  } finally {
    await sweepDirectory(fs, home);
  }
}

/** One contender for `target`: whether it won. `id` is one byte, so that the winner can be told. */
export async function contend(fs: Fs, mode: Mode, target: string, id: number): Promise<boolean> {
  const staged = `${target}-${id}`;
  await stage(fs, mode, staged, Uint8Array.of(id));
  try {
    await publish(fs, mode, staged, target);
    if (mode === "link") await ignoring(fs.unlink(staged));
    return true;
  } catch (error) {
    await discard(fs, mode, staged);
    // By looking, as an append does: names of errors differ between file systems.
    const found = errnoOf(error) === undefined ? undefined : await readObject(fs, target, 2);
    if (found === undefined) throw error;
    return isFrom(found, id);
  }
}

async function faultOf(fs: Fs, mode: Mode, home: string, rounds: number): Promise<string | undefined> {
  try {
    if (!(await contend(fs, mode, `${home}/${mode}`, 1))) return "a new name was refused";
  } catch (error) {
    const code = errnoOf(error);
    // No hard links: exFAT, some SMB servers and FUSE file systems.
    if (mode === "link" && code !== undefined && NO_LINKS.includes(code))
      return "there are no hard links here";
    throw error;
  }
  if (await contend(fs, mode, `${home}/${mode}`, 2)) return "a name that was taken was given again";
  if (!(await holds(fs, `${home}/${mode}`, 1))) return "a name that was taken lost its content";
  for (let round = 0; round < rounds; round++) {
    const target = `${home}/${mode}-${round}`;
    const ids = Array.from({ length: CONTENDERS }, (_, i) => i + 1);
    const won = await Promise.all(ids.map((id) => contend(fs, mode, target, id)));
    const winner = won.indexOf(true);
    if (winner < 0 || won.lastIndexOf(true) !== winner) {
      return `of ${CONTENDERS} contenders for one name ${won.filter(Boolean).length} won`;
    }
    if (!(await holds(fs, target, winner + 1))) return "a contender won and another's content stands there";
  }
  return undefined;
}

const NO_LINKS: readonly string[] = [
  "EPERM",
  "ENOTSUP",
  "EOPNOTSUPP",
  "ENOSYS",
  "EINVAL",
  "EMLINK",
  "EACCES",
];

async function holds(fs: Fs, target: string, id: number): Promise<boolean> {
  const found = await readObject(fs, target, 2);
  return found !== undefined && isFrom(found, id);
}

function isFrom(bytes: Uint8Array, id: number): boolean {
  return bytes.length === 1 && bytes[0] === id;
}

async function flushes(fs: Fs, home: string): Promise<boolean> {
  const done = unless(
    ["EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EISDIR", "EBADF"],
    fs.syncDir(home).then(() => true),
  );
  return (await done) ?? false;
}

/** Removes a directory of ours with everything in it, two levels deep. */
export async function sweepDirectory(fs: Fs, path: string): Promise<void> {
  for (const name of (await unless(["ENOENT", "ENOTDIR"], fs.readdir(path))) ?? []) {
    const inner = `${path}/${name}`;
    for (const data of (await unless(["ENOENT", "ENOTDIR"], fs.readdir(inner))) ?? [])
      await ignoring(fs.unlink(`${inner}/${data}`));
    await ignoring(fs.rmdir(inner));
    await ignoring(fs.unlink(inner));
  }
  await ignoring(fs.rmdir(path));
}
