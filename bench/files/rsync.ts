/** The floor: one program that copies what differs, in the clear, and ends. */
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Pair } from "./pair.ts";

/** Undefined where it is not installed. */
export function rsyncVersion(): string | undefined {
  try {
    return /version (\S+)/.exec(execFileSync("rsync", ["--version"], { encoding: "utf8" }))?.[1];
  } catch {
    return undefined;
  }
}

export function startRsync(): Pair {
  const root = mkdtempSync(join(tmpdir(), "tidelock-bench-"));
  const [left, right] = [join(root, "left"), join(root, "right")];
  for (const folder of [left, right]) mkdirSync(folder);
  let wire = 0;
  const run = async (): Promise<void> => {
    // Else two saves of equal length within a second are one to it.
    const args = ["-a", "--delete", "--modify-window=-1", "--stats", `${left}/`, `${right}/`];
    const { stdout } = await promisify(execFile)("rsync", args, { env: { ...process.env, LC_ALL: "C" } });
    for (const [, bytes = ""] of stdout.matchAll(/Total bytes (?:sent|received): ([\d,]+)/g))
      wire += Number(bytes.replaceAll(",", ""));
  };
  return {
    name: "rsync",
    left,
    right,
    pids: [],
    carry: run,
    pass: run,
    settled: async () => true,
    counts: async () => ({ wire }),
    stop: async () => rmSync(root, { recursive: true, force: true }),
  };
}
