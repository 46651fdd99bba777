/**
 * Where deleted and replaced files of a folder go: `.tidelock/trash/DAY/MARK-NAME`. The mark begins
 * with `v` where the vault's history holds the same bytes; only such are given up for room.
 */
import { encodeUtf8 } from "@tidelock/core/bytes/bytes";
import type { Clock } from "@tidelock/core/ports";
import type { FolderFs } from "@tidelock/core/ports-fs";
import { isGone, makeFolder, removeFile } from "./root.ts";

export interface TrashDeps {
  readonly fs: FolderFs;
  readonly clock: Clock;
  readonly folder: string;
  readonly random: () => string;
}

const DAY = 86_400_000;
const MOST = 10 * 2 ** 30;
/** Of the volume. */
const SHARE = 0.05;
/** With the mark in front a name still fits every disk. */
const NAME = 200;

export class Trash {
  readonly #deps: TrashDeps;

  constructor(deps: TrashDeps) {
    this.#deps = deps;
  }

  /** A free name in it. `kept`: the vault's history holds these bytes too. */
  async room(name: string, kept: boolean): Promise<string> {
    const { fs, clock, folder, random } = this.#deps;
    const day = `${folder}/${new Date(clock.now()).toISOString().slice(0, 10)}`;
    await makeFolder(fs, day);
    let short = name;
    while (encodeUtf8(short).length > NAME) short = Array.from(short).slice(1).join("");
    return `${day}/${kept ? "v" : "x"}${random().slice(0, 8)}-${short}`;
  }

  /** Gives up what is older than the vault keeps its history; and of what the vault has, the oldest beyond the room. */
  async tidy(retentionMs: number): Promise<void> {
    const { fs, clock, folder } = this.#deps;
    const { total } = await fs.space(folder);
    let room = Math.min(MOST, total * SHARE);
    const days = [...(await fs.list(folder)).entries].filter(({ kind }) => kind === "dir");
    days.sort((a, b) => (a.name < b.name ? 1 : -1));
    for (const day of days) {
      const path = `${folder}/${day.name}`;
      const since = Date.parse(day.name);
      const old = since + retentionMs + DAY < clock.now();
      for (const { name, size, kind } of (await fs.list(path)).entries) {
        room -= size;
        const spare = room < 0 && name.startsWith("v") && since + DAY < clock.now();
        if ((old || spare) && kind !== "dir") await removeFile(fs, `${path}/${name}`);
      }
      await fs.rmdir(path).catch((error: unknown) => {
        if (!isGone(error) && !full.has(String((error as { code?: unknown }).code))) throw error;
      });
    }
  }
}

const full: ReadonlySet<string> = new Set(["ENOTEMPTY", "EEXIST"]);
