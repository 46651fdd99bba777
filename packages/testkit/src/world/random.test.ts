import { expect, test } from "vitest";
import { Stream } from "./random.ts";
import { Timeline } from "./timeline.ts";

test("[P6] a stream is its seed and its name, and another name is another stream", () => {
  const draw = (seed: bigint, name: string): number[] => {
    const stream = new Stream(seed, name);
    return Array.from({ length: 8 }, () => stream.u32());
  };
  expect(draw(7n, "net:a")).toEqual(draw(7n, "net:a"));
  expect(draw(7n, "net:a")).not.toEqual(draw(7n, "net:b"));
  expect(draw(7n, "net:a")).not.toEqual(draw(8n, "net:a"));
  // The upper half of the seed counts too.
  expect(draw(7n, "net:a")).not.toEqual(draw(7n + (1n << 40n), "net:a"));
});

test("[P6] events come by time, then by tie, then in the order they were made", () => {
  const ties = [0, 0, 5, 1, 3];
  const timeline = new Timeline(() => ties.shift() ?? 0);
  const seen: string[] = [];
  timeline.after(20, () => seen.push("late"));
  timeline.after(20, () => seen.push("late, second"));
  for (const name of ["five", "one", "three"]) timeline.after(10, () => seen.push(name));
  while (timeline.step(100));
  expect(seen).toEqual(["one", "three", "five", "late", "late, second"]);
  expect(timeline.now).toBe(100);
});
