/**
 * The files reducer in memory: 10,000 files in 100 folders are made, written to and moved in runs of
 * 100 changes, one transaction each, and then all of it is deleted by one change. Beside it, in the
 * same run, the floor: as many rows of the same size put into the same store with their digest.
 *
 *   node --conditions=@tidelock/source --import tsx bench/files-reducer.ts [files]
 */
import { confirmed } from "@tidelock/core/kinds/files/spaces";
import type { FileChange, Item } from "@tidelock/core/kinds/files/types";
import { Author, idOf, Replica } from "../test/reference/files-kit.ts";

const FILES = Number(process.argv[2] ?? 10_000);
const FOLDERS = 100;
const RUN = 100;

const replica = new Replica();
const author = new Author(0);
let seq = 0;

function timed(what: string, count: number, work: () => void): void {
  const start = process.cpuUsage();
  work();
  const ms = process.cpuUsage(start).user / 1000;
  process.stdout.write(
    `${what.padEnd(28)} ${ms.toFixed(0).padStart(6)} ms CPU  ${((count / ms) * 1000).toFixed(0)}/s\n`,
  );
}

function say(what: string, changes: readonly FileChange[]): void {
  let kept = 0;
  timed(what, changes.length, () => {
    for (let i = 0; i < changes.length; i += RUN) {
      author.base = seq;
      replica.apply({ seq: ++seq, device: 1, changes: changes.slice(i, i + RUN) });
      kept += replica.outcomes.filter(({ kind }) => kind === "ok").length;
    }
  });
  if (kept !== changes.length) throw new Error(`${what}: ${kept} of ${changes.length} were accepted`);
}

const top = author.mkdir("all");
const folders = Array.from({ length: FOLDERS }, (_, i) => author.mkdir(`folder ${i}`, idOf(top.op)));
say("make folders", [top, ...folders]);
const folderOf = (i: number) => idOf((folders[i % FOLDERS] as FileChange).op);
const files = Array.from({ length: FILES }, (_, i) =>
  author.create(`file ${i}.txt`, `content ${i}`, folderOf(i)),
);
say("create", files);
const items = (): Item[] => files.map(({ op }) => replica.item(idOf(op)) as Item);
const before = items();
say(
  "write",
  before.map((item, i) => author.write(item, `other ${i}`)),
);
say(
  "move",
  before.map((item, i) => author.move(item, `moved ${i}.txt`, folderOf(i + 1))),
);
const whole = replica.item(idOf(top.op)) as Item;
timed(
  "delete, by one change",
  FILES,
  () => void replica.apply({ seq: ++seq, device: 1, changes: [author.delete(whole)] }),
);
timed(
  "restore, by one change",
  FILES,
  () => void replica.apply({ seq: ++seq, device: 1, changes: [author.restore(whole)] }),
);
if (Object.keys(replica.tree()).length !== FILES + FOLDERS + 1) throw new Error("not all came back");
if (items().some((item) => item.writes !== 2 || item.dead !== undefined)) throw new Error("a write is lost");

const other = new Replica();
const row = new Uint8Array(200);
timed("floor: one row a change", FILES, () => {
  for (let i = 0; i < FILES; i += RUN)
    other.tx((tx) => {
      for (const { op } of files.slice(i, i + RUN)) tx.put(confirmed.item, op, row);
    });
});
