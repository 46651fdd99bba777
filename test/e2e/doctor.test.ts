import { appendFileSync, chmodSync, mkdirSync, readFileSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cli, createCli } from "./cli.ts";
import { makeDatabase, PLAIN, sql, wordsOn } from "./homes.ts";

/** In every string that a person chose. */
const CANARY = "Zanahoria7q";

let cli: Cli;
let home: string;
let at: readonly string[];

beforeAll(async () => {
  cli = await createCli();
  home = file("home");
  mkdirSync(file(""));
  at = ["--home", home];
  const init = [
    "init",
    "--remote",
    file("remote"),
    "--device",
    `${CANARY} device`,
    "--name",
    `${CANARY} vault`,
  ];
  await cli.json("Init", [...at, ...PLAIN, ...init]);
  makeDatabase(file("app.db"), `CREATE TABLE ${CANARY}_t (id INTEGER PRIMARY KEY, ${CANARY}_c TEXT)`);
  await cli.json("Attachment", [...at, "db", "attach", file("app.db")]);
  insert("cell");
  await cli.json("SyncResult", [...at, "sync", "--wait"]);
}, 60_000);

afterAll(() => cli.remove());

const file = (name: string): string => join(cli.folder, `${CANARY} folder`, name);
const insert = (text: string): unknown =>
  sql(file("app.db"), `INSERT INTO ${CANARY}_t (${CANARY}_c) VALUES ('${CANARY} ${text}')`);

interface Report {
  readonly healthy: boolean;
  readonly findings: readonly { readonly name: string; readonly state: string; readonly next?: string }[];
}

async function states(expected: number): Promise<Record<string, string>> {
  const { findings, healthy } = await cli.json<Report>("DoctorReport", [...at, "doctor"], expected);
  expect(healthy).toBe(expected === 0);
  for (const one of findings) if (one.state !== "ok") expect(one.next, one.name).toBeTruthy();
  return Object.fromEntries(findings.map((one) => [one.name, one.state]));
}

describe("doctor", { timeout: 60_000 }, () => {
  test("[IFC37] every part of a sound home, without a daemon and with one", async () => {
    const sound = {
      node: "ok",
      crypto: "ok",
      sqlite: "ok",
      home: "ok",
      replica: "ok",
      databases: "ok",
      remote: "ok",
      order: "ok",
    };
    expect(await states(0)).toMatchObject({ ...sound, keys: "warn", daemon: "warn", "log clock": "ok" });
    const daemon = await cli.daemon(home);
    expect(await states(0)).toMatchObject({ ...sound, daemon: "ok", outbox: "ok" });
    await daemon.stop();
  });

  test("[IFC37] what is broken fails by its name, and what is beside it is told all the same", async () => {
    const keys = join(home, "data", "vaults");
    renameSync(file("remote"), file("away"));
    expect(await states(1)).toMatchObject({ remote: "fail", order: "fail", replica: "ok" });
    renameSync(file("away"), file("remote"));
    renameSync(file("app.db"), file("gone.db"));
    expect(await states(1)).toMatchObject({ databases: "fail", remote: "ok" });
    renameSync(file("gone.db"), file("app.db"));
    chmodSync(home, 0o700);
    chmodSync(keys, 0o755);
    expect(await states(0)).toMatchObject({ home: "ok" });
    const daemon = await cli.daemon(home);
    // A home without a vault is no fault of the machine.
    const bare = await cli.json<Report>("DoctorReport", ["--home", file("bare"), "doctor"]);
    expect(bare.findings.at(-1)).toMatchObject({ name: "vault", state: "warn" });
    // Another program has the home and answers nothing.
    process.kill(daemon.pid, "SIGSTOP");
    const { findings } = await cli.json<Report>("DoctorReport", [...at, "--timeout", "1", "doctor"], 1);
    expect(findings.map((one) => one.name)).toEqual([
      "node",
      "crypto",
      "sqlite",
      "clock",
      "home",
      "disk",
      "vault",
    ]);
    process.kill(daemon.pid, "SIGCONT");
    await daemon.stop();
  });
});

describe("debug bundle", { timeout: 60_000 }, () => {
  const read = (path: string): string => readFileSync(path, "utf8");

  test("[IFC39] no word a person chose, no key and no recovery word is in it, in any spelling", async () => {
    const daemon = await cli.daemon(home);
    insert("while it runs");
    await cli.json("SyncResult", [...at, "sync", "--wait"]);
    // Errors and halts leave their traces too.
    await cli.json("Error", [...at, "db", "detach", file("no.db")], 15);
    await cli.json("Error", [...at, "history", `${CANARY}_t/99`], 15);
    // And so might a log of a version that knew no better.
    const careless = { event: "api.error", path: file("app.db"), why: `${CANARY} was here`, [CANARY]: 1 };
    appendFileSync(join(home, "state", "daemon.log"), `${JSON.stringify(careless)}\n`);
    const out = join(cli.folder, "bundle.json");
    // What to do about an open folder names it, to whoever is at this machine.
    chmodSync(join(home, "state"), 0o755);
    const made = await cli.run([...at, "debug", "bundle", "--out", out]);
    chmodSync(join(home, "state"), 0o700);
    await daemon.stop();
    expect([made.code, made.stdout]).toEqual([0, `${out}\n`]);
    expect(made.stderr).toContain("versions, findings, status, issues, queue, databases, log");
    expect(statSync(out).mode & 0o777).toBe(0o600);
    const text = read(out);
    for (const spelling of spellings(CANARY)) expect(text.includes(spelling), spelling).toBe(false);
    for (const place of [home, cli.folder, process.env["HOME"] ?? "/nowhere"])
      expect(text).not.toContain(place);
    const words = wordsOn(join(home, "recovery-sheet.txt")).split(" ");
    // Single words of the list are words of the language too; the order of two is the phrase's own.
    expect(words.slice(1).filter((word, i) => text.includes(`${words[i]} ${word}`))).toEqual([]);
    const { vault } = JSON.parse((await cli.run([...at, "status", "--json"])).stdout) as { vault: string };
    expect(text).not.toContain(vault.slice(0, 16));
  });

  test("[IFC39] the search finds what is planted", () => {
    for (const spelling of spellings(CANARY)) expect(`x${spelling}y`).toContain(spelling);
    expect(spellings(CANARY).length).toBeGreaterThan(6);
  });

  test("[IFC39] it is made also where the vault cannot be opened, and never over a file", async () => {
    const out = join(cli.folder, "locked.json");
    const daemon = await cli.daemon(home);
    process.kill(daemon.pid, "SIGSTOP");
    const made = await cli.json<{ sections: string[] }>("Bundle", [
      ...at,
      "--timeout",
      "1",
      "debug",
      "bundle",
      "--out",
      out,
    ]);
    process.kill(daemon.pid, "SIGCONT");
    await daemon.stop();
    expect(made.sections).toEqual(["versions", "findings", "log"]);
    const before = read(out);
    expect(await cli.json("Error", [...at, "debug", "bundle", "--out", out], 2)).toMatchObject({
      error: { code: "exists" },
    });
    expect(
      await cli.json("Error", [...at, "debug", "bundle", "--out", file("no/such/place")], 2),
    ).toMatchObject({
      error: { code: "usage" },
    });
    expect(read(out)).toBe(before);
  });
});

test("[IFC37] a program that drops what is in its way: edits there would go unseen", {
  timeout: 60_000,
}, async () => {
  const daemon = await cli.daemon(home);
  const [trigger] = sql<{ name: string }>(
    file("app.db"),
    "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name GLOB '_tl_*_u'",
  );
  sql(file("app.db"), `DROP TRIGGER "${trigger?.name}"`);
  expect(await states(1)).toMatchObject({ databases: "fail" });
  await daemon.stop();
});

function spellings(text: string): readonly string[] {
  const bytes = Buffer.from(text);
  const base64 = [0, 1, 2].map((shift) =>
    // Without the ends, which depend on what stands beside.
    Buffer.concat([Buffer.alloc(shift), bytes])
      .toString("base64")
      .slice(4, -4),
  );
  return [
    text,
    text.toLowerCase(),
    text.toUpperCase(),
    bytes.toString("hex"),
    bytes.toString("hex").toUpperCase(),
    Buffer.from(text, "utf16le").toString("latin1"),
    encodeURIComponent(`${text} `),
    ...base64,
  ];
}
