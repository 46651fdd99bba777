/**
 * A real server under SIGKILL at a flush, and on a disk that fails. The test is the witness: it
 * holds what was answered against what is there afterwards. At any moment: `kills/`.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { equalBytes } from "@tidelock/core/bytes/bytes";
import { createPortableSuite } from "@tidelock/core/crypto/sodium-portable";
import type { Suite } from "@tidelock/core/crypto/suite";
import type { Remote } from "@tidelock/core/ports";
import { createServerRemote } from "@tidelock/remotes/server-remote";
import { realClock, realScheduler } from "@tidelock/testkit/server-rig";
import { TestVault } from "@tidelock/testkit/vault-people";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { root } from "../repo.ts";

let suite: Suite;
let folder: string;
let child: ChildProcess | undefined;
let output = "";
beforeAll(async () => {
  suite = await createPortableSuite();
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidelock-server-"));
});
afterEach(async () => {
  await kill();
  rmSync(folder, { recursive: true, force: true });
});

/** Only what is injected differs: the server is the same. */
async function up(inject: readonly string[] = []): Promise<string> {
  const node = [
    process.execPath,
    "--conditions=@tidelock/source",
    "--import",
    "tsx",
    join(root, "test/e2e/kill-server.ts"),
    folder,
    "0",
  ];
  const traced = [
    "strace",
    "-f",
    "-qq",
    "-o",
    "/dev/null",
    "-e",
    "trace=fsync",
    ...inject.flatMap((one) => ["-e", one]),
  ];
  const [program, ...args] = inject.length === 0 ? node : [...traced, ...node];
  const started = spawn(program as string, args, {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  child = started;
  return new Promise((resolve, reject) => {
    output = "";
    started.stdout.on("data", (data: Buffer) => {
      output += data.toString();
      const url = /ready (\S+)/.exec(output)?.[1];
      if (url !== undefined) resolve(url);
    });
    started.once("exit", () => reject(new Error("the server ended before it was ready")));
  });
}

async function said(word: string): Promise<void> {
  while (!output.includes(word)) await new Promise((resolve) => setImmediate(resolve));
}

/** It and what traces it: they are a process group of their own. */
async function kill(): Promise<void> {
  const victim = child;
  child = undefined;
  if (victim?.pid === undefined || victim.exitCode !== null || victim.signalCode !== null) return;
  const gone = new Promise((resolve) => victim.once("exit", resolve));
  process.kill(-victim.pid, "SIGKILL");
  await gone;
}

function remoteAt(url: string, vault: TestVault): Remote {
  const { person, keys, certificate } = vault.founder;
  return createServerRemote({
    url,
    vault: vault.id,
    suite,
    clock: realClock,
    scheduler: realScheduler,
    fetch,
    identity: {
      person: person.keys,
      device: keys,
      signSecret: keys.signSecret,
      certificates: [certificate],
      registration: new Uint8Array(16),
    },
  });
}

/** One vault's writer, and everything it was told. */
class Witness {
  readonly vault = new TestVault(suite);
  readonly frames: Uint8Array[] = [];
  /** By device seq: where it was committed. */
  readonly committed = new Map<number, number>();

  frame(n: number): Uint8Array {
    this.frames[n] ??= this.vault.data(this.vault.founder, 0, n, `frame ${n} ${"x".repeat(300)}`);
    return this.frames[n];
  }

  /** Sends one frame after the other until the server answers no more. */
  async live(url: string): Promise<void> {
    const remote = remoteAt(url, this.vault);
    for (let tries = 0; tries < 3; tries++) {
      const founded = await remote.create(this.vault.genesis.bytes);
      if (founded.kind === "ok") break;
      if (founded.kind !== "unreachable") throw new Error(founded.kind);
    }
    for (;;) {
      const n = this.committed.size + 1;
      const result = await remote.append([this.frame(n) as never], { seq: 0, hash: new Uint8Array(32) });
      if (result.kind !== "committed") return;
      this.committed.set(n, result.first);
    }
  }

  /** [P1] [P3]: what was answered is there, where it was answered, and what is sent again is there once. */
  async check(url: string): Promise<void> {
    const remote = remoteAt(url, this.vault);
    if (this.committed.size === 0) return;
    const again = this.committed.size + 1;
    const result = await remote.append([this.frame(again) as never], { seq: 0, hash: new Uint8Array(32) });
    expect(result).toMatchObject({ kind: "committed" });
    this.committed.set(again, (result as { first: number }).first);
    const entries: Uint8Array[] = [];
    for (;;) {
      const page = await remote.read(entries.length, { frames: 1024, bytes: 4 << 20 });
      if (page.kind !== "ok") throw new Error(page.kind);
      if (page.value.objects.length === 0) break;
      for (const object of page.value.objects)
        if (object.kind === "page") entries.push(...object.entries.map(({ frame }) => frame));
    }
    expect(entries.length).toBe(this.committed.size);
    for (const [n, seq] of this.committed)
      if (!equalBytes(entries[seq - 1] ?? new Uint8Array(0), this.frame(n)))
        throw new Error(`frame ${n} was committed at ${seq} and is not there`);
  }
}

const straceWorks =
  spawnSync("strace", ["-f", "-qq", "-o", "/dev/null", "-e", "inject=fsync:error=EIO:when=1", "true"])
    .status === 0;

test.skipIf(!straceWorks)(
  "[P1] [P3] [SRV2] SIGKILL at a flush takes nothing back that was answered",
  async () => {
    const witness = new Witness();
    for (const flush of [22]) {
      const url = await up([`inject=fsync:signal=SIGKILL:when=${flush}`]);
      await witness.check(url);
      await witness.live(url);
      await kill();
    }
    expect(witness.committed.size).toBeGreaterThan(0);
    await witness.check(await up());
  },
  120_000,
);

test.skipIf(!straceWorks)(
  "[P1] [SRV2] a disk that fails once is not believed again until the server was started anew",
  async () => {
    const witness = new Witness();
    // From here on every flush "works", as after the kernel has dropped what it could not write.
    const url = await up(["inject=fsync:error=EIO:when=20"]);
    await witness.live(url);
    const told = witness.committed.size;
    expect(told).toBeGreaterThan(1);
    const remote = remoteAt(url, witness.vault);
    const result = await remote.append([witness.frame(told + 1) as never], {
      seq: 0,
      hash: new Uint8Array(32),
    });
    expect(result.kind).not.toBe("committed");
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
    await said("failed");
    await kill();
    await witness.check(await up());
  },
  120_000,
);
