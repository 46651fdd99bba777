import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { type RunningServer, startServer } from "@tidelock/server/host/start";
import Database from "better-sqlite3";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Streams } from "./output.ts";
import { runProgram } from "./program.ts";

const SLOW = 300_000;
let folder: string;
let server: RunningServer;
const where = (): { folder: string; port: number } => ({ folder: join(folder, "server"), port: 0 });

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidelock-kept-"));
  // Its limits are those of every server.
  server = await startServer({ ...where(), registration: "open", writer: "inline" });
  await run("--insecure-key-file", "init", "--remote", server.url);
}, SLOW);

afterEach(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** One command line, in this process: its exit code and its one object. */
async function run(...args: string[]): Promise<{ readonly code: number; readonly said: Said }> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const streams = { stdin, stdout, stderr } as unknown as Streams;
  const code = await runProgram(["--home", join(folder, "home"), "--json", ...args], {}, streams);
  return { code, said: JSON.parse(String(stdout.read())) as Said };
}

interface Said {
  readonly ok: boolean;
  readonly label?: string;
  readonly detail?: string;
  readonly error?: { readonly code: string; readonly why: string };
}

function signIns(): number {
  const found = /http_requests_total\{[^}]*auth\/token[^}]*200[^}]*\} (\d+)/.exec(
    server.server.services.metrics.text(),
  );
  return Number(found?.[1] ?? 0);
}

/** As whoever runs the server may. */
function change(statement: string): void {
  const db = new Database(join(folder, "server", "server.db"));
  db.exec(statement);
  db.close();
}

test(
  "[SRV91] forty commands in a row go by one sign-in, and nothing of it can be read in the home",
  async () => {
    for (let i = 0; i < 40; i++) expect(await run("sync")).toMatchObject({ code: 0 });
    expect(signIns()).toBe(1);
    // Every one of ours begins with this.
    for (const file of readdirSync(join(folder, "home"), { recursive: true, withFileTypes: true }))
      if (file.isFile()) expect(readFileSync(join(file.parentPath, file.name)).includes("eyJ")).toBe(false);
  },
  SLOW,
);

test(
  "[SRV91] a server that knows the session no more is signed in at anew, once",
  async () => {
    await server.stop();
    rmSync(join(folder, "server", "session-keys.json"));
    server = await startServer({ ...where(), port: Number(new URL(server.url).port), writer: "inline" });
    for (let i = 0; i < 3; i++) expect(await run("sync")).toMatchObject({ code: 0 });
    expect(signIns()).toBe(1);
  },
  SLOW,
);

test(
  "[SRV91] [SRV74] a device that was signed out is refused with its kept session, and told why",
  async () => {
    change("UPDATE account_devices SET revoked = 1");
    for (let i = 0; i < 2; i++) {
      expect(await run("sync")).toMatchObject({ code: 12, said: { error: { code: "no-access" } } });
      expect(await run("status")).toMatchObject({
        code: 12,
        said: { label: "No access", detail: "The server refuses this device: its person signed it out" },
      });
    }
    expect(signIns()).toBe(1);
  },
  SLOW,
);

test(
  "[SRV91] [SRV70] where a session was kept, login signs in all the same",
  async () => {
    expect(await run("login")).toMatchObject({ code: 0 });
    expect(signIns()).toBe(2);
    expect(await run("sync")).toMatchObject({ code: 0 });
    expect(signIns()).toBe(2);
  },
  SLOW,
);
