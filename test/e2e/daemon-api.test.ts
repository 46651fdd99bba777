import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cli, createCli, type Running, shell, until } from "./cli.ts";
import { founded, type Home, joined, makeDatabase, sql } from "./homes.ts";

let cli: Cli;
let remote: string;
let a: Home & { readonly words: string };
let b: Home;

beforeAll(async () => {
  cli = await createCli();
  remote = join(cli.folder, "remote");
  a = await founded(cli, "laptop", remote);
  b = await joined(cli, "phone", remote, a.words);
  makeDatabase(file("a.db"), "CREATE TABLE log (id INTEGER PRIMARY KEY, who TEXT, line TEXT)");
  await cli.json("Attachment", [...a.at, "db", "attach", file("a.db")]);
  await cli.json("Attachment", [...b.at, "db", "attach", file("b.db")]);
}, 60_000);

afterAll(() => cli.remove());

const file = (name: string): string => join(cli.folder, name);
const code = (found: unknown): string => (found as { error: { code: string } }).error.code;

/** Bytes as they are over a socket, and all that came back until it was closed. */
function raw(socket: string, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    const to = connect(socket, () => to.end(bytes));
    to.on("data", (part) => parts.push(part));
    to.on("error", (error: NodeJS.ErrnoException) => {
      // Closed on us while we were still talking.
      if (error.code !== "EPIPE" && error.code !== "ECONNRESET") reject(error);
    });
    to.on("close", () => resolve(Buffer.concat(parts).toString("utf8")));
  });
}

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const call = (method: string, path: string, body = ""): string =>
  `${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

describe("the local API", { timeout: 60_000 }, () => {
  test("[IFC30] nonsense on the socket is refused by name, and the daemon goes on", async () => {
    const daemon = await cli.daemon(a.home);
    try {
      const socket = join(a.home, "run", "daemon.sock");
      const deep = `${'{"a":'.repeat(5000)}1${"}".repeat(5000)}`;
      const cases: readonly (readonly [string, string | Buffer, string])[] = [
        ["no HTTP", "\0\0\0\x16\x03\x01hello", "usage"],
        ["random bytes", Buffer.from(Array.from({ length: 999 }, (_, i) => (i * 7919) % 256)), "usage"],
        ["endless headers", `GET / HTTP/1.1\r\nx: ${"y".repeat(40_000)}\r\n\r\n`, "too-large"],
        ["a long address", call("GET", `/v1/status?q=${"z".repeat(40_000)}`), "too-large"],
        ["a long body", call("POST", "/v1/vaults/-/sync", `"${"b".repeat(200_000)}"`), "too-large"],
        ["no such call", call("GET", "/v1/secrets"), "not-found"],
        ["a wrong method", call("DELETE", "/v1/vaults/-/status"), "not-found"],
        ["another vault", call("GET", "/v1/vaults/ffffffff/status"), "not-found"],
        ["a vault that is a path", call("GET", "/v1/vaults/%2e%2e%2f%00/status"), "not-found"],
        ["a broken escape", call("GET", "/v1/vaults/%zz/status"), "not-found"],
        ["a name of every object", call("POST", "/v1/vaults/-/constructor"), "not-found"],
        ["no JSON", call("POST", "/v1/vaults/-/sync", "{"), "usage"],
        ["a list", call("POST", "/v1/vaults/-/sync", "[]"), "usage"],
        ["null", call("POST", "/v1/vaults/-/sync", "null"), "usage"],
        ["a missing field", call("POST", "/v1/vaults/-/databases", "{}"), "usage"],
        ["a number for a path", call("POST", "/v1/vaults/-/databases", '{"path":7}'), "usage"],
        ["a path with a NUL", call("DELETE", "/v1/vaults/-/databases", '{"path":"/a\\u0000b"}'), "usage"],
        [
          "a field of the prototype",
          call("POST", "/v1/vaults/-/databases", '{"__proto__":{"path":"/x"}}'),
          "usage",
        ],
        [
          "an entry below zero",
          call("GET", `/v1/vaults/-/log/entry?q=${encodeURIComponent('{"seq":-1}')}`),
          "usage",
        ],
        ["a fraction", call("GET", `/v1/vaults/-/log?q=${encodeURIComponent('{"from":1.5}')}`), "usage"],
        ["an endless number", call("POST", "/v1/vaults/-/sync", '{"timeoutMs":1e999}'), "usage"],
        ["a wrong flag", call("POST", "/v1/vaults/-/sync", '{"wait":"yes"}'), "usage"],
        ["deep JSON", call("POST", "/v1/vaults/-/databases", deep), "usage"],
      ];
      for (const [what, bytes, expected] of cases) {
        const answer = await raw(socket, bytes);
        const body = answer.slice(answer.indexOf("\r\n\r\n") + 4);
        expect(answer.startsWith("HTTP/1.1 4"), `${what}: ${answer.slice(0, 200)}`).toBe(true);
        expect((JSON.parse(body) as { code: string }).code, what).toBe(expected);
      }
      await cli.json("Status", [...a.at, "status"]);
      // What came from outside stands in no log.
      expect(readFileSync(join(a.home, "state", "daemon.log"), "utf8")).not.toMatch(/yyyy|secrets|zzzz/);
    } finally {
      expect(await daemon.stop()).toBe(0);
    }
  });

  test("[IFC30] a folder of the socket that others can enter is refused, with what to do", async () => {
    const run = join(b.home, "run");
    const { mode } = statSync(run);
    await shell("chmod", ["755", run]);
    const failed = await cli.run([...b.at, "daemon", "run"]);
    expect([failed.code, failed.stderr]).toEqual([2, expect.stringContaining(`chmod 700 ${run}`)]);
    await shell("chmod", [(mode & 0o777).toString(8), run]);
  });

  test("[IFC31] a daemon that was stopped is told of, and ended by force; nothing is lost", async () => {
    const daemon = await cli.daemon(a.home);
    process.kill(daemon.pid, "SIGSTOP");
    const quick = ["--timeout", "1"];
    sql(file("a.db"), "INSERT INTO log (who, line) VALUES ('forced', 'kept')");
    expect(await cli.json("Status", [...a.at, ...quick, "status"], 1)).toMatchObject({
      code: "error",
      detail: expect.stringContaining(`process ${daemon.pid}) has not answered for 1 s: it was stopped`),
    });
    expect(code(await cli.json("Error", [...a.at, ...quick, "sync"], 1))).toBe("stalled");
    expect(code(await cli.json("Error", [...a.at, ...quick, "daemon", "stop"], 1))).toBe("stalled");
    await cli.json("Daemon", [...a.at, ...quick, "daemon", "stop", "--force"]);
    await cli.json("SyncResult", [...a.at, "sync", "--wait"]);
    await cli.json("SyncResult", [...b.at, "sync", "--wait"]);
    expect(sql(file("b.db"), "SELECT line FROM log WHERE who = 'forced'")).toEqual([{ line: "kept" }]);
    await daemon.stop();
  });

  test("[IFC20] restarted, it opens everything anew in the same process", async () => {
    expect(code(await cli.json("Error", [...a.at, "daemon", "restart"], 15))).toBe("not-found");
    const daemon = await cli.daemon(a.home);
    try {
      const before = await cli.json<{ since: string }>("Daemon", [...a.at, "daemon", "status"]);
      const after = await cli.json<{ since: string; pid: number }>("Daemon", [...a.at, "daemon", "restart"]);
      expect(after.pid).toBe(daemon.pid);
      expect(after.since > before.since).toBe(true);
      await cli.json("SyncResult", [...a.at, "sync", "--wait"]);
    } finally {
      expect(await daemon.stop()).toBe(0);
    }
  });
});

describe("following the status", { timeout: 60_000 }, () => {
  test("[IFC41] each change is one line, until the daemon ends; who does not read holds nothing up", async () => {
    expect(code(await cli.json("Error", [...a.at, "status", "--follow"], 15))).toBe("not-found");
    const daemon = await cli.daemon(a.home);
    const [[program, ...args], env, cwd] = cli.command([...a.at, "status", "--follow", "--json"]);
    const child = spawn(program as string, args, {
      env: { ...env },
      cwd,
      stdio: ["ignore", "pipe", "ignore"],
    });
    const parts: Buffer[] = [];
    child.stdout.on("data", (part: Buffer) => parts.push(part));
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
    const labels = (): string[] =>
      Buffer.concat(parts)
        .toString("utf8")
        .split("\n")
        .flatMap((line) =>
          line === "" ? [] : [(JSON.parse(line) as { detail?: string; label: string }).label],
        );
    const deaf = connect(join(a.home, "run", "daemon.sock"));
    deaf.pause();
    deaf.write(call("GET", "/v1/events"));
    await until("it is live", () => (labels().at(-1) === "Live" ? true : undefined));
    await cli.json("Status", [...a.at, "pause"]);
    await until("it is paused", () => (labels().at(-1) === "Offline" ? true : undefined));
    await cli.json("Status", [...a.at, "resume"]);
    await until("it is live again", () => (labels().at(-1) === "Live" ? true : undefined));
    expect(labels().length).toBeLessThan(20);
    expect(await daemon.stop()).toBe(0);
    deaf.destroy();
    expect(await ended).toBe(16);
  });

  test("[IFC41] M-25 whoever comes back says what was told last, and is told what is new, also by another daemon", async () => {
    interface Told {
      readonly id: string;
      readonly label: string;
    }
    const follow = (...after: string[]): Promise<Running> =>
      cli.begin([...a.at, "status", "--follow", "--json", ...after], /./);
    const told = (one: Running): Told[] =>
      one
        .stdout()
        .split("\n")
        .flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Told]));
    const lastOf = (one: Running, label: string): Promise<Told> =>
      until(label, () => told(one).findLast((found) => found.label === label));

    let daemon = await cli.daemon(a.home);
    const first = await follow();
    const { id } = await lastOf(first, "Live");
    await first.stop();
    await cli.json("Status", [...a.at, "pause"]);
    await daemon.stop();
    daemon = await cli.daemon(a.home);
    try {
      // It was paused meanwhile: that is told, and what was told before is not.
      const second = await follow("--after", id);
      const paused = await lastOf(second, "Offline");
      expect(new Set(told(second).map(({ label }) => label))).toEqual(new Set(["Offline"]));
      await second.stop();
      const third = cli.begin([...a.at, "status", "--follow", "--json", "--after", paused.id], /Live/);
      await cli.json("Status", [...a.at, "resume"]);
      const labels = told(await third).map(({ label }) => label);
      expect(labels).not.toContain("Offline");
      await (await third).stop();
    } finally {
      await daemon.stop();
    }
  });
});

describe("a disk that does not answer", { timeout: 60_000 }, () => {
  const faults = (name: string): string => join(cli.folder, "faults", name);
  const set = (name: string): void => writeFileSync(faults(name), "");

  async function stuckDaemon(from: "start" | "later" = "later") {
    rmSync(faults(""), { recursive: true, force: true });
    mkdirSync(faults(""));
    await shell("mkfifo", [faults("pipe")]);
    if (from === "start") set("stuck");
    const env = {
      NODE_OPTIONS: `--require ${fileURLToPath(new URL("stuck.cjs", import.meta.url))}`,
      TIDELOCK_TEST_FAULTS: faults(""),
      TIDELOCK_TEST_FOLDER: remote,
    };
    return cli.daemon(a.home, { env });
  }

  test("[IFC31] the status names what does not answer, and the daemon ends all the same", async () => {
    const daemon = await stuckDaemon();
    await cli.json("SyncResult", [...a.at, "sync", "--wait"]);
    set("stuck");
    const waiting = cli.json("Error", [...a.at, "sync"], 1);
    const syncing = (): Promise<Record<string, unknown>> => cli.json("Status", [...a.at, "status"]);
    await until("the read is under way", async () =>
      (await syncing())["code"] === "syncing" ? true : undefined,
    );
    set("later");
    expect(await cli.json("Status", [...a.at, "status"], 1)).toMatchObject({
      label: "Error",
      detail: expect.stringContaining("the remote does not answer a read"),
      action: "Restart sync",
      issues: expect.arrayContaining([expect.objectContaining({ code: "stalled" })]),
    });
    expect(code(await waiting)).toBe("stalled");
    await cli.json("Daemon", [...a.at, "daemon", "stop"]);
    // By itself: a call on that disk would hold an ordinary exit for ever.
    await until("the process is gone", () => (runs(daemon.pid) ? undefined : true), 10_000);
    await cli.json("Status", [...a.at, "status"]);
  });

  test("[IFC31] gone from the start, it keeps no daemon and no command from answering", async () => {
    const daemon = await stuckDaemon("start");
    sql(file("a.db"), "INSERT INTO log (who, line) VALUES ('gone', 'kept')");
    await until("the edit is durable", async () => {
      const { pendingUp } = await cli.json<{ pendingUp: number }>("Status", [...a.at, "status"]);
      return pendingUp > 0 ? true : undefined;
    });
    set("later");
    expect(await cli.json("Status", [...a.at, "status"], 1)).toMatchObject({
      detail: expect.stringContaining("the remote does not answer a read"),
    });
    await cli.json("Daemon", [...a.at, "daemon", "stop"]);
    await daemon.stop();
    await cli.json("SyncResult", [...a.at, "sync", "--wait"]);
    await cli.json("SyncResult", [...b.at, "sync", "--wait"]);
    expect(sql(file("b.db"), "SELECT line FROM log WHERE who = 'gone'")).toEqual([{ line: "kept" }]);
  });

  test("[IFC31] a daemon that stops answering in the middle of a call is told of too", async () => {
    const daemon = await stuckDaemon();
    await cli.json("SyncResult", [...a.at, "sync", "--wait"]);
    set("stuck");
    const caller = cli.json("Error", [...a.at, "--timeout", "2", "verify"], 1);
    await until("the call is under way", async () => {
      const { calls } = await cli.json<{ calls: number }>("Daemon", [...a.at, "daemon", "status"]);
      return calls === 1 ? true : undefined;
    });
    process.kill(daemon.pid, "SIGSTOP");
    expect(code(await caller)).toBe("stalled");
    await daemon.kill();
  });

  test("[IFC33] killed with calls in its hands, every caller is told so, and the next one goes on", async () => {
    const daemon = await stuckDaemon();
    await cli.json("SyncResult", [...a.at, "sync", "--wait"]);
    set("stuck");
    const callers = [["sync"], ["sync", "--wait"], ["verify"]].map((args) =>
      cli.json("Error", [...a.at, ...args], 16),
    );
    await until("three calls under way", async () => {
      const { calls } = await cli.json<{ calls: number }>("Daemon", [...a.at, "daemon", "status"]);
      return calls === 3 ? true : undefined;
    });
    await daemon.kill();
    expect((await Promise.all(callers)).map(code)).toEqual(["in-use", "in-use", "in-use"]);
    await cli.json("SyncResult", [...a.at, "sync", "--wait"]);
    const again = await cli.daemon(a.home);
    expect(await again.stop()).toBe(0);
  });
});
