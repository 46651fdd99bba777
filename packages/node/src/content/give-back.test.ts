/** The daily pass of a session, over a real folder remote. */
import { utimesSync } from "node:fs";
import { join } from "node:path";
import { toHex } from "@tidelock/core/bytes/bytes";
import type { Log } from "@tidelock/core/ports";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createScheduler } from "../env.ts";
import { createHomes, type TestHome, type TestHomes } from "../folder/testing/homes.ts";
import { tryGivingBack } from "./give-back.ts";

const DAY = 86_400_000;

let rig: TestHomes;
let told: [string, unknown][];
const log: Log = { event: (name, fields) => void told.push([name, fields]) };

beforeEach(async () => {
  told = [];
  rig = await createHomes(["a"], false);
});
afterEach(() => rig.remove());

const give = async ({ session }: TestHome): Promise<void> => {
  const scheduler = createScheduler();
  await tryGivingBack(session, scheduler, log);
  scheduler.close();
};

test("[CNT11, CNT12] a session gives room back once a day, and not while somebody has paused it", async () => {
  const [a] = rig.homes as [TestHome];
  const { session } = a;
  const stray = session.suite.random(300) as never;
  const id = session.suite.sha256(stray);
  await session.remote?.putBlob(id, stray);
  const name = toHex(id);
  const stored = Date.now() / 1000 - (8 * DAY) / 1000;
  utimesSync(join(rig.root, "remote", "blob", name.slice(0, 2), name), stored, stored);
  session.pause();
  await give(a);
  session.resume();
  expect(told).toEqual([]);
  await give(a);
  await give(a);
  expect(told).toEqual([["room.given-back", { condemned: 1, deleted: 0, bytes: 0 }]]);
  await a.sync();
  expect(session.replica.waiting()).toEqual({ pending: 0, parked: 0 });
  // Three days have to pass before it goes.
  expect((await session.remote?.getBlob(id))?.kind).toBe("ok");
});
