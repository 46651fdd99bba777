/** The daemon as a service of this user: what the system's own manager is told, and nothing behind its back. */
import { homedir } from "node:os";
import { join } from "node:path";
import { TidelockError } from "@tidelock/core/errors";
import type { HomePaths } from "../home/paths.ts";

export interface Start {
  /** Absolute: the program that runs the script, and the script. */
  readonly node: string;
  readonly script: string;
  readonly paths: HomePaths;
  /** Names a file; what is in it never stands in a unit. */
  readonly passphraseFile?: string | undefined;
}

export interface Autostart {
  readonly path: string;
  readonly text: string;
  /** In order, after the file is written. */
  readonly enable: readonly Command[];
  /** In order, before the file is removed. */
  readonly disable: readonly Command[];
}

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  /** May fail: the service was not running. */
  readonly optional?: boolean;
}

export interface System {
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
}

export function autostartOf(start: Start, system: System): Autostart {
  // oxlint-disable-next-line no-control-regex -- exactly these end a line or a text of a unit
  const given = [start.node, start.script, start.paths.root, start.passphraseFile ?? ""];
  if (given.some(holdsControl))
    throw new TidelockError("bad-name", {
      why: "a path of this home holds a line break or another control character",
      next: "tidelock daemon run, or a home with another path",
    });
  if (system.platform === "linux") return systemd(start, system);
  if (system.platform === "darwin") return launchd(start, system);
  throw new TidelockError("usage", {
    why: `Tidelock writes no service for ${system.platform} yet`,
    next: "let the system run `tidelock daemon run` when you log in",
  });
}

/** Exactly these end a line or a text of a unit. */
function holdsControl(text: string): boolean {
  return Buffer.from(text).some((byte) => byte < 0x20 || byte === 0x7f);
}

/** A folder of its own is named; the account's own home is found again by itself. */
function commandLine({ node, script, paths }: Start): readonly string[] {
  const own = paths.config === join(paths.root, "config.toml");
  return [node, script, ...(own ? ["--home", paths.root] : []), "daemon", "run"];
}

/** Exit codes that starting again cannot mend: usage, keys, no vault, does not verify, update needed. */
const FINAL = "2 13 15 17 18";

function systemd(start: Start, { env }: System): Autostart {
  const name = `tidelock-${start.paths.id}.service`;
  const config = present(env["XDG_CONFIG_HOME"]) ?? join(present(env["HOME"]) ?? homedir(), ".config");
  const path = join(config, "systemd", "user", name);
  const variable =
    start.passphraseFile === undefined
      ? []
      : [`Environment=${unitWord(`TIDELOCK_PASSPHRASE_FILE=${start.passphraseFile}`)}`];
  const text = [
    "# Written by `tidelock daemon enable`; `tidelock daemon disable` removes it.",
    "[Unit]",
    "Description=Tidelock keeps a vault in sync",
    "",
    "[Service]",
    "Type=exec",
    `ExecStart=${commandLine(start).map(unitArgument).join(" ")}`,
    ...variable,
    "Restart=on-failure",
    "RestartSec=5",
    `RestartPreventExitStatus=${FINAL}`,
    // Ending is quick; a disk that is gone must not hold the session's end up.
    "TimeoutStopSec=15",
    "UMask=0077",
    "NoNewPrivileges=yes",
    "",
    "[Install]",
    "WantedBy=default.target",
    "",
  ].join("\n");
  const systemctl = (...args: string[]): Command => ({ program: "systemctl", args: ["--user", ...args] });
  return {
    path,
    text,
    enable: [systemctl("daemon-reload"), systemctl("enable", "--now", name)],
    disable: [{ ...systemctl("disable", "--now", name), optional: true }],
  };
}

/** In double quotes; `%` names things of systemd's own, `$` variables. */
function unitArgument(text: string): string {
  return unitWord(text.replaceAll("$", "$$$$"));
}

function unitWord(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%")}"`;
}

function launchd(start: Start, { env, uid }: System): Autostart {
  const label = `dev.tidelock.${start.paths.id}`;
  const path = join(present(env["HOME"]) ?? homedir(), "Library", "LaunchAgents", `${label}.plist`);
  const strings = commandLine(start).map((one) => `    <string>${xml(one)}</string>`);
  const variable =
    start.passphraseFile === undefined
      ? []
      : [
          "  <key>EnvironmentVariables</key>",
          `  <dict><key>TIDELOCK_PASSPHRASE_FILE</key><string>${xml(start.passphraseFile)}</string></dict>`,
        ];
  const text = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    '<plist version="1.0">',
    "<dict>",
    `  <key>Label</key><string>${label}</string>`,
    "  <key>ProgramArguments</key>",
    "  <array>",
    ...strings,
    "  </array>",
    ...variable,
    "  <key>RunAtLoad</key><true/>",
    "  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>",
    "  <key>ThrottleInterval</key><integer>30</integer>",
    "  <key>Umask</key><integer>63</integer>",
    "</dict>",
    "</plist>",
    "",
  ].join("\n");
  const domain = `gui/${uid}`;
  const launchctl = (...args: string[]): Command => ({ program: "launchctl", args });
  return {
    path,
    text,
    enable: [launchctl("bootstrap", domain, path)],
    disable: [{ ...launchctl("bootout", `${domain}/${label}`), optional: true }],
  };
}

function xml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function present(value: string | undefined): string | undefined {
  return value === undefined || value === "" ? undefined : value;
}
