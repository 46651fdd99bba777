import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Cli, createCli } from "./cli.ts";
import { dump } from "./homes.ts";

let cli: Cli;

beforeAll(async () => {
  cli = await createCli();
}, 60_000);

afterAll(() => cli.remove());

test("[IFC21] the demonstration shows two devices, ends by itself, and goes on at its second start", async () => {
  const first = await cli.run(["demo"], { cwd: cli.folder });
  expect([first.code, first.stderr]).toEqual([0, expect.stringContaining("--insecure-key-file")]);
  const second = await cli.json<{ rows: number; equal: boolean }>("Demo", ["demo"], 0, { cwd: cli.folder });
  expect(second).toMatchObject({ equal: true, rows: 7 });
  const at = (name: string): string => join(cli.folder, ".tidelock", name);
  expect(dump(at("laptop.db"))).toEqual(dump(at("phone.db")));
  // What it says to type next works as it stands.
  const lines = first.stdout
    .split("\n")
    .flatMap((line) => /npx tidelock (.+?)(?: {3}\(.*\))?$/.exec(line)?.[1] ?? []);
  expect(lines.length).toBeGreaterThan(3);
  const history = lines.find((line) => line.includes("history")) as string;
  expect((await cli.run(history.split(" "), { cwd: cli.folder })).code).toBe(0);
});
