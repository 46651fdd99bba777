/** Why an item of the drive is as it is: which entries of the log made it so, by which rule, and what was not done to it. */
import { equalBytes, toHex } from "@tidelock/core/bytes/bytes";
import { getEntry } from "@tidelock/core/engine/entries";
import type { Entry, Item } from "@tidelock/core/kinds/files/types";
import type { Tx } from "@tidelock/core/log/tx";
import { find } from "./drive.ts";
import { pathOf, trashed } from "./drive-past.ts";
import { partsOf } from "./drive-path.ts";
import type { Session } from "./session.ts";
import { optional } from "./status.ts";

export interface FileCause {
  /** The entry of the log, and when it took it, RFC 3339; absent while it is not confirmed. */
  readonly seq?: number;
  readonly time?: string;
  readonly device: number;
  readonly deviceName?: string;
  readonly rule: string;
}

export interface FileWhy {
  readonly path: string;
  readonly id: string;
  readonly kind: Item["kind"];
  readonly alive: boolean;
  readonly parts: readonly (FileCause & {
    readonly part: "content" | "place" | "attributes" | "deletion";
  })[];
  /** What somebody meant for it and did not get, in the order of the log. */
  readonly told: readonly (FileCause & { readonly why: Entry["why"] })[];
}

export function fileWhy(session: Session, object: string): FileWhy {
  return session.replica.read((tx) => {
    const item = find(session, tx, partsOf(object)) ?? trashed(session, tx, object);
    const { rev, place, touch } = item.stamps;
    const because = (
      { seq, device }: { readonly seq: number; readonly device: number },
      rule: string,
    ): FileCause => causeOf(session, tx, seq, device, rule);
    const parts: FileWhy["parts"][number][] = [];
    if (item.kind !== "dir") parts.push({ part: "content", ...because(rev, contentRule(item)) });
    parts.push({ part: "place", ...because(place, placeRule(item)) });
    if (touch.seq > Math.max(rev.seq, place.seq))
      parts.push({
        part: "attributes",
        ...because(touch, "the last word on what is said beside its content"),
      });
    if (item.dead !== undefined)
      parts.push({ part: "deletion", ...because(item.dead, "deleted by somebody who had seen all of it") });
    const told = session.kinds.files
      .conflicts(tx, { open: false })
      .filter(({ item: of, sides }) =>
        [of, sides?.copy].some((id) => id !== undefined && equalBytes(id, item.id)),
      )
      .map((entry) => ({
        why: entry.why,
        ...because({ seq: entry.seq, device: entry.by.device }, rules[entry.why]),
      }));
    const { id, kind, dead } = item;
    return { path: pathOf(session, tx, item), id: toHex(id), kind, alive: dead === undefined, parts, told };
  });
}

function contentRule({ writes, copyOf }: Item): string {
  if (copyOf !== undefined) return "lost against another write, and is kept as a copy";
  return writes === 1 ? "it was made so" : "the newest write that was made from the revision before it";
}

function placeRule({ id, place }: Item): string {
  return equalBytes(id, place) ? "it was made there" : "the first move from where it was before";
}

const rules: Readonly<Record<Entry["why"], string>> = {
  write: "two wrote at once: the first in the log keeps the file, the other is a copy beside it",
  create: "two made one of this name: the first in the log keeps the name, the other is a copy beside it",
  delete: "deleted by somebody who had not seen all of it: what was not seen stayed",
  moved: "moved from a place where it was no longer: the first move holds",
  cycle: "moved into itself: not done",
  renamed: "its name was taken: it got the first free one",
  recovered: "its folder was gone: it was put where it can be found",
};

function causeOf(session: Session, tx: Tx, seq: number, device: number, rule: string): FileCause {
  const entry = getEntry(tx, seq);
  return {
    ...(entry === undefined ? {} : { seq, time: new Date(entry.time).toISOString() }),
    device,
    ...optional("deviceName", session.replica.membership.deviceName(tx, device)),
    rule,
  };
}
