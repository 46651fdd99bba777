import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cli, createCli, type RunOptions, until } from "./cli.ts";
import { founded, type Home, makeDatabase, PLAIN, writePrivate } from "./homes.ts";

let cli: Cli;
let remote: string;
let a: Home & { readonly words: string };
const file = (name: string): string => join(cli.folder, name);

beforeAll(async () => {
  cli = await createCli();
  remote = file("remote");
  a = await founded(cli, "laptop", remote);
  makeDatabase(
    file("a.db"),
    "CREATE TABLE t (id INTEGER PRIMARY KEY, v); CREATE TABLE u (id TEXT PRIMARY KEY)",
  );
  await cli.json("Attachment", [...a.at, "db", "attach", file("a.db"), "--tables", "t"]);
  writeFileSync(file("text"), "hello");
  writeFileSync(file("noise.db"), Buffer.alloc(5000, 7));
  mkdirSync(file("folder"));
}, 60_000);
afterAll(() => cli.remove());

/** The code of a refusal, which must say what, why and what next, and show nothing of the program. */
async function refused(args: readonly string[], exit: number, options: RunOptions = {}): Promise<string> {
  const ran = await cli.run(args, options);
  expect(ran.stdout).toBe("");
  expect(ran.stderr).not.toMatch(/^\s+at |node:internal|\bundefined\b/m);
  const [, code] = /^error\[([a-z-]+)\]: \S/m.exec(ran.stderr) ?? [];
  expect(ran.stderr).toMatch(/^ {2}why: {2}\S.*\n {2}next: \S/m);
  expect(`${ran.code} ${args.join(" ")}`).toBe(`${exit} ${args.join(" ")}`);
  expect(code).not.toBe("internal");
  return code ?? "";
}

describe("what cannot be meant", { timeout: 120_000 }, () => {
  test("[IFC11, IFC9] databases that are none, or not where they were looked for", async () => {
    for (const [args, exit, code] of [
      [["attach", file("text")], 2, "not-sqlite"],
      [["attach", file("noise.db")], 2, "not-sqlite"],
      [["attach", file("folder")], 2, "not-sqlite"],
      [["attach", "/dev/null"], 2, "not-sqlite"],
      [["attach", file("nowhere/x.db")], 15, "not-found"],
      [["attach", file("text/x.db")], 15, "not-found"],
      [["attach", ""], 2, "usage"],
      [["attach", file("new.db"), "--tables", "nope"], 15, "not-found"],
      [["attach", file("a.db"), "--tables", "t,u"], 2, "exists"],
      [["attach", file("a.db"), "--natural", "t"], 2, "exists"],
      [["detach", file("none.db"), "--force"], 15, "not-found"],
      [["detach", file("text"), "--force"], 2, "not-sqlite"],
      [["detach", file("folder"), "--force"], 2, "not-sqlite"],
      [["detach", ""], 2, "usage"],
      [["approve", file("none.db")], 15, "not-found"],
    ] as const)
      expect(await refused([...a.at, "db", ...args], exit), args.join(" ")).toBe(code);
    // What was refused left nothing behind.
    expect(readdirSync(cli.folder)).not.toContain("new.db");
    expect(readdirSync(cli.folder)).not.toContain("nowhere");
    // The same wish again is no other wish.
    await cli.json("Attachment", [...a.at, "db", "attach", file("a.db"), "--tables", "T"]);
  });

  test("[IFC1, IFC6] homes and remotes that are none", async () => {
    symlinkSync("loop", file("loop"));
    const init = [...PLAIN, "--no-input", "init", "--remote"];
    for (const [args, exit, code] of [
      [["--home", file("text"), "status"], 2, "usage"],
      [["--home", file("text/deeper"), ...init, file("r1")], 2, "usage"],
      [["--home", "", "status"], 2, "usage"],
      [["--home", file("loop/home"), ...init, file("r1")], 2, "usage"],
      [["--home", file(`h${"x".repeat(300)}`), ...init, file("r1")], 2, "usage"],
      [["--home", file("h1"), ...init, file("text")], 2, "usage"],
      [["--home", file("h1"), ...init, file("none/remote")], 14, "unreachable"],
      [["--home", file("h1"), ...init, "s3://bucket/vault"], 2, "unsupported-on-remote"],
      [
        ["--home", file("h1"), ...PLAIN, "join", "--remote", remote, "--words-file", file("folder")],
        2,
        "usage",
      ],
      [
        ["--home", file("h1"), ...PLAIN, "join", "--remote", remote, "--words-file", file("none")],
        2,
        "usage",
      ],
      [["demo", file("text")], 2, "usage"],
    ] as const)
      expect(await refused(args, exit), args.join(" ")).toBe(code);
    const words = writePrivate(file("words"), a.words);
    // A folder without a vault may be a disk that is not mounted.
    const nobody = [
      "--home",
      file("h1"),
      ...PLAIN,
      "join",
      "--words-file",
      words,
      "--remote",
      file("folder"),
    ];
    expect(await refused(nobody, 14)).toBe("unreachable");
    if (process.platform === "linux")
      // A place where nobody may make a folder, not even the administrator.
      for (const args of [[...init, file("r1")], ["status"]])
        expect(
          await refused([...args], args.length === 1 ? 15 : 2, { env: { TIDELOCK_HOME: "/proc/home" } }),
        ).toBe(args.length === 1 ? "not-configured" : "usage");
    expect(readdirSync(cli.folder)).not.toContain("r1");
  });

  test("[IFC8] a reader that has seen enough is no fault", async () => {
    const [[node, ...rest], env, cwd] = cli.command([...a.at, "log"]);
    const line = [node, ...rest].map((one) => `'${one}'`).join(" ");
    for (const pipe of [
      "| head -c 1",
      "2>&1 | head -c 1",
      "--nonsense 2>&1 | true",
      "2>/dev/full",
      ">&- 2>&-",
    ]) {
      const child = spawn("bash", ["-c", `set -o pipefail; ${line} ${pipe}`], { env: { ...env }, cwd });
      let said = "";
      child.stderr.on("data", (part: Buffer) => {
        said += String(part);
      });
      await new Promise((resolve) => child.once("close", resolve));
      expect(said, pipe).toBe("");
    }
  });

  test("[IFC9] ctrl-C in the middle: 130, in words, and nothing is lost", async () => {
    const app = new Database(file("a.db"));
    app.exec("INSERT INTO t (v) VALUES ('kept'); BEGIN EXCLUSIVE");
    const [[node = "", ...rest], env, cwd] = cli.command([...a.at, "sync", "--wait"]);
    const child = spawn(node, rest, { env: { ...env }, cwd });
    let said = "";
    child.stderr.on("data", (part: Buffer) => {
      said += String(part);
    });
    const ended = new Promise((resolve) => child.once("close", (code, signal) => resolve(signal ?? code)));
    // It has the home, and waits for the database.
    const owner = join(a.home, "run", "lock.owner");
    await until("the home is taken", () =>
      existsSync(owner) && readFileSync(owner, "utf8").includes(String(child.pid)) ? true : undefined,
    );
    child.kill("SIGINT");
    // By the signal itself: a shell's loop ends with it, and says 130.
    expect(await ended).toBe("SIGINT");
    expect(said).toBe("\nstopped; nothing is lost\n");
    app.exec("COMMIT");
    app.close();
    expect(await cli.json("SyncResult", [...a.at, "sync", "--wait"])).toMatchObject({ pendingUp: 0 });
  });
});
