/** Each state that a person can be told, by its own cause, with a server that really runs. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cli, createCli, type Running, until } from "./cli.ts";
import { founded, freePort, type Home, joined, makeDatabase, sql } from "./homes.ts";

let cli: Cli;
let port: number;
let server: Running;
let daemon: Running;
let a: Home & { readonly words: string };
let b: Home;

interface Shown {
  readonly code: string;
  readonly label: string;
  readonly exit: number;
  readonly detail?: string;
}

const file = (name: string): string => join(cli.folder, name);
const url = (): string => `http://127.0.0.1:${port}`;
const runServer = (): Promise<Running> => {
  const listen = ["--listen", `127.0.0.1:${port}`, "--registration", "token"];
  return cli.begin(
    ["--home", file("server"), "server", "run", "--sign-ins", "60000", ...listen],
    /answers at/,
  );
};
const token = async (): Promise<Record<string, string>> => {
  const made = await cli.json<{ token: string }>("Server", ["--home", file("server"), "server", "token"]);
  return { TIDELOCK_TOKEN: made.token };
};

async function status(home: Home): Promise<Shown> {
  const ran = await cli.run([...home.at, "status", "--json"]);
  const shown = JSON.parse(ran.stdout) as Shown;
  expect(ran.code).toBe(shown.exit);
  return shown;
}

/** Waits until it is told so, by itself. */
const shows = (home: Home, code: string): Promise<Shown> =>
  until(code, async () => {
    const found = await status(home);
    return found.code === code ? found : undefined;
  });

/** As whoever runs the server may, while it is down. */
async function changed(statement: string): Promise<void> {
  await server.stop();
  const db = new Database(join(file("server"), "data", "server", "server.db"));
  db.exec(statement);
  db.close();
  server = await runServer();
}

beforeAll(async () => {
  cli = await createCli();
  port = await freePort();
  server = await runServer();
  a = await founded(cli, "a", url(), await token());
  b = await joined(cli, "b", url(), a.words);
  makeDatabase(file("a.db"), "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT)");
  await cli.json("Attachment", [...a.at, "db", "attach", file("a.db")]);
  daemon = await cli.daemon(a.home);
}, 60_000);

afterAll(async () => {
  await daemon.stop();
  await server.stop();
  await cli.remove();
});

describe("while a daemon runs", { timeout: 120_000 }, () => {
  test("[IFC52] T-14 caught up, with the server's hints: Live", async () => {
    expect(await shows(a, "live")).toMatchObject({ label: "Live", dot: "green", exit: 0 });
  });

  test("[IFC52] T-19 the server stopped, the network up: Offline; started again, Live by itself", async () => {
    await server.stop();
    expect(await shows(a, "offline")).toMatchObject({ label: "Offline", action: "Retry now", exit: 14 });
    sql(file("a.db"), "INSERT INTO note (text) VALUES ('meanwhile')");
    server = await runServer();
    await shows(a, "live");
    await cli.json("SyncResult", [...b.at, "sync", "--wait"]);
  });

  test("[IFC52] T-15, T-10, T-24 the server does not know the person any more: Log in; logged in, Live", async () => {
    await changed("DELETE FROM account_devices; DELETE FROM persons");
    expect(await shows(a, "login")).toMatchObject({ label: "Log in", action: "Log in", exit: 10 });
    sql(file("a.db"), "INSERT INTO note (text) VALUES ('kept')");
    expect(await cli.json("Error", [...a.at, "sync"], 10)).toMatchObject({ error: { code: "login" } });
    expect(await cli.json("Error", [...a.at, "login"], 10)).toMatchObject({ error: { code: "login" } });
    await cli.json("Session", [...a.at, "login"], 0, { env: await token() });
    await shows(a, "live");
    await cli.json("SyncResult", [...a.at, "sync", "--wait"]);
    // The person is known again, and so is every device of his.
    await cli.json("SyncResult", [...b.at, "sync", "--wait"]);
  });

  test("[IFC52] T-21 something answers in the server's place, and makes no sense: Error", async () => {
    await server.stop();
    const nonsense = await answering((_request, response) => response.end("{}"));
    try {
      expect(await shows(a, "error")).toMatchObject({ label: "Error", detail: "remote-corrupt", exit: 1 });
    } finally {
      await closed(nonsense);
      server = await runServer();
    }
    await shows(a, "live");
  });
});

describe("a look without a daemon", { timeout: 120_000 }, () => {
  test("[IFC52] T-22 an edit that nobody has sent yet: Pending", async () => {
    await cli.json("Attachment", [...b.at, "db", "attach", file("b.db")]);
    expect(await status(b)).toMatchObject({ code: "live" });
    sql(file("b.db"), "INSERT INTO note (text) VALUES ('not sent')");
    expect(await status(b)).toMatchObject({ label: "Pending", action: "Sync now", exit: 0 });
    await cli.json("SyncResult", [...b.at, "sync", "--wait"]);
    expect(await status(b)).toMatchObject({ code: "live" });
  });

  test("[IFC52] T-20, T-28 no way out of this machine: No network; with one, Offline", async (context) => {
    if (spawnSync("unshare", ["-n", "true"]).status !== 0) context.skip("no network namespaces here");
    // The same home, whose server is on another machine that nobody reaches.
    const config = join(b.home, "config.toml");
    const before = readFileSync(config, "utf8");
    writeFileSync(config, before.replace(url(), "https://127.0.0.2:9"));
    try {
      expect(await status(b)).toMatchObject({ label: "Offline", exit: 14 });
      const [[program, ...rest], env] = cli.command([...b.at, "status", "--json"]);
      const ran = spawnSync("unshare", ["-n", program as string, ...rest], { env, encoding: "utf8" });
      expect(JSON.parse(ran.stdout)).toMatchObject({ label: "No network", exit: 14 });
      expect(ran.status).toBe(14);
    } finally {
      writeFileSync(config, before);
    }
    expect(await status(b)).toMatchObject({ code: "live" });
  });

  test("[IFC52] T-17, T-11, M-23 the server has signed the device out: No access; the log has removed it: No access", async () => {
    const c = await joined(cli, "c", url(), a.words);
    const { devices } = await cli.json<{ devices: { device: number; name: string }[] }>("DeviceList", [
      ...c.at,
      "device",
      "ls",
    ]);
    expect(devices.map((one) => one.name)).toEqual(["a", "b", "c"]);
    await changed(
      "UPDATE account_devices SET revoked = 1 WHERE device IN (SELECT device FROM devices WHERE device_index = 2)",
    );
    expect(await status(c)).toMatchObject({
      label: "No access",
      detail: "The server refuses this device: its person signed it out",
      exit: 12,
    });
    expect(await cli.json("Error", [...c.at, "sync"], 12)).toMatchObject({ error: { code: "no-access" } });
    const d = await joined(cli, "d", url(), a.words);
    await cli.json("SyncResult", [...a.at, "sync", "--wait"]);
    await cli.json("DeviceActed", [...a.at, "--yes", "device", "rm", "d"]);
    await cli.run([...d.at, "sync"]);
    expect(await status(d)).toMatchObject({
      label: "No access",
      detail: "This device was removed from the vault",
      exit: 12,
    });
  });
});

function answering(each: Parameters<typeof createServer>[1] & object): Promise<Server> {
  return new Promise((resolve) => {
    const made = createServer(each);
    made.listen(port, "127.0.0.1", () => resolve(made));
  });
}

function closed(one: Server): Promise<void> {
  return new Promise((resolve) => {
    one.close(() => resolve());
    one.closeAllConnections();
  });
}
