/**
 * Two devices of one vault. Device a dies again and again; device b lives in this
 * process and is never killed. Each has an app's database, and each app tells its own witness.
 */
import { join } from "node:path";
import { TidelockError } from "@tidelock/core/errors";
import { ServerRig } from "@tidelock/testkit/server-rig";
import Database from "better-sqlite3";
import { homePaths } from "../../../packages/node/src/home/paths.ts";
import { openVault } from "../../../packages/node/src/index.ts";
import { openSession, type Session } from "../../../packages/node/src/vault/session.ts";
import { verifySession } from "../../../packages/node/src/vault/verify.ts";
import type { Bundle } from "../bundle.ts";
import { dump, makeDatabase } from "../homes.ts";
import { SCHEMA } from "./edits.ts";
import { Ledger, Onlooker } from "./ledger.ts";
import { LogBook } from "./log-book.ts";
import { type Program, Victim } from "./victim.ts";

const KEYS = { insecureKeyFile: true };
/** For everything to arrive once nobody writes, ms. */
const QUIET = 60_000;

export class Pair {
  readonly folder: string;
  readonly #bundle: Bundle;
  readonly #seed: number;
  readonly #rig: ServerRig | undefined;
  readonly ledgers: { readonly a: Ledger; readonly b: Ledger };
  readonly #aInB: Onlooker;
  readonly #bInA: Onlooker;
  readonly #book = new LogBook(["a", "b"]);
  readonly #appOfB: Victim;
  #b: Session | undefined;

  private constructor(folder: string, bundle: Bundle, seed: number, rig: ServerRig | undefined) {
    this.folder = folder;
    this.#bundle = bundle;
    this.#seed = seed;
    this.#rig = rig;
    this.ledgers = {
      a: new Ledger("a", join(folder, "witness-a")),
      b: new Ledger("b", join(folder, "witness-b")),
    };
    this.#aInB = new Onlooker(this.ledgers.a);
    this.#bInA = new Onlooker(this.ledgers.b);
    this.#appOfB = new Victim(() => this.app("plain", "b", "120"), this.file("errors"));
  }

  /** The vault's place: a server in this process, or a folder. */
  static async make(folder: string, bundle: Bundle, seed: number, place: "folder" | "server"): Promise<Pair> {
    const where = join(folder, "remote");
    const rig = place === "folder" ? undefined : await ServerRig.start({ folder: where });
    const pair = new Pair(folder, bundle, seed, rig);
    makeDatabase(pair.file("a.db"), SCHEMA);
    let words: string | undefined;
    for (const who of ["a", "b"]) {
      const vault = await openVault({
        home: pair.file(who),
        remote: rig?.url ?? where,
        ...KEYS,
        ...(words === undefined ? {} : { words }),
        onPrompt: async (prompt) => {
          if (prompt.kind === "phrase") words = prompt.words.join(" ");
          return undefined;
        },
      });
      await vault.database(pair.file(`${who}.db`));
      await vault.syncNow({ wait: true });
      await vault.close();
    }
    const b = await pair.#open("b");
    b.start();
    pair.#b = b;
    await pair.#appOfB.up();
    return pair;
  }

  file(name: string): string {
    return join(this.folder, name);
  }

  /** An app of a device. `more`: its home where it opens the vault, else its longest rest, ms. */
  app(how: "plain" | "sdk", who: "a" | "b", more: string): Program {
    const { next, descriptor } = this.ledgers[who];
    const seed = String(this.#seed * 1_000_003 + next);
    return {
      args: [this.#bundle.script("editor"), how, who, String(next), seed, this.file(`${who}.db`), more],
      witness: descriptor,
      ready: /ready/,
    };
  }

  /** After a death: what each file shows, held against what both writers were told. The app of a rests, or is dead. */
  look(): readonly string[] {
    const [a, b] = [this.#database("a"), this.#database("b")];
    try {
      return [
        ...this.ledgers.a.look(a).map((what) => `a.db: ${what}`),
        ...this.#bInA.look(a).map((what) => `a.db: ${what}`),
        ...this.#aInB.look(b).map((what) => `b.db: ${what}`),
      ];
    } finally {
      a.close();
      b.close();
    }
  }

  /**
   * While a is dead: it is opened here, everything arrives everywhere, and all that was told is
   * looked for once. `exact`: each edit of a was sent by itself.
   */
  async judge(exact: boolean): Promise<readonly string[]> {
    const found: string[] = [];
    await this.#rest();
    const [a, b] = [await this.#open("a"), this.#b as Session];
    try {
      // Twice: b's last entries reach a as well.
      for (const one of [a, b, a, b]) await synced(one);
      for (const { withheld } of [...a.attachments.list(), ...b.attachments.list()])
        if (withheld > 0) found.push(`${withheld} deletions wait for a person`);
      for (const session of [a, b])
        for (const check of (await verifySession(session)).checks)
          if (check.state !== "ok") found.push(`verify: ${check.name} ${check.state}: ${check.fact}`);
      if (a.replica.digest() !== b.replica.digest()) found.push("the devices hold different states");
      this.#book.take(b);
    } finally {
      await a.close();
    }
    for (const name of ["a.db", "b.db"]) {
      const db = new Database(this.file(name), { readonly: true });
      for (const ledger of Object.values(this.ledgers))
        found.push(...ledger.look(db).map((what) => `${name}: ${what}`));
      const sound = db.pragma("quick_check", { simple: true });
      if (sound !== "ok") found.push(`${name}: ${String(sound)}`);
      db.close();
    }
    if (JSON.stringify(dump(this.file("a.db"))) !== JSON.stringify(dump(this.file("b.db"))))
      found.push("the databases show different rows");
    found.push(...this.#book.differences(this.ledgers.a, exact));
    found.push(...this.#book.differences(this.ledgers.b, false));
    this.#appOfB.tell("go");
    return found;
  }

  async #rest(): Promise<void> {
    this.#appOfB.tell("pause");
    await this.#appOfB.said(/paused/);
  }

  async #open(who: "a" | "b"): Promise<Session> {
    const session = await openSession({ paths: await homePaths({ home: this.file(who) }), keys: KEYS });
    await session.attachments.resume();
    return session;
  }

  #database(who: "a" | "b"): Database.Database {
    return new Database(this.file(`${who}.db`), { readonly: true, timeout: 10_000 });
  }

  async dispose(): Promise<void> {
    await this.#appOfB.end();
    await this.#b?.close();
    await this.#rig?.down();
    for (const ledger of Object.values(this.ledgers)) ledger.close();
  }
}

/** A connection may end under a request, on a busy machine above all: nothing is lost by asking again. */
async function synced(session: Session): Promise<void> {
  const until = performance.now() + QUIET;
  for (;;) {
    try {
      await session.sync({ wait: true, timeoutMs: QUIET });
      return;
    } catch (error) {
      const passing = error instanceof TidelockError && error.code === "unreachable";
      if (!passing || performance.now() > until) throw error;
    }
  }
}
