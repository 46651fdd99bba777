import { toHex } from "@tidelock/core/bytes/bytes";
import { Time } from "@tidelock/testkit/vault-kit";
import { expect, test } from "vitest";
import { type Listener, WakeHub } from "./hub.ts";

const vault = (n: number): Uint8Array => new Uint8Array(32).fill(n);

function newHub(): { time: Time; hub: WakeHub } {
  const time = new Time();
  return { time, hub: new WakeHub({ now: () => time.now(), mono: () => time.mono }, time) };
}

function listener(told: string[], name = "a"): Listener {
  return {
    device: name,
    person: `${name}'s`,
    wake: ({ vault: of, seq }) => told.push(`${name} ${toHex(of).slice(0, 2)} ${seq}`),
    gone: (of) => told.push(`${name} ${toHex(of).slice(0, 2)} gone`),
  };
}

test("[SRV60] [SRV61] the first hint of a quiet vault leaves at once, the rest of a burst as one with the newest seq", async () => {
  const { time, hub } = newHub();
  const told: string[] = [];
  hub.subscribe(vault(1), listener(told));
  hub.placed(vault(1), 5);
  expect(told).toEqual(["a 01 5"]);
  for (const seq of [6, 7, 9, 8]) hub.placed(vault(1), seq);
  expect(told).toHaveLength(1);
  await time.run(19);
  expect(told).toHaveLength(1);
  await time.run(1);
  expect(told).toEqual(["a 01 5", "a 01 9"]);
  await time.run(100);
  hub.placed(vault(1), 10);
  expect(told).toEqual(["a 01 5", "a 01 9", "a 01 10"]);
});

test("[SRV60] a hint reaches those who listen to its vault, until they end it", () => {
  const { hub } = newHub();
  const told: string[] = [];
  const end = hub.subscribe(vault(1), listener(told, "a"));
  hub.subscribe(vault(2), listener(told, "b"));
  hub.placed(vault(2), 1);
  hub.placed(vault(3), 1);
  expect(told).toEqual(["b 02 1"]);
  end();
  end();
  hub.placed(vault(1), 1);
  expect(told).toHaveLength(1);
  expect(hub.size()).toBe(1);
});

test("[SRV61] thousands are told in slices of 500, each once, and who left meanwhile is not", async () => {
  const { time, hub } = newHub();
  const told: string[] = [];
  const ends = Array.from({ length: 1800 }, (_, n) => hub.subscribe(vault(1), listener(told, `${n}`)));
  hub.placed(vault(1), 1);
  expect(told).toHaveLength(500);
  ends[1700]?.();
  await time.run(0);
  expect(told).toHaveLength(1799);
  expect(new Set(told).size).toBe(1799);
});

test("[SRV13] [SRV63] a device that was removed is told, and the others are not", () => {
  const { hub } = newHub();
  const told: string[] = [];
  hub.subscribe(vault(1), listener(told, "a"));
  hub.subscribe(vault(1), listener(told, "b"));
  hub.removed(vault(1), "b");
  expect(told).toEqual(["b 01 gone"]);
});
