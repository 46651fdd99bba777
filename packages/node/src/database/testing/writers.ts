/** Programs that write an app's file: the driver in this process, the `sqlite3` shell, Python. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";

export interface Writer {
  readonly name: string;
  /** Runs a script of statements in one connection, opened and closed for it. */
  readonly run: (path: string, sql: string) => void;
  /** Why it cannot run here. */
  readonly absent: string | undefined;
}

interface Answer {
  readonly text: string;
  readonly absent: string | undefined;
}

function ask(command: string, args: readonly string[]): Answer {
  try {
    const text = execFileSync(command, args, { encoding: "utf8", stdio: "pipe" }).trim();
    return { text, absent: undefined };
  } catch (error) {
    const why = error instanceof Error ? error.message.split("\n")[0] : String(error);
    return { text: command, absent: `${command} does not run here: ${why}` };
  }
}

const shell = ask("sqlite3", ["-version"]);
/** The interpreter itself: a version manager's shim in front of it takes longer than the test. */
const python = ask("python3", ["-c", "import sqlite3,sys;print(sys.executable)"]);
const script =
  "import sqlite3,sys\nc=sqlite3.connect(sys.argv[1],isolation_level=None)\nc.executescript(sys.stdin.read())\nc.close()";

export const writers: readonly Writer[] = [
  {
    name: "better-sqlite3",
    absent: undefined,
    run: (path, sql) => {
      const db = new Database(path);
      try {
        db.pragma("foreign_keys = OFF");
        db.exec(sql);
      } finally {
        db.close();
      }
    },
  },
  {
    name: "sqlite3 shell",
    absent: shell.absent,
    run: (path, sql) => {
      execFileSync("sqlite3", ["-bail", path], { input: sql, stdio: ["pipe", "pipe", "pipe"] });
    },
  },
  {
    name: "python",
    absent: python.absent,
    run: (path, sql) => {
      execFileSync(python.text, ["-c", script, path], { input: sql, stdio: ["pipe", "pipe", "pipe"] });
    },
  },
];

export interface Folder {
  readonly path: string;
  readonly file: (name: string) => string;
  readonly remove: () => void;
}

export function temporaryFolder(): Folder {
  const path = mkdtempSync(join(tmpdir(), "tidelock-db-"));
  return {
    path,
    file: (name) => join(path, name),
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}
