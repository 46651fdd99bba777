/** A person who says which folders of the vault lie on a machine's disk, and what may follow from it. */
import { decodeSection } from "@tidelock/core/kinds/files/codec";
import { ROOT } from "@tidelock/core/kinds/files/names";
import type { Item, ItemId } from "@tidelock/core/kinds/files/types";
import type { Tx } from "@tidelock/core/log/tx";
import type { Folders } from "@tidelock/node/vault/folders";
import type { createFilesApp } from "@tidelock/testkit/world/files-app";
import type { Life } from "@tidelock/testkit/world/node";
import { Stream } from "@tidelock/testkit/world/random";
import type { World } from "@tidelock/testkit/world/world";

export type Files = ReturnType<typeof createFilesApp>["files"];

/** Of what a person does at a machine. */
const SHARE = 0.5;
const TRIES = 4;
const AGAIN = 3000;
const FILES = 3;
const PAGE = 1000;

/** What a person may be told instead; anything else is a fault. */
const answers: ReadonlySet<string> = new Set(["not-uploaded", "folder-missing", "not-found", "disk-full"]);

/** With dice of its own: what people do besides stays as it was drawn. */
export function chooseSome(world: World, life: Life, folders: Folders, files: Files): void {
  const { node, engine } = life;
  const random = new Stream(world.seed, `select:${node.name}:${world.timeline.now}`);
  if (engine === undefined || !world.chaos || !random.chance(SHARE)) return;
  const all = engine.replica.read((tx) =>
    below(files, tx, ROOT).flatMap(({ id, kind }) => (kind === "dir" ? [files.path(tx, id).join("/")] : [])),
  );
  if (all.length === 0) return;
  const path = random.chance(0.05) ? "/" : (random.pick(all) as string);
  const isWhole = folders.list().every(({ excluded }) => excluded.length === 0);
  choose(world, life, folders, path, !isWhole && random.chance(0.5), TRIES);
}

/** What was refused for now is tried again, as whoever was told so would. */
function choose(
  world: World,
  life: Life,
  folders: Folders,
  path: string,
  selected: boolean,
  tries: number,
): void {
  const { name } = life.node;
  world.say(() => `${name}  person: ${selected ? "selects" : "deselects"} ${path}`);
  folders.select(path, undefined, selected).catch((error: unknown) => {
    const code = String((error as { code?: unknown }).code);
    if (!life.alive) return;
    if (!answers.has(code)) world.fail("error", `${name}: select: ${String(error)}`);
    else if (tries > 1) life.after(AGAIN, () => choose(world, life, folders, path, selected, tries - 1));
  });
}

/** What a folder says was deleted must have been to be seen in it, whole. */
export function judgeDeletions(
  world: World,
  life: Life,
  tx: Tx,
  folders: Folders,
  files: Files,
  frames: readonly { readonly sections: ReadonlyMap<number, Uint8Array> }[],
): void {
  const isExcluded = folders.exclusion(tx);
  for (const { sections } of frames)
    for (const change of decodeSection(sections.get(FILES) ?? new Uint8Array(0))?.changes ?? []) {
      const item = change.do === "delete" ? files.item(tx, change.id) : undefined;
      if (item === undefined) continue;
      const all = [item, ...(item.kind === "dir" ? below(files, tx, item.id) : [])];
      for (const one of all)
        if (isExcluded(one))
          world.fail("intent", `${life.node.name}: deletes ${one.name}, which it was told not to show`);
    }
}

function below(files: Files, tx: Tx, folder: ItemId): Item[] {
  const found = [...files.list(tx, folder, undefined, PAGE)];
  for (const one of found) if (one.kind === "dir") found.push(...files.list(tx, one.id, undefined, PAGE));
  return found;
}
