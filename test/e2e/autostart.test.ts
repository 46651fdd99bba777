import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cli, createCli, shell } from "./cli.ts";
import { founded, type Home } from "./homes.ts";

let cli: Cli;
let a: Home;
beforeAll(async () => {
  cli = await createCli();
  a = await founded(cli, 'odd "home" 100% $HOME', join(cli.folder, "remote"));
}, 60_000);
afterAll(() => cli.remove());

interface Unit {
  readonly path: string;
  readonly text: string;
  readonly enabled: boolean;
}

/** A service manager that keeps what it is told, and ends as it is told to. */
function manager(exit: number): { env: Record<string, string>; told: () => string[] } {
  const bin = join(cli.folder, `bin-${exit}`);
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, "systemctl"), `#!/bin/sh\necho "$@" >> "${bin}/told"\nexit ${exit}\n`, {
    mode: 0o755,
  });
  const told = join(bin, "told");
  return {
    env: { PATH: `${bin}:${process.env["PATH"] ?? ""}`, XDG_CONFIG_HOME: join(cli.folder, "config") },
    told: () => (existsSync(told) ? readFileSync(told, "utf8").trimEnd().split("\n") : []),
  };
}

describe.skipIf(process.platform !== "linux")("the daemon as a service", { timeout: 60_000 }, () => {
  const json = (args: readonly string[], env: Record<string, string>): Promise<Unit> =>
    cli.json<Unit>("Autostart", [...a.at, "daemon", ...args], 0, { env });

  test("[IFC40] shown, written after a yes, started; taken away again", async () => {
    const { env, told } = manager(0);
    const shown = await json(["enable", "--print"], env);
    expect([shown.enabled, existsSync(shown.path)]).toEqual([false, false]);
    const unasked = await cli.run([...a.at, "daemon", "enable"], { env });
    expect([unasked.code, unasked.stderr]).toEqual([2, expect.stringContaining("--yes")]);
    expect(existsSync(shown.path)).toBe(false);

    await cli.json("Autostart", [...a.at, "--yes", "daemon", "enable"], 0, { env });
    expect(readFileSync(shown.path, "utf8")).toBe(shown.text);
    const unit = shown.path.slice(shown.path.lastIndexOf("/") + 1);
    expect(told()).toEqual(["--user daemon-reload", `--user enable --now ${unit}`]);
    expect(await cli.json("Daemon", [...a.at, "daemon", "status"], 0, { env })).toMatchObject({
      enabled: true,
    });

    expect(await json(["disable"], env)).toMatchObject({ enabled: false });
    expect(told().at(-1)).toBe(`--user disable --now ${unit}`);
    expect(existsSync(shown.path)).toBe(false);
    expect(await cli.json("Daemon", [...a.at, "daemon", "status"], 0, { env })).toMatchObject({
      enabled: false,
    });
  });

  test("[IFC40] where the manager does not answer, nothing is left", async () => {
    const { env } = manager(1);
    const failed = await cli.json<{ error: { code: string; next: string } }>(
      "Error",
      [...a.at, "--yes", "daemon", "enable"],
      15,
      { env },
    );
    expect(failed.error.next).toContain("tidelock daemon run");
    expect(existsSync((await json(["enable", "--print"], env)).path)).toBe(false);
  });

  test("[IFC40] systemd itself finds nothing wrong with it", async (context) => {
    const there = await shell("systemd-analyze", ["--version"]).catch(() => undefined);
    if (there === undefined) context.skip("systemd-analyze is not here to ask");
    const { env } = manager(0);
    const { text } = await json(["enable", "--print"], env);
    const unit = join(cli.folder, "tidelock-check.service");
    writeFileSync(unit, text);
    const runtime = `XDG_RUNTIME_DIR=${cli.folder}`;
    expect(await shell("env", [runtime, "systemd-analyze", "--user", "verify", unit])).toBe("");
    writeFileSync(unit, text.replace("Type=exec", "Type=exec\nExecStart=nonsense"));
    await expect(shell("env", [runtime, "systemd-analyze", "--user", "verify", unit])).rejects.toThrow();
  });
});
