import { expect, test } from "vitest";
import { createPacer } from "./paced.ts";

test("many calls in a row let others have a turn", async () => {
  let [now, turns, most] = [0, 0, 0];
  const paced = createPacer(() => now);
  let since = 0;
  const tick = (): void => {
    turns++;
    since = now;
    if (now < 500) setImmediate(tick);
  };
  setImmediate(tick);
  const call = (): void => {
    now += 1;
    most = Math.max(most, now - since);
  };
  for (let i = 0; i < 500; i++) await paced(call, () => Promise.reject(new Error("pooled")));
  expect(turns).toBeGreaterThan(20);
  expect(most).toBeLessThan(50);
});

test("a disk that lets us wait is asked through the pool, and tried again later", async () => {
  let now = 0;
  const paced = createPacer(() => now);
  const ways: string[] = [];
  const call = (ms: number): Promise<unknown> =>
    paced(
      () => {
        now += ms;
        return ways.push("now");
      },
      () => Promise.resolve(ways.push("pooled")),
    );
  await call(1);
  await call(60);
  for (let i = 0; i < 256; i++) await call(1);
  await call(1);
  expect(ways.filter((way) => way === "now")).toHaveLength(3);
  expect(ways.at(-1)).toBe("now");
});

test("a call that fails fails as it would in the pool", async () => {
  const paced = createPacer();
  const error = Object.assign(new Error("no"), { code: "ENOENT" });
  const fails = paced(
    () => {
      throw error;
    },
    () => Promise.resolve(),
  );
  await expect(fails).rejects.toBe(error);
});
