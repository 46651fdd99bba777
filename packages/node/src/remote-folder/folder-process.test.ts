import { type ChildProcessWithoutNullStreams, execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Sealed } from "@tidelock/core/bytes/brand";
import { decodeUtf8, encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { TidelockError } from "@tidelock/core/errors";
import { endOf } from "@tidelock/core/log/page";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { openFolderRemote } from "./open.ts";

const sealed = (text: string): Sealed => encodeUtf8(text) as Uint8Array as Sealed;
const here = import.meta.dirname;
const seen = (seq: number): { seq: number; hash: Uint8Array } => ({ seq, hash: new Uint8Array(32) });

/** Races for names with others: "ready", then on a line of input its rounds, and the rounds it won. */
const contender = `
  import { contend } from "./probe.ts";
  import { createNodeFs } from "../fs/node-fs.ts";
  const [home, mode, id, rounds] = process.argv.slice(2);
  process.stdout.write("ready\\n");
  process.stdin.once("data", async () => {
    const won = [];
    for (let n = 0; n < Number(rounds); n++) {
      if (await contend(createNodeFs(), mode, home + "/" + n, Number(id))) won.push(n);
    }
    process.stdout.write(won.join() + "\\n");
    process.exit(0);
  });
`;

/** Appends for ever, as a device that follows the log; says what was committed, as soon as it was. */
const writer = `
  import { openFolderRemote } from "./open.ts";
  import { endOf } from "@tidelock/core/log/page";
  const [directory, name, most] = process.argv.slice(2);
  const remote = await openFolderRemote(directory);
  let seq = 0;
  process.stdout.write("ready\\n");
  for (let n = 0; n < Number(most); ) {
    const text = name + n;
    const frame = new TextEncoder().encode(text);
    const result = await remote.append([frame], { seq, hash: new Uint8Array(32) });
    if (result.kind === "committed") process.stdout.write(text + " " + result.first + "\\n");
    else if (result.kind !== "behind") process.stdout.write("# " + result.kind + "\\n");
    const page = await remote.read(seq, { frames: 100, bytes: 100000 });
    if (page.kind !== "ok") continue;
    for (const object of page.value.objects) {
      seq = endOf(object);
      // Where the answer was unknown, the log tells.
      if (object.kind === "page" && new TextDecoder().decode(object.entries[0].frame) === text) n++;
    }
  }
  process.exit(0);
`;

let scripts = "";

async function bundle(name: string, contents: string): Promise<void> {
  await build({
    stdin: { contents, resolveDir: here, loader: "ts" },
    outfile: join(scripts, `${name}.mjs`),
    bundle: true,
    platform: "node",
    format: "esm",
    conditions: ["@tidelock/source"],
    logLevel: "error",
  });
}

beforeAll(async () => {
  scripts = mkdtempSync(join(tmpdir(), "tidelock-scripts-"));
  await bundle("contender", contender);
  await bundle("writer", writer);
});

afterAll(() => rmSync(scripts, { recursive: true, force: true }));

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "tidelock-processes-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

function start(
  script: string,
  args: readonly string[],
  through: readonly string[] = [],
): { child: ChildProcessWithoutNullStreams; lines: string[]; ended: Promise<void>; ready: Promise<void> } {
  const [command, ...rest] = [...through, process.execPath, join(scripts, `${script}.mjs`), ...args];
  const child = spawn(command as string, rest);
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout });
  child.stderr.resume();
  const ended = new Promise<void>((resolve) => {
    reader.on("close", resolve);
  });
  const ready = new Promise<void>((resolve) => {
    reader.on("line", (line) => {
      if (line === "ready") resolve();
      else lines.push(line);
    });
    // One that was killed before that is not waited for.
    reader.on("close", resolve);
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return { child, lines, ended, ready };
}

test.for(["link", "rename-dir"] as const)(
  "[P4] [REM21] of eight processes that race for a name by %s exactly one wins, in 200 rounds",
  { timeout: 60_000 },
  async (mode) => {
    const home = temporaryDirectory();
    const racers = Array.from({ length: 8 }, (_, i) =>
      start("contender", [home, mode, String(i + 1), "200"]),
    );
    await Promise.all(racers.map(({ ready }) => ready));
    for (const { child } of racers) child.stdin.write("go\n");
    await Promise.all(racers.map(({ ended }) => ended));
    const won = racers.flatMap(({ lines }) =>
      (lines[0] ?? "")
        .split(",")
        .filter((one) => one !== "")
        .map(Number),
    );
    expect(won.sort((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, n) => n));
    expect(readdirSync(home).length).toBe(200);
  },
);

/** The whole log, and that everything a writer was told stands where it was told. */
async function check(directory: string, told: readonly string[]): Promise<readonly string[]> {
  const remote = await openFolderRemote(directory);
  const texts: string[] = [];
  for (;;) {
    const page = await remote.read(texts.length, { frames: 1000, bytes: 1 << 20 });
    if (page.kind !== "ok") throw new Error(page.kind);
    if (page.value.objects.length === 0) break;
    for (const object of page.value.objects) {
      if (object.kind !== "page" || endOf(object) !== object.first) throw new Error("not what was written");
      texts.push(decodeUtf8((object.entries[0] as { frame: Uint8Array }).frame) as string);
    }
  }
  for (const line of told) {
    const [text, seq] = line.split(" ");
    expect([text, texts[Number(seq) - 1]]).toEqual([text, text]);
  }
  expect(new Set(texts).size).toBe(texts.length);
  return texts;
}

async function newVault(): Promise<string> {
  const directory = join(temporaryDirectory(), "vault");
  const remote = await openFolderRemote(directory);
  expect(await remote.create(sealed("genesis"))).toEqual({ kind: "ok", value: "created" });
  return directory;
}

test("[P1] [REM14] processes killed amid their appends leave everything they said was committed, each once", {
  timeout: 60_000,
}, async () => {
  const directory = await newVault();
  const told: string[] = [];
  for (let round = 0; round < 4; round++) {
    const writers = ["a", "b", "c"].map((name) => start("writer", [directory, `${name}${round}-`, "1000"]));
    await Promise.all(writers.map(({ ready }) => ready));
    // Enough was said by one; the kill falls wherever the others are.
    await new Promise<void>((resolve) => {
      const one = writers[round % 3] as (typeof writers)[0];
      one.child.stdout.on("data", () => one.lines.length > 5 && resolve());
    });
    for (const { child } of writers) child.kill("SIGKILL");
    await Promise.all(writers.map(({ ended }) => ended));
    for (const { lines } of writers) told.push(...lines.filter((line) => !line.startsWith("#")));
  }
  expect(told.length).toBeGreaterThan(20);
  await check(directory, told);
});

/** By using it: it may be there and not allowed. */
const canTrace = spawnSync("strace", ["-f", "-e", "inject=fsync:error=EIO:when=999", "true"]).status === 0;

test.skipIf(!canTrace)(
  "[P1] [REM14] killed at, or failing at, each flush in turn: nothing that was said is gone",
  { timeout: 120_000 },
  async () => {
    for (const fault of ["signal=SIGKILL", "error=EIO"]) {
      const directory = await newVault();
      const told: string[] = [];
      for (let when = 1; when <= 12; when++) {
        const inject = `inject=fsync:${fault}:when=${when}`;
        const one = start(
          "writer",
          [directory, `${when}-`, "4"],
          ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e", inject],
        );
        await one.ended;
        told.push(...one.lines.filter((line) => !line.startsWith("#")));
      }
      const texts = await check(directory, told);
      expect(texts.length).toBeGreaterThanOrEqual(new Set(told).size);
      expect(told.length).toBeGreaterThan(10);
    }
  },
);

test.skipIf(!canTrace)(
  "[P1] [REM20] a page is flushed before its name is given, and the name before the answer",
  async () => {
    const directory = await newVault();
    const output = join(temporaryDirectory(), "trace");
    const options = ["-f", "-qq", "-y", "-s", "200", "-o", output, "-e", "trace=fsync,link,write"];
    execFileSync("strace", [...options, process.execPath, join(scripts, "writer.mjs"), directory, "x", "1"]);
    const trace = readFileSync(output, "utf8");
    const steps = trace.split("\n").flatMap((line) => {
      if (/fsync\(\d+<[^>]*\/tmp\/[0-9a-f]{32}>/.test(line)) return ["flush page"];
      if (/link\("[^"]*\/tmp\/[0-9a-f]{32}", "[^"]*\/log\//.test(line)) return ["give name"];
      if (/fsync\(\d+<[^>]*\/log>/.test(line)) return ["flush names"];
      return /write\(1<.*"x0 1/.test(line) ? ["answer"] : [];
    });
    expect(steps.slice(0, steps.indexOf("answer") + 1)).toEqual([
      "flush page",
      "give name",
      "flush names",
      "answer",
    ]);
  },
);

test("[REM16] [REM22] opening says what is wrong with the place, and a place that is not there yet is none", async () => {
  const root = temporaryDirectory();
  mkdirSync(join(root, ".stfolder"));
  await expect(openFolderRemote(join(root, "vault"))).rejects.toSatisfy(
    (error) => error instanceof TidelockError && error.code === "remote-no-cas",
  );
  const other = temporaryDirectory();
  const remote = await openFolderRemote(join(other, "vault"));
  expect((await remote.append([sealed("x")], seen(0))).kind).toBe("unreachable");
  expect(readdirSync(other)).toEqual([]);
});
