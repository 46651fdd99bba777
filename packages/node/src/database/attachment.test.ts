import { MapReplicaStore } from "@tidelock/testkit/map-store";
import { createFastSuite } from "@tidelock/testkit/world/fast-suite";
import { afterEach, expect, test } from "vitest";
import { type Device, seeded } from "./testing/device.ts";
import { createWorld, type World } from "./testing/world.ts";

const worlds: World[] = [];
afterEach(() => {
  for (const w of worlds.splice(0)) w.end();
});

function world(devices: number, vault = 1): World {
  const makeStore = (spaces: readonly string[]): MapReplicaStore => new MapReplicaStore(spaces);
  const w = createWorld({ devices, vault, suite: createFastSuite(seeded(9)), makeStore });
  worlds.push(w);
  return w;
}

test("[ATT20] rows of one file come to the other, later edits too", async () => {
  const { devices, settle } = world(2);
  const [a, b] = devices as [Device, Device];
  a.app("CREATE TABLE note(id TEXT PRIMARY KEY, text, n); INSERT INTO note VALUES('a','x',1),('b',NULL,2.0)");
  await a.attach();
  await settle();
  await b.attach();
  await settle();
  expect(b.rows("SELECT * FROM note ORDER BY id")).toEqual(a.rows("SELECT * FROM note ORDER BY id"));
  b.app("UPDATE note SET text='from b' WHERE id='a'; DELETE FROM note WHERE id='b'");
  a.app("INSERT INTO note VALUES('c','from a',3)");
  await settle();
  expect(a.rows("SELECT * FROM note ORDER BY id")).toEqual([
    ["a", "from b", 1n],
    ["c", "from a", 3n],
  ]);
  expect(b.dump()).toBe(a.dump());
});
