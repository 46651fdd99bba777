/** What the constraints make of a row, kept for the rows they make something of. */
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";

export interface Projection {
  /** Deleted, and back because a row that refers to it is live. */
  readonly returned: boolean;
  /** Hidden because another row holds a value it must not share, or because its parent is gone. */
  readonly hiddenByUnique: boolean;
  readonly hiddenByParent: boolean;
  /** Columns that show NULL, for the same two reasons. Ascending. */
  readonly nulledByUnique: readonly number[];
  readonly nulledByParent: readonly number[];
}

export const UNTOUCHED: Projection = {
  returned: false,
  hiddenByUnique: false,
  hiddenByParent: false,
  nulledByUnique: [],
  nulledByParent: [],
};

/** Undefined for a row the constraints leave as it is. */
export function encodeProjection(p: Projection): Uint8Array | undefined {
  const flags = (p.returned ? 1 : 0) | (p.hiddenByUnique ? 2 : 0) | (p.hiddenByParent ? 4 : 0);
  if (flags === 0 && p.nulledByUnique.length === 0 && p.nulledByParent.length === 0) return undefined;
  const writer = new Writer(16).u8(flags);
  for (const columns of [p.nulledByUnique, p.nulledByParent]) {
    writer.v(columns.length);
    for (const column of columns) writer.v(column);
  }
  return writer.done();
}

export function decodeProjection(bytes: Uint8Array | undefined): Projection {
  if (bytes === undefined) return UNTOUCHED;
  const reader = new Reader(bytes);
  const flags = reader.u8();
  const columns = (): number[] => {
    const list: number[] = [];
    for (let n = reader.v(); n > 0; n--) list.push(reader.v());
    return list;
  };
  return {
    returned: (flags & 1) !== 0,
    hiddenByUnique: (flags & 2) !== 0,
    hiddenByParent: (flags & 4) !== 0,
    nulledByUnique: columns(),
    nulledByParent: columns(),
  };
}

export function isHidden(p: Projection): boolean {
  return p.hiddenByUnique || p.hiddenByParent;
}
