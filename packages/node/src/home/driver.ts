/** The SQLite driver, proven to load. Everything a home does needs it, so its absence is said first. */
import { createRequire } from "node:module";
import { TidelockError } from "@tidelock/core/errors";
import type Database from "better-sqlite3";

export type Driver = typeof Database;

export function loadSqlite(): Driver {
  try {
    const driver = createRequire(import.meta.url)("better-sqlite3") as Driver;
    // The native half loads with the first database only.
    new driver(":memory:").close();
    return driver;
  } catch (cause) {
    throw new TidelockError("internal", {
      why: "the SQLite driver is not built for this Node.js",
      next: "npm rebuild better-sqlite3",
      cause,
    });
  }
}
