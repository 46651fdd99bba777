import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { errorKinds } from "../../packages/core/src/errors.ts";
import { type Cli, createCli, shell } from "./cli.ts";
import { founded, type Home, PLAIN, writePrivate } from "./homes.ts";

let cli: Cli;
let remote: string;
let first: Home & { readonly words: string };

beforeAll(async () => {
  cli = await createCli();
  remote = join(cli.folder, "remote");
  first = await founded(cli, "first", remote);
}, 60_000);

afterAll(() => cli.remove());

interface Failure {
  readonly error: {
    readonly code: string;
    readonly why: string;
    readonly next: string;
    readonly details: Record<string, unknown>;
  };
}

const fails = (args: readonly string[], exit: number, env: Record<string, string> = {}): Promise<Failure> =>
  cli.json<Failure>("Error", args, exit, { env });

/** Runs a command on a terminal and answers like a person who looks at the screen. */
const PERSON = `
import json, os, pty, re, sys
argv, env, cwd = json.load(sys.stdin)
pid, fd = pty.fork()
if pid == 0:
  os.chdir(cwd)
  os.execve(argv[0], argv, env)
screen, answered = "", 0
while True:
  try: part = os.read(fd, 4096)
  except OSError: break
  if not part: break
  screen += part.decode()
  asked = re.findall(r"Word (\\d+): ", screen)
  if len(asked) > answered:
    answered = len(asked)
    words = dict((int(n), w) for n, w in re.findall(r"(\\d+) ([a-z]+)\\b", screen))
    os.write(fd, ((words[int(asked[-1])] if sys.argv[1] == "right" else "nothing") + "\\n").encode())
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(json.dumps({"code": code, "screen": screen}))
`;

let homes = 0;
const fresh = (): string => join(cli.folder, `fresh-${++homes}`);

describe("founding", { timeout: 60_000 }, () => {
  test("[IFC6] a new vault ends synced: the status is Live, and its words wait on a private sheet", async () => {
    const sheet = join(first.home, "recovery-sheet.txt");
    expect(first.words.split(" ")).toHaveLength(24);
    expect(statSync(sheet).mode & 0o777).toBe(0o600);
    expect(statSync(first.home).mode & 0o777).toBe(0o700);
    const status = await cli.json("Status", [...first.at, "status"]);
    expect(status).toMatchObject({
      label: "Live",
      dot: "green",
      seq: 1,
      devices: 1,
      encryption: "E2E Encrypted",
    });
    expect(status["issues"]).toEqual(
      expect.arrayContaining([expect.objectContaining({ code: "recovery-sheet" })]),
    );
  });

  test("[IFC4] a plain key file is private, chosen aloud, and said in every status", async () => {
    const keys = readdirSync(join(first.home, "data", "vaults"), { recursive: true }).filter((name) =>
      String(name).endsWith("keys"),
    );
    expect(keys).toHaveLength(1);
    const file = join(first.home, "data", "vaults", String(keys[0]));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const ran = await cli.run([...first.at, "status"]);
    expect(ran.stderr).toContain("plain file");
  });

  test("[IFC6] on a terminal the words are shown once, and three of them must be typed back", async () => {
    const terminal = async (home: string, answer: string): Promise<{ code: number; screen: string }> => {
      const args = ["--home", home, ...PLAIN, "init", "--remote", `${home}-remote`];
      return JSON.parse(
        await shell("python3", ["-c", PERSON, answer], JSON.stringify(cli.command(args))),
      ) as never;
    };
    const [home, careless] = [fresh(), fresh()];
    const done = await terminal(home, "right");
    expect([done.code, done.screen]).toEqual([0, expect.stringContaining("Word ")]);
    expect(existsSync(join(home, "recovery-sheet.txt"))).toBe(false);
    expect(await cli.json("Status", ["--home", home, "status"])).toMatchObject({ label: "Live" });
    const refused = await terminal(careless, "wrong");
    expect([refused.code, refused.screen]).toEqual([130, expect.stringContaining("error[cancelled]")]);
    expect(existsSync(careless)).toBe(false);
    expect(existsSync(`${careless}-remote`)).toBe(false);
  });

  test("[IFC6] a home or a remote that has a vault is left as it is", async () => {
    const before = readFileSync(join(first.home, "config.toml"), "utf8");
    expect(
      await fails([...first.at, ...PLAIN, "init", "--remote", join(cli.folder, "other")], 2),
    ).toMatchObject({ error: { code: "exists" } });
    expect(existsSync(join(cli.folder, "other"))).toBe(false);
    expect(readFileSync(join(first.home, "config.toml"), "utf8")).toBe(before);
    const home = fresh();
    expect(await fails(["--home", home, ...PLAIN, "init", "--remote", remote], 2)).toMatchObject({
      error: { code: "exists", next: expect.stringContaining("tidelock join") },
    });
    expect(existsSync(home)).toBe(false);
  });

  test("[IFC4] T-27, Y-24 without a keychain and without a passphrase nothing is written", async () => {
    const [home, place] = [fresh(), join(cli.folder, "never")];
    const failed = await fails(["--home", home, "init", "--remote", place], 13);
    expect(failed.error.code).toBe("keyring");
    expect(failed.error.next).toContain("TIDELOCK_PASSPHRASE");
    expect(existsSync(home)).toBe(false);
    expect(existsSync(place)).toBe(false);
  });

  test("[IFC4] T-18 keys under a passphrase open with it alone, and the label says so", async () => {
    const home = fresh();
    const env = { TIDELOCK_PASSPHRASE: "correct horse battery staple" };
    await cli.json("Init", ["--home", home, "init", "--remote", join(cli.folder, "sealed")], 0, { env });
    expect(await cli.json("Status", ["--home", home, "status"], 0, { env })).toMatchObject({ label: "Live" });
    const wrong = { TIDELOCK_PASSPHRASE: "incorrect" };
    expect(await cli.json("Status", ["--home", home, "status"], 13, { env: wrong })).toMatchObject({
      label: "Keyring",
      dot: "red",
    });
    expect(await cli.json("Status", ["--home", home, "status"], 13)).toMatchObject({ label: "Keyring" });
    expect(await fails(["--home", home, "log"], 13, wrong)).toMatchObject({ error: { code: "keyring" } });
    const open = writePrivate(join(cli.folder, "passphrase"), `${env.TIDELOCK_PASSPHRASE}\n`);
    expect(
      await cli.json("Status", ["--home", home, "status"], 0, { env: { TIDELOCK_PASSPHRASE_FILE: open } }),
    ).toMatchObject({ label: "Live" });
    writeFileSync(join(cli.folder, "readable"), "x", { mode: 0o644 });
    expect(
      await fails(["--home", home, "log"], 2, { TIDELOCK_PASSPHRASE_FILE: join(cli.folder, "readable") }),
    ).toMatchObject({
      error: { code: "usage", next: expect.stringContaining("chmod 600") },
    });
  });

  test("[IFC6] T-13, T-9 a vault without a remote is Local, and remotes other than folders are refused in plain words", async () => {
    const home = fresh();
    await cli.json("Init", ["--home", home, ...PLAIN, "init", "--local"]);
    expect(await cli.json("Status", ["--home", home, "status"])).toMatchObject({
      label: "Local",
      dot: "grey",
    });
    const bucket = ["--home", fresh(), ...PLAIN, "init", "--remote", "s3://bucket/vault"];
    expect((await fails(bucket, 2)).error).toMatchObject({
      code: "unsupported-on-remote",
      why: expect.stringContaining("folders"),
    });
    expect(
      await fails(
        ["--home", fresh(), ...PLAIN, "init", "--remote", join(cli.folder, "no", "such", "parent")],
        14,
      ),
    ).toMatchObject({
      error: { code: "unreachable" },
    });
    expect(await fails(["--home", fresh(), ...PLAIN, "init"], 2)).toMatchObject({ error: { code: "usage" } });
  });
});

describe("joining", { timeout: 60_000 }, () => {
  const join24 = (home: string, words: string, place = remote): readonly string[] => [
    "--home",
    home,
    ...PLAIN,
    "join",
    "--remote",
    place,
    "--device",
    "second",
    "--words-file",
    writePrivate(join(cli.folder, `w${++homes}`), words),
  ];

  test("[IFC6] a second device joins by the words, however they are typed", async () => {
    const home = fresh();
    const typed = first.words
      .split(" ")
      .map((word, i) => `${i + 1}. ${word.toUpperCase()}`)
      .join(",\n");
    expect(await cli.json("Join", join24(home, typed))).toMatchObject({ device: 1, name: "Test vault" });
    expect(await cli.json("Status", ["--home", home, "status"])).toMatchObject({ label: "Live", devices: 2 });
  });

  test("[IFC7] a bad word is named by its position, and nothing is written", async () => {
    const words = first.words.split(" ");
    const home = fresh();
    const bad = await fails(join24(home, words.with(6, "zzzz").join(" ")), 13);
    expect(bad.error).toMatchObject({ code: "phrase-word", details: { position: 7 } });
    expect(bad.error.why).not.toContain("zzzz");
    expect(await fails(join24(home, words.slice(1).join(" ")), 13)).toMatchObject({
      error: { code: "phrase-length", details: { count: 23 } },
    });
    const swapped = words.with(0, words[1] as string).with(1, words[0] as string);
    const checksum = await fails(join24(home, swapped.join(" ")), 13);
    expect(["phrase-checksum", "key-mismatch"]).toContain(checksum.error.code);
    expect(existsSync(home)).toBe(false);
  });

  test("[IFC6] the words of another vault are a key mismatch, and nothing is written", async () => {
    const foreign = await founded(cli, "foreign", join(cli.folder, "foreign-remote"));
    const home = fresh();
    expect(await fails(join24(home, foreign.words), 13)).toMatchObject({ error: { code: "key-mismatch" } });
    expect(existsSync(join(home, "config.toml"))).toBe(false);
    expect(existsSync(join(home, "data"))).toBe(false);
  });

  test("[IFC7] the same words found a vault and admit the next machine unattended", async () => {
    const place = join(cli.folder, "unattended");
    const env = { PHRASE: "abandon ".repeat(23).concat("art") };
    const found = (home: string) =>
      cli.json("Init", ["--home", home, ...PLAIN, "init", "--remote", place, "--key-from-env", "PHRASE"], 0, {
        env,
      });
    expect(await found(fresh())).toMatchObject({ founded: true, device: 0 });
    const second = fresh();
    expect(await found(second)).toMatchObject({ founded: false, device: 1 });
    expect(existsSync(join(second, "recovery-sheet.txt"))).toBe(false);
  });

  test("[IFC10] without a terminal a missing answer is wrong usage that names the flag", async () => {
    const failed = await fails(["--home", fresh(), ...PLAIN, "join", "--remote", remote], 2);
    expect(failed.error.next).toContain("--words-from-env");
    expect(
      await fails(
        ["--home", fresh(), ...PLAIN, "join", "--remote", remote, "--words-from-env", "NOT_SET"],
        2,
      ),
    ).toMatchObject({
      error: { code: "usage", why: expect.stringContaining("NOT_SET") },
    });
  });
});

describe("speaking", { timeout: 60_000 }, () => {
  beforeAll(async () => {
    await cli.json("SyncResult", [...first.at, "sync", "--wait"]);
  });

  test("[IFC8] data goes to stdout, everything else to stderr, and never a colour where nobody sees it", async () => {
    const ran = await cli.run([...first.at, "status"], { env: { NO_COLOR: "1" } });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toBe("Live\n");
    expect(ran.stderr).not.toContain("\u001b");
    const quiet = await cli.run([...first.at, "--quiet", "status"]);
    expect([quiet.stdout, quiet.stderr]).toEqual(["Live\n", ""]);
    const failed = await cli.run(["--home", fresh(), "status"]);
    expect([failed.code, failed.stdout]).toEqual([15, ""]);
  });

  test("[IFC11] an error says what, why and what next", async () => {
    const ran = await cli.run(["--home", fresh(), "status"]);
    expect(ran.stderr).toMatch(/^error\[not-configured\]: .+\n {2}why: {2}.+\n {2}next: tidelock .+\n$/);
  });

  test("[IFC9] wrong usage is 2, a home without a vault is 15, another vault than named is 15", async () => {
    for (const args of [
      ["nonsense"],
      ["status", "--nope"],
      ["log", "--limit", "x"],
      ["db", "attach"],
      ["log", "shew", "1"],
    ])
      expect(await fails([...first.at, ...args], 2), args.join(" ")).toMatchObject({
        error: { code: "usage" },
      });
    expect(await fails(["--home", fresh(), "sync"], 15)).toMatchObject({ error: { code: "not-configured" } });
    expect(await fails([...first.at, "--vault", "00000000", "status"], 15)).toMatchObject({
      error: { code: "not-found" },
    });
    const { vault } = await cli.json<{ vault: string }>("Status", [...first.at, "status"]);
    expect(await cli.json("Status", [...first.at, "--vault", vault.slice(0, 8), "status"])).toMatchObject({
      vault,
    });
  });

  test("[IFC1] a home comes from the flag, the variable, or the project's file", async () => {
    const env = { TIDELOCK_HOME: first.home };
    expect((await cli.run(["status"], { env })).stdout).toBe("Live\n");
    const project = join(cli.folder, "project");
    mkdirSync(project);
    writeFileSync(join(project, "tidelock.toml"), `home = "../first"\n`);
    expect((await cli.run(["status"], { cwd: project })).stdout).toBe("Live\n");
    expect((await cli.run(["--home", fresh(), "status"], { env })).code).toBe(15);
  });

  test("[IFC8] help lists every command, every error and every shape", async () => {
    const help = await cli.run(["help"]);
    for (const command of [
      "init",
      "join",
      "status",
      "sync",
      "db",
      "daemon",
      "log",
      "why",
      "history",
      "conflicts",
      "queue",
      "verify",
      "demo",
    ])
      expect(help.stdout).toContain(command);
    const { errors } = await cli.json<{ errors: { code: string }[] }>("ErrorKinds", ["help", "errors"]);
    expect(errors.map((e) => e.code)).toEqual(Object.keys(errorKinds));
    expect(Object.keys(JSON.parse((await cli.run(["help", "json"])).stdout) as object)).toContain("Status");
  });

  test("[IFC11] a missing SQLite binding is said with the one line that mends it", async () => {
    const preload = join(cli.folder, "no-binding.cjs");
    writeFileSync(
      preload,
      `const m = require("node:module"); const load = m._load;
       m._load = (name, ...rest) => { if (name === "better-sqlite3") throw Object.assign(new Error("no"), { code: "MODULE_NOT_FOUND" }); return load(name, ...rest); };`,
    );
    const failed = await fails([...first.at, "log"], 1, { NODE_OPTIONS: `--require ${preload}` });
    expect(failed.error).toMatchObject({ code: "internal", next: "npm rebuild better-sqlite3" });
  });

  test("[IFC9] the label is Offline while the folder is away, and Live once it is back", async () => {
    renameSync(remote, `${remote}-away`);
    try {
      expect(await cli.json("Status", [...first.at, "status"], 14)).toMatchObject({
        label: "Offline",
        dot: "grey",
      });
      expect(await fails([...first.at, "sync"], 14)).toMatchObject({ error: { code: "unreachable" } });
      expect(existsSync(remote)).toBe(false);
    } finally {
      renameSync(`${remote}-away`, remote);
    }
    expect(await cli.json("Status", [...first.at, "status"])).toMatchObject({ label: "Live" });
  });
});
