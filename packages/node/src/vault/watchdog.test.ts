import { describe, expect, test } from "vitest";
import { createWatchdog, STALL } from "./watchdog.ts";

function world() {
  let now = 1000;
  const dog = createWatchdog(() => now);
  const pass = (ms: number): void => {
    now += ms;
  };
  return { dog, pass };
}

describe("the watchdog", () => {
  test("[IFC35] what is due and does not move is stalled after 30 s, not before", () => {
    const { dog, pass } = world();
    expect(dog.stalled("a", true)).toBe(false);
    pass(STALL);
    expect(dog.stalled("a", true)).toBe(false);
    pass(1);
    expect(dog.stalled("a", true)).toBe(true);
  });

  test("[IFC35] each move gives it 30 s more, and ends a stall", () => {
    const { dog, pass } = world();
    dog.stalled("a", true);
    for (let i = 0; i < 5; i++) {
      pass(STALL - 1);
      dog.moved("a");
      expect(dog.stalled("a", true)).toBe(false);
    }
    pass(STALL + 1);
    expect(dog.stalled("a", true)).toBe(true);
    dog.moved("a");
    expect(dog.stalled("a", true)).toBe(false);
  });

  test("[IFC35] another activity's move does not help it, and rest is no stall", () => {
    const { dog, pass } = world();
    dog.stalled("a", true);
    dog.stalled("b", false);
    pass(STALL + 1);
    dog.moved("b");
    expect(dog.stalled("b", true)).toBe(false);
    expect(dog.stalled("a", true)).toBe(true);
    // Done by somebody else meanwhile: the next thing due has its own 30 s.
    expect(dog.stalled("a", false)).toBe(false);
    expect(dog.stalled("a", true)).toBe(false);
  });
});
