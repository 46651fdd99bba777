/**
 * The place of ours in a synced folder, `.tidelock/`: a marker that says which vault and which
 * attachment the folder is of, and rooms for half-made, replaced and deleted files. A folder
 * without its marker, or another folder under its path, is never read as one that was emptied.
 */
import { encodeUtf8, equalBytes, fromHex, toHex } from "@tidelock/core/bytes/bytes";
import type { DiskFacts, FolderFs } from "@tidelock/core/ports-fs";
import { errnoOf } from "../home/files.ts";

export const MARK = ".tidelock";

export interface FolderPlace {
  readonly root: string;
  readonly mark: string;
  readonly marker: string;
  /** Files that are being made: only names of ours, gone at every start. */
  readonly tmp: string;
  /** What stood where something of the vault came, until it is sure that nobody wrote to it meanwhile. */
  readonly stage: string;
  readonly trash: string;
  readonly ignore: string;
}

export interface Marker {
  readonly vault: Uint8Array;
  readonly attachment: Uint8Array;
}

export function placeIn(root: string): FolderPlace {
  const mark = `${root}/${MARK}`;
  return {
    root,
    mark,
    marker: `${mark}/root`,
    tmp: `${mark}/tmp`,
    stage: `${mark}/stage`,
    trash: `${mark}/trash`,
    ignore: `${mark}/ignore.local`,
  };
}

const FIRST_LINE = "tidelock folder 1";
const MARKER_BYTES = 1024;

export async function readMarker(fs: FolderFs, place: FolderPlace): Promise<Marker | undefined> {
  let text: string;
  try {
    text = new TextDecoder().decode(await fs.readFile(place.marker, MARKER_BYTES));
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
  const [first, vault = "", attachment = ""] = text.split("\n");
  const idOf = (line: string, word: string): Uint8Array =>
    (first === FIRST_LINE && line.startsWith(`${word} `)
      ? fromHex(line.slice(word.length + 1))
      : undefined) ?? NONE;
  return { vault: idOf(vault, "vault"), attachment: idOf(attachment, "attachment") };
}

/** A marker that cannot be read is somebody's, and nobody's we know. */
const NONE = new Uint8Array(0);

/** Makes what is missing of our place. */
export async function makeRooms(fs: FolderFs, place: FolderPlace): Promise<void> {
  for (const folder of [place.mark, place.tmp, place.stage, place.trash]) await makeFolder(fs, folder);
  await fs.chmod(place.mark, 0o700);
}

/** Whole or not at all. */
export async function writeMarker(fs: FolderFs, place: FolderPlace, marker: Marker): Promise<void> {
  const text = `${FIRST_LINE}\nvault ${toHex(marker.vault)}\nattachment ${toHex(marker.attachment)}\n`;
  const half = `${place.tmp}/root`;
  await removeFile(fs, half);
  await fs.writeFileNew(half, encodeUtf8(text));
  await fs.syncFile(half);
  await fs.rename(half, place.marker);
  await fs.syncDir(place.mark);
  await fs.syncDir(place.root);
}

/** Takes our place away, as far as nothing of anybody lies in it: the trash and own ignore rules stay. */
export async function leavePlace(fs: FolderFs, place: FolderPlace): Promise<void> {
  await removeFile(fs, place.marker);
  for (const folder of [place.tmp, place.stage, place.trash, place.mark])
    await fs.rmdir(folder).catch((error: unknown) => {
      if (!isGone(error) && !fullCodes.has(errnoOf(error))) throw error;
    });
}

const fullCodes: ReadonlySet<string> = new Set(["ENOTEMPTY", "EEXIST"]);

/**
 * Which folder of the disk it is: a copy in its place is another one. Not by the number of its
 * device, which many systems give anew at each mount.
 */
export interface RootIdentity {
  readonly ino: bigint;
  readonly born: bigint;
}

/** Why a folder is left alone: undefined where it is the one that was attached. */
export async function whyNot(
  fs: FolderFs,
  place: FolderPlace,
  known: Marker & { readonly identity: RootIdentity },
): Promise<string | undefined> {
  let facts: DiskFacts;
  let marker: Marker | undefined;
  try {
    facts = await fs.look(place.root);
    marker = await readMarker(fs, place);
  } catch (error) {
    return isGone(error) ? "the folder is gone" : `the folder cannot be read (${errnoOf(error)})`;
  }
  if (facts.kind !== "dir") return "there is no folder any more under its path";
  if (marker === undefined) return "the folder has lost its .tidelock: it was emptied, or is another one";
  if (!equalBytes(marker.vault, known.vault)) return "the folder belongs to another vault now";
  if (!equalBytes(marker.attachment, known.attachment)) return "the folder was attached from elsewhere";
  const { ino, born } = known.identity;
  return facts.ino === ino && facts.birthtimeNs === born ? undefined : "another folder stands under its path";
}

/**
 * The nearest folder at or above this one that is attached already. Vaults do not lie in each
 * other: what one writes, the other would send.
 */
export async function attachedAbove(fs: FolderFs, root: string): Promise<string | undefined> {
  for (let at = root; ; at = at.slice(0, at.lastIndexOf("/"))) {
    if ((await readMarker(fs, placeIn(at))) !== undefined) return at === "" ? "/" : at;
    if (!at.includes("/")) return undefined;
  }
}

export async function makeFolder(fs: FolderFs, path: string): Promise<void> {
  try {
    await fs.mkdir(path);
  } catch (error) {
    if (errnoOf(error) !== "EEXIST" || (await fs.look(path)).kind !== "dir") throw error;
  }
}

/** Of ours alone. */
export async function removeFile(fs: FolderFs, path: string): Promise<void> {
  try {
    await fs.unlink(path);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

export function isGone(error: unknown): boolean {
  return errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR";
}
