/** A server with an operator, and what people see of it. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cli, createCli, type Running, until } from "./cli.ts";
import { dump, founded, freePort, type Home, joined, makeDatabase, sql } from "./homes.ts";

const TOKEN = "an-operator-of-the-command-line-01234";

let cli: Cli;
let port: number;
let server: Running;
let a: Home & { readonly words: string };
const file = (name: string): string => join(cli.folder, name);
const url = (): string => `http://127.0.0.1:${port}`;

async function admin(method: string, path: string, json?: unknown): Promise<Record<string, unknown>> {
  const answer = await fetch(`${url()}/v1/admin${path}`, {
    method,
    headers: { authorization: `Bearer ${TOKEN}` },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  });
  expect(answer.ok).toBe(true);
  return (await answer.json()) as Record<string, unknown>;
}

/** The vaults of the person that was admitted, as the server names them. */
async function inVaults(): Promise<{ readonly vaults: readonly string[] }> {
  const { vault } = await cli.json<{ vault: string }>("Status", [...a.at, "status"]);
  return { vaults: [Buffer.from(vault, "hex").toString("base64url")] };
}

beforeAll(async () => {
  cli = await createCli();
  port = await freePort();
  writeFileSync(file("operator"), `${TOKEN}\n`, { mode: 0o600 });
  const run = [
    "--home",
    file("server"),
    "server",
    "run",
    "--sign-ins",
    "60000",
    "--listen",
    `127.0.0.1:${port}`,
  ];
  server = await cli.begin([...run, "--operator-token-file", file("operator")], /answers at/, {
    env: { TIDELOCK_OPEN_REGISTRATION: "false" },
  });
}, 60_000);

afterAll(async () => {
  await server.stop();
  await cli.remove();
});

describe("the operator of a server", { timeout: 300_000 }, () => {
  test("[SRV80, IFC7] a token that could be guessed, and a file that others read, start no server", async () => {
    const run = ["--home", file("other"), "server", "run", "--sign-ins", "60000", "--listen", "127.0.0.1:0"];
    const env = { SHORT: "short" };
    await cli.json("Error", [...run, "--operator-token-from-env", "SHORT"], 2, { env });
    writeFileSync(file("open"), TOKEN, { mode: 0o644 });
    await cli.json("Error", [...run, "--operator-token-file", file("open")], 2);
    await cli.json("Error", run, 2, { env: { TIDELOCK_OPEN_REGISTRATION: "perhaps" } });
  });

  test("[SRV22] M-21 a server that is not open takes a person with a token of its operator's, and no other", async () => {
    const init = [
      "--home",
      file("nobody"),
      "--insecure-key-file",
      "init",
      "--remote",
      url(),
      "--device",
      "x",
    ];
    const refused = await cli.json("Error", init, 10);
    expect(refused).toMatchObject({ error: { code: "login" } });
    const { token } = await admin("POST", "/registration-tokens", {});
    a = await founded(cli, "a", url(), { TIDELOCK_TOKEN: String(token) });
  });

  test("[SRV82] [SRV74] T-16 a plan that ended: Upgrade, with what waits and what is read; renewed, Live", async () => {
    const b = await joined(cli, "b", url(), a.words);
    makeDatabase(file("a.db"), "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT)");
    await cli.json("Attachment", [...a.at, "db", "attach", file("a.db")]);
    await cli.json("Attachment", [...b.at, "db", "attach", file("b.db")]);
    sql(file("a.db"), "INSERT INTO note (text) VALUES ('before')");
    await cli.json("SyncResult", [...a.at, "sync", "--wait"]);
    const { persons } = (await admin("GET", "/usage")) as { persons: { person: string }[] };
    const subject = `/entitlements/${persons[0]?.person}`;
    await admin("PUT", subject, { version: 1, plans: [], state: "lapsed" });

    const upgrade = { code: "upgrade", label: "Upgrade", action: "Upgrade", exit: 11 };
    expect(await cli.json("Status", [...b.at, "status"], 11)).toMatchObject(upgrade);
    sql(file("b.db"), "INSERT INTO note (text) VALUES ('waits')");
    // What others had sent comes in all the same.
    expect(await cli.json("Error", [...b.at, "sync"], 11)).toMatchObject({ error: { code: "upgrade" } });
    expect(sql(file("b.db"), "SELECT text FROM note ORDER BY id")).toEqual([
      { text: "before" },
      { text: "waits" },
    ]);
    // A daemon that waits is told, and asks again at once.
    const daemon = await cli.daemon(b.home);
    const code = async (): Promise<unknown> =>
      (JSON.parse((await cli.run([...b.at, "status", "--json"])).stdout) as { code: unknown }).code;
    try {
      await until("Upgrade", async () => ((await code()) === "upgrade" ? true : undefined));
      await admin("PUT", subject, { version: 2, plans: ["team"], state: "active" });
      await until("Live", async () => ((await code()) === "live" ? true : undefined), 30_000);
    } finally {
      await daemon.stop();
    }
    await cli.json("SyncResult", [...a.at, "sync", "--wait"]);
    expect(dump(file("a.db"))).toEqual(dump(file("b.db")));
  });

  test("[SRV93] [SRV94] X-3 nine tenths of the room: an issue, and Live all the same; with more room it is gone", async () => {
    const { persons } = (await admin("GET", "/usage")) as { persons: { person: string; bytes: number }[] };
    const { person, bytes } = persons[0] as { person: string; bytes: number };
    const room = (version: number, quotaBytes: number): Promise<unknown> =>
      admin("PUT", `/entitlements/${person}`, { version, plans: ["team"], state: "active", quotaBytes });
    const codes = async (): Promise<unknown[]> => {
      const status = await cli.json<{ code: string; issues: { code: string }[] }>("Status", [
        ...a.at,
        "status",
      ]);
      expect(status.code).toBe("live");
      return status.issues.map(({ code }) => code);
    };
    await cli.json("SyncResult", [...a.at, "sync", "--wait"]);
    expect(await codes()).not.toContain("quota-near");
    await room(10, Math.floor(bytes / 0.95));
    expect(await codes()).toContain("quota-near");
    const { issues } = await cli.json<{ issues: { code: string; why: string }[] }>("IssueList", [
      ...a.at,
      "issues",
      "ls",
    ]);
    expect(issues.find(({ code }) => code === "quota-near")?.why).toContain("95 %");
    await cli.json("IssueList", [...a.at, "issues", "dismiss", "quota-near"]);
    expect(await codes()).not.toContain("quota-near");
    await room(11, bytes * 10);
    expect(await codes()).not.toContain("quota-near");
    // It crosses the line once more, and is told once more.
    await room(12, Math.floor(bytes / 0.95));
    expect(await codes()).toContain("quota-near");
    await room(13, bytes * 10);
  });

  test("[IFC56] the command line says what the addresses take, asks before it deletes, and lists groups", async () => {
    const at = ["server", "admin"];
    const by = ["--url", url(), "--operator-token-from-env", "OPERATOR"];
    const env = { OPERATOR: TOKEN };
    const says = <T extends object>(shape: Parameters<Cli["json"]>[0], ...words: string[]): Promise<T> =>
      cli.json<T>(shape, ["--home", file("nobody"), ...at, ...words, ...by], 0, { env });
    const { persons } = await says<{ persons: { person: string }[] }>("AdminUsage", "usage");
    const { person } = persons[0] as { person: string };
    const { vaults } = await inVaults();

    const { group } = await says<{ group: string }>("AdminActed", "add", "new", "person", person);
    await says("AdminActed", "add", group, "vault", vaults[0] as string);
    await says("AdminPlan", "plan", group, "--plans", "team,pro", "--quota", "50GB", "--seats", "5");
    const entitlement = { version: 1, plans: ["team", "pro"], seats: 5, quotaBytes: 50e9, state: "active" };
    expect(await says("AdminGroups", "groups")).toMatchObject({
      groups: [{ group, persons: 1, devices: 0, vaults: 1, entitlement }],
    });
    expect(await says("AdminGroup", "group", group)).toMatchObject({
      persons: [person],
      devices: [],
      vaults: [vaults[0]],
    });
    expect(await says("AdminPlan", "suspend", group)).toMatchObject({
      entitlement: { ...entitlement, version: 2, state: "lapsed" },
    });
    expect(await says("AdminPlan", "resume", group)).toMatchObject({
      entitlement: { ...entitlement, version: 3 },
    });
    await says("AdminActed", "remove", group, "vault", vaults[0] as string);
    expect(await says("AdminGroup", "group", group)).toMatchObject({ vaults: [] });

    const remove = ["--home", file("nobody"), ...at, "delete", vaults[0] as string, ...by];
    await cli.json("Error", remove, 2, { env });
    await cli.json("AdminActed", [...remove, "--yes"], 0, { env });
    const gone = await cli.json("Status", [...a.at, "status"], 12);
    expect(gone).toMatchObject({ code: "no-access" });
    await says("AdminActed", "restore", vaults[0] as string);
    expect(await cli.json("Status", [...a.at, "status"])).toMatchObject({ code: "live" });
    const { events } = await says<{ events: { action: string; device?: string }[] }>("AdminAudit", "audit");
    expect(events[0]).toMatchObject({ action: "restore-vault" });

    // A stranger's token, a server without an operator's, an id of no form.
    const other = ["--home", file("nobody"), ...at, "usage", ...by];
    await cli.json("Error", other, 12, { env: { OPERATOR: "x".repeat(40) } });
    await cli.json("Error", ["--home", file("nobody"), ...at, "usage", "--url", url()], 2);
    await cli.json("Error", ["--home", file("nobody"), ...at, "restore", "nothing", ...by], 2, { env });
  });

  test("[SRV83] [IFC52] T-21 the room that is paid for is used up: Error, and what waits is kept; with more room, Live", async () => {
    const { persons } = (await admin("GET", "/usage")) as { persons: { person: string }[] };
    const subject = `/entitlements/${persons[0]?.person}`;
    await admin("PUT", subject, { version: 20, plans: ["team"], state: "active", quotaBytes: 1 });
    sql(file("a.db"), "INSERT INTO note (text) VALUES ('no room')");
    const daemon = await cli.daemon(a.home);
    const shows = (wanted: string): Promise<Record<string, unknown>> =>
      until(wanted, async () => {
        const ran = await cli.run([...a.at, "status", "--json"]);
        const status = JSON.parse(ran.stdout) as { code: string; exit: number };
        expect(ran.code).toBe(status.exit);
        return status.code === wanted ? { ...status } : undefined;
      });
    try {
      expect(await shows("error")).toMatchObject({ label: "Error", detail: "quota", exit: 19, pendingUp: 1 });
      expect(await cli.json("Error", [...a.at, "sync"], 19)).toMatchObject({ error: { code: "quota" } });
      const { items } = await cli.json<{ items: object[] }>("QueueList", [...a.at, "queue", "ls"]);
      expect(items).toMatchObject([{ cause: "quota", nextTry: expect.any(String) }]);
      await admin("PUT", subject, { version: 21, plans: ["team"], state: "active" });
      await cli.json("SyncResult", [...a.at, "sync", "--wait"]);
      expect(await shows("live")).toMatchObject({ label: "Live" });
    } finally {
      await daemon.stop();
    }
  });
});
