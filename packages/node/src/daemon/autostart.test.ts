import { normalize } from "node:path/posix";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { HomePaths } from "../home/paths.ts";
import { autostartOf, type Start, type System } from "./autostart.ts";

const linux: System = { platform: "linux", env: { HOME: "/home/a" }, uid: 1000 };
const mac: System = { platform: "darwin", env: { HOME: "/Users/a" }, uid: 501 };

function start(root: string, more: Partial<Start> = {}): Start {
  const paths = { root, id: "0011223344556677", config: `${root}/config.toml` } as HomePaths;
  return { node: "/usr/bin/node", script: "/opt/tidelock.js", paths, ...more };
}

/** What systemd makes of one line: words in double quotes, with its escapes taken back. */
function systemdWords(text: string): string[] {
  const line = /^ExecStart=(.*)$/m.exec(text)?.[1] ?? "";
  return [...line.matchAll(/"((?:\\.|[^"\\])*)"/g)].map(([, word]) =>
    (word as string).replace(/\\(.)/g, "$1").replaceAll("%%", "%").replaceAll("$$", "$"),
  );
}

/** What a property list makes of its strings. */
function plistStrings(text: string): string[] {
  const list = /<array>([\s\S]*)<\/array>/.exec(text)?.[1] ?? "";
  return [...list.matchAll(/<string>([^<]*)<\/string>/g)].map(([, word]) =>
    (word as string).replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&"),
  );
}

describe("the daemon as a service", () => {
  test("[IFC40] whatever a path holds stays one argument of one line", () => {
    const odd = fc.string({
      unit: fc.constantFrom(..."ab /\\\"'%$&<>;#`*?~é{}()=!|".split("")),
      maxLength: 30,
    });
    fc.assert(
      fc.property(odd, (text) => {
        const root = normalize(`/h${text}h`);
        const wanted = ["/usr/bin/node", "/opt/tidelock.js", "--home", root, "daemon", "run"];
        const unit = autostartOf(start(root), linux);
        expect(systemdWords(unit.text)).toEqual(wanted);
        expect(plistStrings(autostartOf(start(root), mac).text)).toEqual(wanted);
        expect(unit.text.split("\n")).toHaveLength(autostartOf(start("/x"), linux).text.split("\n").length);
      }),
    );
  });

  test("[IFC40] a path with a line break could say more than a path: it is refused", () => {
    for (const bad of ["\n", "\r", "\0", "\u007f", "\t"])
      for (const system of [linux, mac])
        expect(() => autostartOf(start(`/a${bad}ExecStart=/bin/sh`), system)).toThrow(
          expect.objectContaining({ code: "bad-name" }),
        );
  });

  test("[IFC40] the account's own home is not named; a file with the passphrase is, and nothing of what is in it", () => {
    const paths = {
      root: "/home/a/.local/share/tidelock",
      id: "0011223344556677",
      config: "/home/a/.config/x",
    } as HomePaths;
    expect(systemdWords(autostartOf(start("/x", { paths }), linux).text)).not.toContain("--home");
    const { text } = autostartOf(start("/x", { passphraseFile: "/secret place/p" }), linux);
    expect(text).toContain('Environment="TIDELOCK_PASSPHRASE_FILE=/secret place/p"');
  });

  test("[IFC40] each system's own place; where there is none, a plain refusal", () => {
    expect(autostartOf(start("/x"), { ...linux, env: { XDG_CONFIG_HOME: "/c", HOME: "/h" } }).path).toBe(
      "/c/systemd/user/tidelock-0011223344556677.service",
    );
    expect(autostartOf(start("/x"), mac).path).toBe(
      "/Users/a/Library/LaunchAgents/dev.tidelock.0011223344556677.plist",
    );
    expect(() => autostartOf(start("/x"), { ...linux, platform: "win32" })).toThrow(
      expect.objectContaining({ code: "usage" }),
    );
  });
});
