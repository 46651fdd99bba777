/** Content over a real server, by the command line: how fast it moves. */
import { randomFillSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { TransferList } from "@tidelock/node/vault/moving";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cli, createCli, type Running } from "./cli.ts";
import { freePort, PLAIN, wordsOn } from "./homes.ts";

let cli: Cli;
let up: Running;
const file = (name: string): string => join(cli.folder, name);
const at = (name: string): readonly string[] => ["--home", file(name), ...PLAIN];

beforeAll(async () => {
  cli = await createCli();
  const port = await freePort();
  up = await cli.begin(
    [...at("a"), "up", "--listen", `127.0.0.1:${port}`, "--device", "a"],
    /Tidelock is running/,
  );
  const words = { WORDS: wordsOn(join(file("a"), "recovery-sheet.txt")) };
  const join_ = [
    "join",
    "--remote",
    `http://127.0.0.1:${port}`,
    "--device",
    "b",
    "--words-from-env",
    "WORDS",
  ];
  await cli.json("Join", [...at("b"), ...join_], 0, { env: words });
}, 60_000);

afterAll(async () => {
  await up.stop();
  await cli.remove();
});

const SIZE = 4_000_000;
const RATE = 1_000_000;
/** A machine that has other things to do is slower than the limit, and never faster. */
const LEAST = (SIZE / RATE) * 1000 * 0.8;

async function ms(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}

describe("a limit", { timeout: 120_000 }, () => {
  test("[IFC65] Y-33: what is sent and what comes keeps to it, and what arrives is whole; taken away, it holds nothing up", async () => {
    const bytes = randomFillSync(new Uint8Array(SIZE));
    writeFileSync(file("large.bin"), bytes);
    const limits = [...at("b"), "remote", "limit"];
    expect(await cli.json("RemoteLimits", [...limits, "--up", "1MB", "--down", "1MB"])).toMatchObject({
      up: RATE,
      down: RATE,
    });
    const put = await ms(() => cli.json("DriveActed", [...at("b"), "drive", "put", file("large.bin")]));
    expect(put).toBeGreaterThan(LEAST);
    await cli.json("SyncResult", [...at("a"), "sync", "--wait"]);
    await cli.json("DriveActed", [...at("a"), "drive", "get", "large.bin", file("got-a.bin")]);
    expect(readFileSync(file("got-a.bin")).equals(bytes)).toBe(true);

    const get = await ms(() =>
      cli.json("DriveActed", [...at("b"), "drive", "get", "large.bin", file("got-b.bin")]),
    );
    expect(get).toBeGreaterThan(LEAST);
    expect(readFileSync(file("got-b.bin")).equals(bytes)).toBe(true);

    // Outside its hours it does not hold.
    const other = (new Date().getHours() + 12) % 24;
    await cli.json("RemoteLimits", [...limits, "--schedule", `${other}-${other + 1}`]);
    const free = await ms(() =>
      cli.json("DriveActed", [...at("b"), "drive", "get", "large.bin", file("got-c.bin")]),
    );
    expect(free).toBeLessThan(get);
    expect(
      await cli.json("RemoteLimits", [...limits, "--up", "off", "--down", "off", "--schedule", "always"]),
    ).not.toHaveProperty("up");
    const refused = await cli.run([...limits, "--up", "1kB"]);
    expect(refused.code).toBe(2);
  });
});

describe("on its way", { timeout: 120_000 }, () => {
  test("[IFC66] a daemon tells of each file how much has come, at most four times a second, and of no path in its log", async () => {
    const bytes = randomFillSync(new Uint8Array(SIZE));
    writeFileSync(file("watched.bin"), bytes);
    await cli.json("DriveActed", [...at("a"), "drive", "put", file("watched.bin")]);
    await cli.json("RemoteLimits", [...at("b"), "remote", "limit", "--down", "1MB"]);
    const daemon = await cli.daemon(file("b"));
    try {
      const told: { readonly at: number; readonly list: TransferList }[] = [];
      const events = request(
        { socketPath: join(file("b"), "run/daemon.sock"), path: "/v1/events", agent: false },
        (answer) => {
          // It repeats what goes wrong with what it reads.
          const lines = createInterface({ input: answer }).on("error", () => undefined);
          answer.on("error", () => undefined);
          lines.on("line", (line) => {
            const one = JSON.parse(line) as { readonly event: string } & TransferList;
            if (one.event === "progress") told.push({ at: performance.now(), list: one });
          });
        },
      );
      events.on("error", () => undefined);
      events.end();
      await cli.json("SyncResult", [...at("b"), "sync", "--wait"]);
      await cli.json("DriveActed", [...at("b"), "drive", "get", "watched.bin", file("watched.out")]);
      events.destroy();
      const items = told.flatMap(({ list }) => list.items);
      expect(items.length).toBeGreaterThan(3);
      for (const item of items)
        expect(item).toMatchObject({ name: "watched.bin", direction: "down", total: SIZE });
      const moved = items.map(({ bytes: one }) => one);
      expect(moved).toEqual([...moved].sort((x, y) => x - y));
      expect((told.at(-1)?.at ?? 0) - (told[0]?.at ?? 0)).toBeGreaterThan((told.length - 1) * 150);
      expect(daemon.stderr() + daemon.stdout()).not.toContain("watched");
    } finally {
      await daemon.stop();
    }
    expect(readFileSync(file("watched.out")).equals(bytes)).toBe(true);
  });
});
