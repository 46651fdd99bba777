/** What goes over the line, and what a set-up does where nothing comes back. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cli, createCli, type Running, shell } from "./cli.ts";
import { type Gate, openGate } from "./gate.ts";
import { founded, freePort, type Home, joined, makeDatabase, PLAIN, sql } from "./homes.ts";

let cli: Cli;
let gate: Gate;
let server: Running;
let url: string;
let a: Home & { readonly words: string };
let b: Home;

const file = (name: string): string => join(cli.folder, name);

beforeAll(async () => {
  cli = await createCli();
  const [front, behind] = [await freePort(), await freePort()];
  url = `http://127.0.0.1:${front}`;
  const open = ["--listen", `127.0.0.1:${behind}`, "--public-url", url, "--registration", "open"];
  server = await cli.begin(["--home", file("server"), "server", "run", ...open], /answers at/);
  gate = await openGate(front, behind);
  a = await founded(cli, "a", url);
  b = await joined(cli, "b", url, a.words);
  makeDatabase(file("a.db"), "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT)");
  await cli.json("Attachment", [...a.at, "db", "attach", file("a.db")]);
  await cli.json("Attachment", [...b.at, "db", "attach", file("b.db")]);
  for (const { at } of [a, b, a]) await cli.json("SyncResult", [...at, "sync", "--wait"]);
}, 60_000);

afterAll(async () => {
  await gate.close();
  await server.stop();
  await cli.remove();
});

describe("over the line", { timeout: 120_000 }, () => {
  test("[IFC13] M-39 where nothing has changed a sync sends nothing and fetches nothing", async () => {
    gate.calls.length = 0;
    for (const { at } of [a, b]) await cli.json("SyncResult", [...at, "sync", "--wait"]);
    expect(gate.calls.length).toBeGreaterThan(0);
    expect(new Set(gate.calls)).toEqual(new Set(["GET /v1/vaults/:id/frames"]));
    sql(file("a.db"), "INSERT INTO note (text) VALUES ('one')");
    await cli.json("SyncResult", [...a.at, "sync", "--wait"]);
    expect(gate.calls.filter((call) => call.startsWith("POST"))).toEqual(["POST /v1/vaults/:id/frames"]);
  });
});

describe("a set-up against what never answers", { timeout: 120_000 }, () => {
  const leftovers = (home: string): readonly string[] =>
    existsSync(home)
      ? (readdirSync(home, { recursive: true }) as string[]).filter((at) =>
          /config|replica|keys|sheet/.test(at),
        )
      : [];

  test("[IFC6] [IFC31] a server: init and join end by their name, leave no vault behind, and go through later", async () => {
    gate.hangs = true;
    const env = { WORDS: a.words };
    const place = ["--timeout", "2", "--json"];
    const join24 = ["join", "--remote", url, "--words-from-env", "WORDS", "--device", "late"];
    const wishes = [["init", "--remote", url], ["init", "--remote", url, "--key-from-env", "WORDS"], join24];
    try {
      for (const [i, wish] of wishes.entries()) {
        const home = ["--home", file(`hangs-${i}`), ...PLAIN];
        const ran = await cli.run([...home, ...place, ...wish], { env });
        expect([wish[0], ran.code, JSON.parse(ran.stdout)]).toMatchObject([
          wish[0],
          14,
          { error: { code: "unreachable" } },
        ]);
        expect(leftovers(file(`hangs-${i}`))).toEqual([]);
      }
    } finally {
      gate.hangs = false;
    }
    await cli.json("Join", ["--home", file("hangs-2"), ...PLAIN, ...join24], 0, { env });
  });

  test("[IFC6] [IFC31] a folder on a disk that is gone: in words, and nothing was made", async () => {
    mkdirSync(file("faults"));
    mkdirSync(file("gone"));
    await shell("mkfifo", [file("faults/pipe")]);
    writeFileSync(file("faults/stuck"), "");
    const env = {
      WORDS: a.words,
      NODE_OPTIONS: `--require ${fileURLToPath(new URL("stuck.cjs", import.meta.url))}`,
      TIDELOCK_TEST_FAULTS: file("faults"),
      TIDELOCK_TEST_FOLDER: file("gone"),
    };
    for (const wish of [["init"], ["join", "--words-from-env", "WORDS"]]) {
      const home = file(`gone-${wish[0]}`);
      const args = ["--home", home, ...PLAIN, "--timeout", "2", "--json", ...wish, "--remote", file("gone")];
      // A call on that disk holds an ordinary exit for ever: after its last word only a signal ends the process.
      const { stdout } = await cli.run(args, { env });
      expect(JSON.parse(stdout)).toMatchObject({ error: { code: "unreachable" } });
      expect(leftovers(home)).toEqual([]);
    }
    expect(readdirSync(file("gone"))).toEqual([]);
  });
});

test("[IFC4] S-14 the keys of another device: both are named, exit 13, and the files are as before", async () => {
  const keysOf = (home: Home): string => {
    const vaults = join(home.home, "data", "vaults");
    return join(vaults, readdirSync(vaults)[0] as string, "keys");
  };
  const own = readFileSync(keysOf(b));
  const before = readFileSync(file("b.db"));
  writeFileSync(keysOf(b), readFileSync(keysOf(a)), { mode: 0o600 });
  try {
    const { error } = await cli.json<{
      error: { code: string; why: string; details: Record<string, string> };
    }>("Error", [...b.at, "sync"], 13);
    const { have, expected } = error.details;
    expect([error.code, have === expected]).toEqual(["key-mismatch", false]);
    for (const one of [have, expected]) {
      expect(one).toMatch(/^[0-9a-f]{16}$/);
      expect(error.why).toContain(one as string);
    }
  } finally {
    writeFileSync(keysOf(b), own, { mode: 0o600 });
  }
  expect(readFileSync(file("b.db")).equals(before)).toBe(true);
  await cli.json("SyncResult", [...b.at, "sync", "--wait"]);
}, 60_000);
