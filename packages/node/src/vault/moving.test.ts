import { describe, expect, test } from "vitest";
import { Moving } from "./moving.ts";

const KB = 1000;

describe("what is on its way", () => {
  test("[IFC66] Y-4, Y-27: each file with its total before the first byte, the sums, and how long the rest may take", () => {
    let now = 0;
    const moving = new Moving({ now: () => now, mono: () => now });
    const film = moving.begin({ name: "film.mp4", direction: "down", total: 1000 * KB });
    const note = moving.begin({ name: "note.txt", direction: "down", total: 200 * KB });
    moving.begin({ name: "up.bin", direction: "up", total: 50 * KB });
    expect(moving.list().items.map(({ bytes, total, state }) => [bytes, total, state])).toEqual([
      [0, 1000 * KB, "waiting"],
      [0, 200 * KB, "waiting"],
      [0, 50 * KB, "waiting"],
    ]);
    expect(moving.list().down).toEqual({ bytes: 0, total: 1200 * KB });
    for (let i = 0; i < 8; i++) {
      now += 500;
      film.moved(50 * KB);
    }
    const { items, down, up } = moving.list();
    expect(items[0]).toMatchObject({
      name: "film.mp4",
      direction: "down",
      bytes: 400 * KB,
      state: "receiving",
    });
    expect(down).toEqual({ bytes: 400 * KB, total: 1200 * KB, bytesPerSecond: 100 * KB, remainingMs: 8000 });
    expect(up).toEqual({ bytes: 0, total: 50 * KB });
    // What has stood still says nothing of how long.
    now += 60_000;
    expect(moving.list().down).toEqual({ bytes: 400 * KB, total: 1200 * KB });
    film.end();
    note.end();
    expect(moving.list().items.map(({ name }) => name)).toEqual(["up.bin"]);
  });

  test("[IFC66] what was cut and waits here has not moved, and one that is read again begins at nothing", () => {
    let behind = 0;
    const moving = new Moving({ now: () => 0, mono: () => 0 });
    const put = moving.begin({ name: "a.bin", direction: "up", total: 100 }, () => behind);
    put.moved(80);
    behind = 60;
    expect(moving.list().items[0]).toMatchObject({ bytes: 20, total: 100, state: "sending" });
    put.again();
    expect(moving.list().items[0]).toMatchObject({ bytes: 0, state: "waiting" });
  });
});
