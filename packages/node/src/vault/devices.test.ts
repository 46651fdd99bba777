import { expect, test } from "vitest";
import { lastKept, momentOf } from "./devices.ts";

test("[IFC42] with a device go those that it let in at or after the moment, and none before it", () => {
  const admissions = [
    { seq: 5, time: 1_000 },
    { seq: 9, time: 2_000 },
    { seq: 30, time: 3_000 },
  ];
  expect(lastKept(admissions, 2_000, 40)).toBe(8);
  expect(lastKept(admissions, 2_001, 40)).toBe(29);
  expect(lastKept(admissions, 9_000, 40)).toBe(40);
  expect(lastKept(admissions, 0, 40)).toBe(4);
  expect(lastKept([], 0, 40)).toBe(40);
  // Nobody can say that it was before.
  expect(lastKept([{ seq: 12, time: undefined }], 9_000, 40)).toBe(11);
});

test("[IFC42] the moment is a day or a time of RFC 3339 that has been", () => {
  const now = Date.parse("2026-11-21T16:00:00Z");
  expect(momentOf("2026-11-21", now)).toBe(Date.parse("2026-11-21T00:00:00Z"));
  expect(momentOf("2026-11-21T15:00:00+01:00", now)).toBe(Date.parse("2026-11-21T14:00:00Z"));
  for (const bad of ["", "yesterday", "2026-13-01", "2026-11-22", "21.11.2026", "2026-11-21T15:00"])
    expect(() => momentOf(bad, now), bad).toThrow(expect.objectContaining({ code: "usage" }));
});
