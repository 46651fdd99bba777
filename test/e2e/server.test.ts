import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cli, createCli, type Running, until } from "./cli.ts";
import { dump, freePort, type Home, makeDatabase, PLAIN, sql, wordsOn } from "./homes.ts";

let cli: Cli;
let port: number;
let up: Running;
let words: string;
const url = (): string => `http://127.0.0.1:${port}`;
const file = (name: string): string => join(cli.folder, name);
const at = (name: string): readonly string[] => ["--home", file(name), ...PLAIN];

const begin = (): Promise<Running> =>
  cli.begin([...at("a"), "up", "--listen", `127.0.0.1:${port}`, "--device", "a"], /Tidelock is running/);

async function joins(name: string, env: Record<string, string> = {}): Promise<Home> {
  await cli.json(
    "Join",
    [...at(name), "join", "--remote", url(), "--device", name, "--words-from-env", "WORDS"],
    0,
    { env: { WORDS: words, ...env } },
  );
  return { home: file(name), at: at(name) };
}

beforeAll(async () => {
  cli = await createCli();
  port = await freePort();
  up = await begin();
  words = wordsOn(join(file("a"), "recovery-sheet.txt"));
  makeDatabase(
    file("a.db"),
    "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT); INSERT INTO note (text) VALUES ('canary-one'), ('two')",
  );
  await cli.json("Attachment", [...at("a"), "db", "attach", file("a.db")]);
}, 60_000);

afterAll(async () => {
  await up.stop();
  await cli.remove();
});

describe("up", { timeout: 60_000 }, () => {
  test("[IFC50] one process is server, vault and daemon; another device joins it by the words and has the rows", async () => {
    expect(up.stdout()).toContain(url());
    const b = await joins("b");
    await cli.json("Attachment", [...b.at, "db", "attach", file("b.db")]);
    expect(dump(file("b.db"))).toEqual(dump(file("a.db")));
    const daemon = await cli.daemon(file("b"));
    try {
      sql(file("a.db"), "UPDATE note SET text = 'from a' WHERE id = 2");
      sql(file("b.db"), "INSERT INTO note (text) VALUES ('from b')");
      await until("both show both", async () => {
        const rows = sql(file("a.db"), "SELECT text FROM note").length;
        return rows === 3 && JSON.stringify(dump(file("a.db"))) === JSON.stringify(dump(file("b.db")))
          ? true
          : undefined;
      });
    } finally {
      await daemon.stop();
    }
  });

  test("[IFC50] killed and started again it is the same vault, and what was written meanwhile goes out", async () => {
    const before = await cli.json<{ vault: { id: string } }>("Status", [...at("a"), "status"]);
    await up.kill();
    sql(file("a.db"), "INSERT INTO note (text) VALUES ('while it was down')");
    up = await begin();
    expect(await cli.json("Status", [...at("a"), "status"])).toMatchObject({ vault: before.vault });
    await cli.json("SyncResult", [...at("a"), "sync", "--wait"]);
    await cli.json("SyncResult", [...at("b"), "sync", "--wait"]);
    expect(dump(file("b.db"))).toEqual(dump(file("a.db")));
  });

  test("[IFC50] a port that is taken is refused by name, and nothing is founded", async () => {
    const ran = await cli.run([...at("c"), "up", "--listen", `127.0.0.1:${port}`]);
    expect(ran.code).toBe(16);
    expect(ran.stderr).toContain("in-use");
    expect(existsSync(join(file("c"), "config.toml"))).toBe(false);
    const elsewhere = await cli.run([...at("b"), "up", "--listen", `127.0.0.1:${await freePort()}`]);
    expect(elsewhere.stderr).toContain(url());
    expect(elsewhere.code).not.toBe(0);
  });
});

describe("a server", { timeout: 60_000 }, () => {
  test("[IFC51] admits a new person only with a token, once", async () => {
    const vault = ["init", "--remote", url(), "--name", "Second", "--device", "d"];
    const refused = await cli.run([...at("d"), ...vault]);
    expect(refused.code).toBe(10);
    expect(refused.stderr).toContain("error[login]");
    expect(existsSync(join(file("d"), "config.toml"))).toBe(false);
    const { token } = await cli.json<{ token: string }>("Server", [...at("a"), "server", "token"]);
    await cli.json("Init", [...at("d"), ...vault], 0, { env: { TIDELOCK_TOKEN: token } });
    const second = await cli.run([...at("e"), ...vault], { env: { TIDELOCK_TOKEN: token } });
    expect(second.code).toBe(10);
  });

  test("[IFC51] an open server takes whoever comes, without a token", async () => {
    const open = await freePort();
    const listen = ["server", "run", "--listen", `127.0.0.1:${open}`, "--registration", "open"];
    const running = await cli.begin([...at("open"), ...listen, "--data", file("open-data")], /answers at/);
    try {
      const place = ["--remote", `http://127.0.0.1:${open}`, "--name", "Third", "--device", "g"];
      await cli.json("Init", [...at("g"), "init", ...place]);
    } finally {
      await running.stop();
    }
  });

  test("[IFC51] words that are in no vault there, a wrong token, an address that is none", async () => {
    const none = "abandon ".repeat(23);
    const cases: readonly (readonly [readonly string[], Record<string, string>, number])[] = [
      [["join", "--remote", url(), "--words-from-env", "WORDS"], { WORDS: `${none}art` }, 10],
      [["init", "--remote", url()], { TIDELOCK_TOKEN: "short" }, 2],
      [["init", "--remote", "http://example.com"], {}, 2],
      [["init", "--remote", `${url()}/v1`], {}, 2],
      [["init", "--remote", `http://127.0.0.1:${await freePort()}`], {}, 14],
      [["server", "healthcheck", `http://127.0.0.1:${await freePort()}`], {}, 14],
      [["server", "run", "--registration", "everybody"], {}, 2],
      [["server", "run", "--listen", "7433"], {}, 2],
      [["server", "token", "--data", file("nothing")], {}, 15],
    ];
    for (const [args, env, code] of cases) {
      const ran = await cli.run([...at("f"), ...args], { env });
      expect([args.join(" "), ran.code, ran.stderr]).toEqual([args.join(" "), code, ran.stderr]);
      expect(ran.stderr).not.toMatch(/\n\s+at /);
      expect(existsSync(join(file("f"), "config.toml"))).toBe(false);
    }
  });

  test("[IFC16] [IFC51] nothing of the vault stands in what it keeps", async () => {
    const folder = join(file("a"), "server");
    for (const name of ["server.db", "server.db-wal", "server.log"]) {
      const path = join(folder, name);
      if (!existsSync(path)) continue;
      const bytes = readFileSync(path).toString("latin1");
      for (const canary of ["canary-one", "My vault", "while it was down", "note"])
        expect(bytes.includes(canary), `${canary} in ${name}`).toBe(false);
    }
  });
});
