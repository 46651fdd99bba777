import type { RowKey } from "@tidelock/core/kinds/tables/types";
import { expect, test } from "vitest";
import { decodeNote, type Effect, encodeNote, type Note } from "./note.ts";

test("[ATT14] a note is read back as it was written, with or without what the file showed before", () => {
  const key = Uint8Array.of(1, 2, 3) as RowKey;
  const cells = [Uint8Array.of(0), Uint8Array.of(1, 7)];
  const effects: Effect[] = [
    { kind: "shown", table: 1, key, clock: 7n, cells },
    { kind: "shown", table: 1, key, clock: 7n, cells: undefined, was: true },
    { kind: "shown", table: 2, key, clock: 0n, cells, was: false },
    { kind: "release", table: 2, key },
  ] as Effect[];
  const token = { branch: new Uint8Array(8).fill(9), counter: 5 };
  const note = { token, schema: 3, runs: [], effects } as unknown as Note;
  expect(decodeNote(encodeNote(note))).toEqual(note);
});
