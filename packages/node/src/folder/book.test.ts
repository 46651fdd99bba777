import type { Fingerprint, RowPatch } from "@tidelock/core/kinds/files/plan/types";
import type { ItemId, Op } from "@tidelock/core/kinds/files/types";
import { digestedSpaces, Tx } from "@tidelock/core/log/tx";
import { MapReplicaStore } from "@tidelock/testkit/map-store";
import { createFastSuite } from "@tidelock/testkit/world/fast-suite";
import { expect, test } from "vitest";
import { RowBook, racyUntil } from "./book.ts";
import { FolderRows, folderSpaces } from "./rows.ts";

const id = new Uint8Array(16).fill(1) as ItemId;
const op = new Uint8Array(16).fill(2) as Op;
const SAVED = 1_750_000_000_000;
const stamp = BigInt(SAVED) * 1_000_000n;
const print: Fingerprint = { size: 3, mtimeNs: stamp, ctimeNs: stamp, ino: 7n, birthtimeNs: stamp };
const whole: RowPatch = {
  kind: "file",
  parent: id,
  name: "x",
  place: op,
  rev: op,
  others: 0,
  alias: undefined,
  executable: false,
  hash: new Uint8Array(32),
  target: undefined,
  print,
};

test("[FLD7] what is noted of a file without a look at it does not make its stamp proof", () => {
  const store = new MapReplicaStore(folderSpaces.map(({ name }) => name));
  const suite = createFastSuite((n) => new Uint8Array(n));
  store.transaction(() => {
    const tx = new Tx(store, suite, digestedSpaces(folderSpaces), 0n);
    const book = new RowBook(new FolderRows(1), tx);
    const provesFrom = (): bigint | undefined => {
      const row = book.row(id);
      return row === undefined ? 0n : racyUntil(row, { stampStep: 1n } as Parameters<typeof racyUntil>[1]);
    };
    book.put(tx, [{ id, set: whole }], SAVED + 500);
    expect(provesFrom()).toBe(stamp + 2_000_000_000n);
    // Somebody else did something to the item, long after.
    book.put(tx, [{ id, set: { others: 9 } }], SAVED + 60_000);
    expect(provesFrom()).toBe(stamp + 2_000_000_000n);
    book.put(tx, [{ id, set: { print } }], SAVED + 60_000);
    expect(provesFrom()).toBeUndefined();
  });
});
