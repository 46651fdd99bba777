/**
 * The files kind: a tree of items with content, judged by preconditions in the order of the log.
 * What attachments may ask is `FilesView`. Rules: docs/spec/files.md.
 */
import { readU64Key } from "../../bytes/bytes.ts";
import type { Suite } from "../../crypto/suite.ts";
import type { Decoded, Kind } from "../../log/kind.ts";
import { isStored, isStoredOrHeld } from "../../log/locations.ts";
import type { Tx } from "../../log/tx.ts";
import type { FilesView } from "./api.ts";
import { decodeSection, encodeSection } from "./codec.ts";
import { decodeVersion } from "./item.ts";
import { entryOf } from "./journal.ts";
import { ItemMemory } from "./memory.ts";
import { Session } from "./session.ts";
import { confirmed, ID, NOTHING, slotKey, spaces, textOf } from "./spaces.ts";
import { isRoot } from "./tree.ts";
import type { Entry, FilesSection, Item, ItemId, Op, Outcome } from "./types.ts";

export interface FilesKind extends Kind<FilesSection>, FilesView {}

/** `told` hears what became of each change of a run, for issues and tests. */
export function createFilesKind(
  suite: Suite,
  told: (outcomes: readonly Outcome[]) => void = () => undefined,
): FilesKind {
  let changes = 0;
  const memory = new ItemMemory();
  const within = (tx: Tx): Session => tx.scratch("files", () => new Session(tx, suite, memory));
  return {
    section: 3,
    name: "files",
    spaces,
    decode(section): Decoded<FilesSection> | null {
      const value = decodeSection(section);
      return value === null ? null : { changes: value.changes.length, value };
    },
    apply: (tx, sections, at) => {
      changes++;
      told(within(tx).apply(sections, at));
    },
    lacking: (tx, section, waits) => {
      const isThere = waits ? isStoredOrHeld : isStored;
      const changes = section.changes.filter((one) => "content" in one && !isThere(tx, one.content));
      return changes.length === 0 ? undefined : encodeSection({ ...section, changes });
    },
    hold: (tx, id, sections) => {
      changes++;
      within(tx).hold(id, sections);
    },
    release: (tx, id) => {
      changes++;
      within(tx).release(id);
    },
    changes: () => changes,
    settle: (tx) => tx.known<Session>("files")?.settle(),

    item: (tx, id) => {
      const { view } = within(tx);
      return view.item(view.resolve(id));
    },
    child: (tx, parent, name) => within(tx).view.at(parent, name),
    list(tx, parent, after, limit) {
      const { view } = within(tx);
      const from = after === undefined ? undefined : slotKey(parent, after);
      const rows = view.scan(confirmed.slot, parent, from, limit);
      return rows.map(([, id]) => view.item(id.slice() as ItemId) as Item);
    },
    path(tx, id) {
      const { view } = within(tx);
      const names: string[] = [];
      for (let at = view.item(view.resolve(id)); at !== undefined; at = view.item(at.parent)) {
        names.unshift(at.name);
        if (isRoot(at.parent)) break;
      }
      return names;
    },
    history: (tx, id) =>
      within(tx)
        .view.scan(confirmed.version, id)
        .map(([key, bytes]) => ({ seq: readU64Key(key, ID), ...decodeVersion(bytes) })),
    conflicts(tx, { open }) {
      const { view } = within(tx);
      const ops = open
        ? new Map(
            view
              .scan(confirmed.open, NOTHING)
              .map(([key]) => [textOf(key.subarray(ID)), key.slice(ID) as Op]),
          )
        : new Map(view.scan(confirmed.entry, NOTHING).map(([op]) => [textOf(op), op.slice() as Op]));
      return [...ops.values()]
        .map((op) => entryOf(view, op) as Entry)
        .sort((a, b) => a.seq - b.seq || a.index - b.index);
    },
    entry: (tx, op) => entryOf(within(tx).view, op),
    trash(tx) {
      const { view } = within(tx);
      const dead = view
        .scan(confirmed.grave, NOTHING)
        .map(([key]) => view.item(key.slice(ID) as ItemId) as Item);
      return dead.filter(({ parent, dead: end }) => {
        const above = view.item(parent)?.dead;
        return above === undefined || textOf(above.op) !== textOf((end as { op: Op }).op);
      });
    },
  };
}
