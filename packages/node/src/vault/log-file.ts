/** Where events go: one JSON line each, numbers and codes only. Names and values never reach it. */
import { appendFileSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Log } from "@tidelock/core/ports";
import { privateFolder } from "../home/files.ts";

const LARGEST = 1 << 20;

export const noLog: Log = { event: () => undefined };

/** Keeps the last one or two MiB: `path` and `path.1`. */
export function createLogFile(path: string): Log {
  privateFolder(dirname(path));
  let size = sizeOf(path);
  return {
    event: (name, fields) => {
      const line = `${JSON.stringify({ time: new Date().toISOString(), event: name, ...fields })}\n`;
      try {
        if (size > LARGEST) {
          renameSync(path, `${path}.1`);
          size = 0;
        }
        appendFileSync(path, line, { mode: 0o600 });
        size += line.length;
      } catch {
        // A log that cannot be written must not stop what it tells about.
      }
    },
  };
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}
