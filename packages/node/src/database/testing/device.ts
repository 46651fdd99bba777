/** A device of a test: an engine, an app's file, and the attachment between them. */
import type { Suite } from "@tidelock/core/crypto/suite";
import { createTablesKind, type TablesKind } from "@tidelock/core/kinds/tables/tables";
import type { Clock, ReplicaStore, Scheduler } from "@tidelock/core/ports";
import Database from "better-sqlite3";
import {
  type AttachDeps,
  type AttachOptions,
  attachDatabase,
  type DatabaseAttachment,
} from "../attachment.ts";
import type { DatabasePoint } from "../points.ts";
import { attachmentSpaces } from "../registry.ts";
import { HarnessEngine, harnessSpaces, type SharedLog } from "./harness.ts";

export class Crash extends Error {
  constructor(point: string) {
    super(`stopped at ${point}`);
  }
}

/** A clock that stands unless told, and a scheduler whose waits pass at once. */
export class TestTime implements Clock, Scheduler {
  #now: number;
  #mono = 0;
  constructor(now: number) {
    this.#now = now;
  }
  now(): number {
    return this.#now;
  }
  mono(): number {
    return this.#mono;
  }
  pass(ms: number): void {
    this.#now += ms;
    this.#mono += ms;
  }
  after(ms: number, work: () => void): () => void {
    let cancelled = false;
    setImmediate(() => {
      this.pass(ms);
      if (!cancelled) work();
    });
    return () => {
      cancelled = true;
    };
  }
}

/** Numbers that look random and are the same in every run. */
export function seeded(seed: number): (n: number) => Uint8Array {
  let state = seed >>> 0 || 1;
  return (n) =>
    Uint8Array.from({ length: n }, () => {
      // Marsaglia's xorshift32.
      state ^= state << 13;
      state >>>= 0;
      state ^= state >>> 17;
      state ^= state << 5;
      state >>>= 0;
      return state & 0xff;
    });
}

export interface DeviceOptions {
  readonly log: SharedLog;
  readonly vault: Uint8Array;
  readonly index: number;
  readonly suite: Suite;
  readonly time: TestTime;
  readonly makeStore: (spaces: readonly string[]) => ReplicaStore;
  readonly path: string;
}

export class Device {
  readonly path: string;
  readonly kind: TablesKind;
  readonly random: (n: number) => Uint8Array;
  readonly #options: DeviceOptions;
  store: ReplicaStore;
  engine: HarnessEngine;
  attachment: DatabaseAttachment | undefined;
  /** Throws there, once. */
  stopAt: { readonly point: DatabasePoint; skip: number } | undefined;
  readonly reached: DatabasePoint[] = [];
  /** Names of the events logged. */
  readonly events: string[] = [];
  /** Called at every point, e.g. to let the app write in between. */
  onPoint: ((point: DatabasePoint) => void) | undefined;

  constructor(options: DeviceOptions) {
    this.#options = options;
    this.path = options.path;
    this.kind = createTablesKind(options.suite);
    this.random = seeded(options.index * 7919 + 17);
    this.store = options.makeStore(spacesOf(this.kind));
    this.engine = this.#boot();
  }

  #boot(): HarnessEngine {
    const { log, vault, index, suite } = this.#options;
    return new HarnessEngine(log, vault, index, this.store, suite, this.kind);
  }

  get deps(): AttachDeps {
    const { time } = this.#options;
    return {
      clock: time,
      scheduler: time,
      random: this.random,
      log: {
        event: (name) => {
          this.events.push(name);
        },
      },
      point: (name) => {
        this.reached.push(name);
        this.onPoint?.(name);
        if (this.stopAt?.point === name && this.stopAt.skip-- === 0) {
          this.stopAt = undefined;
          throw new Crash(name);
        }
      },
    };
  }

  async attach(options: AttachOptions = {}): Promise<DatabaseAttachment> {
    this.attachment = await attachDatabase(
      this.engine,
      this.kind,
      this.path,
      { watch: false, ...options },
      this.deps,
    );
    return this.attachment;
  }

  /** As after a kill: what is in memory is gone. `store`: what of the replica was durable, if not all. */
  restart(store: ReplicaStore = this.store): void {
    this.attachment?.close();
    this.attachment = undefined;
    this.store = store;
    this.engine = this.#boot();
  }

  /** Runs SQL as the app would, in a connection of its own. */
  app(sql: string): void {
    const db = new Database(this.path, { timeout: 1000 });
    try {
      db.pragma("foreign_keys = OFF");
      db.exec(sql);
    } finally {
      db.close();
    }
  }

  rows(sql: string): unknown[] {
    const db = new Database(this.path);
    try {
      db.defaultSafeIntegers(true);
      return db.prepare(sql).raw().all() as unknown[];
    } finally {
      db.close();
    }
  }

  /** All rows of all tables of the app, as text to compare. */
  dump(): string {
    const db = new Database(this.path);
    try {
      db.defaultSafeIntegers(true);
      const tables = db
        .prepare(
          "SELECT name FROM sqlite_schema WHERE type='table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_tl\\_%' ESCAPE '\\' ORDER BY name",
        )
        .pluck()
        .all() as string[];
      return tables
        .map((t) => {
          const names = (db.pragma(`table_info("${t}")`) as { name: string }[]).map(
            (c) => `quote("${c.name}")`,
          );
          return `${t}\n${(
            db
              .prepare(`SELECT ${names.join("||'|'||")} FROM "${t}" ORDER BY 1`)
              .pluck()
              .all() as string[]
          ).join("\n")}`;
        })
        .join("\n\n");
    } finally {
      db.close();
    }
  }
}

export function spacesOf(kind: TablesKind): readonly string[] {
  return [...kind.spaces.map((s) => s.name), ...attachmentSpaces.map((s) => s.name), ...harnessSpaces];
}
