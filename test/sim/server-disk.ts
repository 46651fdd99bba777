/**
 * The SQLite store that ships, behind the door of a thread whose disk is slow and fails. A commit takes
 * virtual time and is durable when it ends; what was told before its end has left by then.
 */

import type { WriteDoor } from "@tidelock/server/sqlite/door";
import { type Db, openFile } from "@tidelock/server/sqlite/file";
import { GroupWriter } from "@tidelock/server/sqlite/group";
import { prepareWrites } from "@tidelock/server/sqlite/writes";
import type { FaultKind } from "@tidelock/testkit/world/faults";
import type { Stream } from "@tidelock/testkit/world/random";
import type { World } from "@tidelock/testkit/world/world";

const COMMIT: readonly FaultKind[] = ["server-down", "kill", "power-cut", "disk-full", "corrupt"];
/** One way between the thread that answers and the one that writes, ms. */
const HOP = 0.05;
/** A flush takes no longer, ms. */
const MOST = 10_000;

/** What a disk needs of the process that uses it. */
export interface DiskUser {
  /** Never once the process is gone. */
  readonly after: (ms: number, work: () => void) => void;
  /** The process ends in `ms`. */
  readonly dies: (ms: number) => void;
  /** Its disk has failed: what it says from now on is no fault of its own. */
  readonly breaks: () => void;
  /** A write has become durable, or the file was opened. */
  readonly durable: (db: Db) => void;
}

export interface DiskHabits {
  /** Of one flush, ms. */
  readonly flush: number;
  /** How often a flush takes thousands of times as long. */
  readonly stalls: number;
}

export function openSimDoor(
  world: World,
  user: DiskUser,
  habits: DiskHabits,
  random: Stream,
  path: string,
): WriteDoor {
  const db = openFile(path);
  user.durable(db);
  const site = world.site("server/commit", COMMIT);
  /** It does nothing more, and nobody knows yet. */
  let mute = false;
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<Error>((resolve) => {
    fail = resolve;
  });

  function flushed(real: () => unknown): void {
    real();
    user.durable(db);
  }

  function commit(real: () => unknown): void {
    const decision = world.decide(site);
    switch (decision?.fault) {
      case "server-down":
      case "kill":
      case "power-cut":
        if (random.chance(0.5)) flushed(real);
        mute = true;
        // Answers that were given before this moment are on their way.
        user.dies(random.logUniform(0.1, 200));
        throw new Error("the power is gone");
      case "disk-full":
        throw Object.assign(new Error("simulated"), { code: "SQLITE_FULL" });
      case "corrupt":
        user.breaks();
        // Whether it is durable is not known when a flush fails.
        if (random.chance(0.5)) flushed(real);
        throw Object.assign(new Error("simulated"), { code: "SQLITE_IOERR_FSYNC" });
      case undefined:
      // Not drawn here.
      case "reset":
      case "drop":
      case "lost-reply":
      case "half-open":
      case "duplicate":
      case "slow":
      case "busy":
      case "no-hint":
        flushed(real);
    }
  }

  const later = <T>(work: (value: T) => void): ((value: T) => void) => {
    return (value) => {
      if (!mute) user.after(HOP, () => work(value));
    };
  };
  const writer = new GroupWriter(withCommit(db, commit), prepareWrites(db), {
    failed: later((error) => fail(error)),
    soon: (turn) => {
      const flush = habits.flush * (0.5 + random.float());
      const stalls = random.chance(habits.stalls) && world.chaos;
      user.after(stalls ? Math.min(MOST, flush * random.logUniform(10, 3_000)) : flush, turn);
    },
  });
  return {
    failed,
    write: (name, args) =>
      new Promise((resolve, reject) => {
        user.after(HOP, () => {
          if (!mute) writer.add({ name, args, done: later(resolve), failed: later(reject) });
        });
      }),
    close: async () => {
      db.close();
    },
  };
}

/** The same database, whose commits go through `commit`. */
function withCommit(db: Db, commit: (real: () => unknown) => void): Db {
  return {
    get inTransaction() {
      return db.inTransaction;
    },
    pragma: (source: string) => db.pragma(source),
    prepare: (sql: string) => {
      const statement = db.prepare(sql);
      return sql === "COMMIT" ? { run: () => commit(() => statement.run()) } : statement;
    },
  } as unknown as Db;
}
