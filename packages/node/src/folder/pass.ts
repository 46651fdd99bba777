/** One look and what follows from it: scan, plan, and the steps of that plan. */
import { equalBytes, toHex } from "@tidelock/core/bytes/bytes";
import { plan } from "@tidelock/core/kinds/files/plan/plan";
import type {
  BookStep,
  Direction,
  DownStep,
  LocalEntry,
  Plan,
  PlanIssue,
  Step,
  UpStep,
} from "@tidelock/core/kinds/files/plan/types";
import type { Op } from "@tidelock/core/kinds/files/types";
import type { ReadFile } from "@tidelock/core/ports-fs";
import { MOST_FILE_SIZE } from "../vault/content.ts";
import { type RowBook, type RowChange, racyUntil } from "./book.ts";
import type { Contents } from "./contents.ts";
import { takeDown } from "./down.ts";
import type { Hands } from "./hands.ts";
import { type FolderHost, isReader } from "./host.ts";
import type { Larges } from "./larges.ts";
import { type Local, localOf } from "./local.ts";
import type { Probed } from "./probe.ts";
import type { FolderRow, FolderRows } from "./rows.ts";
import { type Scanner, TORN } from "./scan.ts";
import { parentKey, type Seen } from "./seen.ts";
import { QUIET } from "./settle.ts";
import type { Trash } from "./trash.ts";
import { readSettled, sendUp, type UpDeps } from "./up.ts";
import { planView, type ViewMemory } from "./view.ts";

export interface PassDeps {
  readonly host: FolderHost;
  readonly hands: Hands;
  readonly rows: FolderRows;
  readonly book: RowBook;
  readonly contents: Contents;
  readonly trash: Trash;
  readonly scanner: Scanner;
  readonly probed: Probed;
  readonly memory: ViewMemory;
  readonly random: () => string;
  readonly op: () => Op;
  /** Since when items are missing from the disk, by id: many a save takes a file away for a moment. */
  readonly missing: Map<string, number>;
  /** Whether it is still the folder that was looked at. */
  readonly isThere: () => Promise<boolean>;
  readonly larges: Larges | undefined;
  /** Nobody waits for the rest any more. */
  readonly stopped: () => boolean;
}

export interface Passed {
  /** Steps that were done, the reading of files included. */
  readonly done: number;
  /** Of the disk, those that were not. */
  readonly undone: number;
  /** Causes of steps that cannot be done now, each as often as it was met. */
  readonly failures: ReadonlyMap<string, number>;
  readonly issues: readonly PlanIssue[];
  /** Deletions that are looked at once more, a moment later. */
  readonly waiting: number;
  /** Files that are taken once some of what waits here to be sent has left. */
  readonly held: number;
  /** Changes of the disk that stay here: this device only reads the vault. */
  readonly kept: readonly UpStep[];
}

/** Bytes whose hashes one pass asks for, before what is known is acted upon. */
const HASHED = 1 << 30;

export async function pass(deps: PassDeps, approved: readonly Direction[]): Promise<Passed> {
  const work = new Pass(deps);
  return work.run(approved);
}

/** What was planned and what it was planned for; for those who carry nothing out. */
export function planned(deps: PassDeps): { readonly local: Local; readonly steps: readonly Step[] } {
  const { local, planned: found } = new Pass(deps).plan([]);
  return { local, steps: found.steps };
}

/** What a pass would do. */
export function peek(deps: PassDeps): { readonly up: number; readonly passed: Passed } {
  const { planned } = new Pass(deps).plan([]);
  const up = planned.steps.filter((step) => isUp(step.do) || step.do === "hash").length;
  const down = planned.steps.filter((step) => !isUp(step.do) && !isBook(step.do)).length;
  return {
    up,
    passed: {
      done: 0,
      undone: down,
      failures: new Map(),
      issues: planned.issues,
      waiting: 0,
      held: 0,
      kept: [],
    },
  };
}

class Pass {
  readonly #deps: PassDeps;
  readonly #failures = new Map<string, number>();
  readonly #waiting = new Set<string>();
  /** Racy files that were read for this pass. */
  readonly #reread = new Set<bigint>();
  /** Something was not there any more when it was to be read. */
  #gone = false;
  #held = 0;
  #kept: readonly UpStep[] = [];

  /** Before it looked at anything, ms. */
  readonly #began: number;

  constructor(deps: PassDeps) {
    this.#deps = deps;
    this.#began = deps.host.clock.now();
  }

  async run(approved: readonly Direction[]): Promise<Passed> {
    let read = 0;
    for (;;) {
      const { local, base, planned } = this.plan(approved);
      const asked = planned.steps.filter((step) => step.do === "hash");
      if (asked.length > 0) {
        read += await this.#hash(local, asked);
        // What is gone is asked for again by every plan, until the scan has seen that it is gone.
        if (read === 0 || this.#gone) return this.#passed(read, 0, planned);
        continue;
      }
      return this.#carryOut(local, base, planned, read);
    }
  }

  plan(approved: readonly Direction[]): { local: Local; base: number; planned: Plan } {
    const { host, book, rows, scanner, probed, op, memory } = this.#deps;
    const local = localOf(
      scanner.tree,
      (seen) => this.#isRacy(seen),
      (seen) => this.#reread.has(seen.facts.ino),
    );
    return host.engine.read((tx) => {
      const ignores = (path: readonly string[], isFolder: boolean): boolean =>
        scanner.ignores(path, isFolder);
      const self = host.replica.ownDevice(tx) ?? -1;
      const view = planView(tx, host.files, self, ignores, rows.rules(tx), memory);
      const planned = plan(view, local.entries, book.all(), probed.profile, { op, approved });
      return { local, base: host.replica.cursor().applied, planned };
    });
  }

  /** Written so shortly before it was noted that another write could have got the same stamp. */
  #isRacy({ facts }: Seen): boolean {
    const row = this.#deps.book.like(facts);
    if (row === undefined || row.kind !== "file") return false;
    return racyUntil(row, this.#deps.probed.profile) !== undefined && isDue(row, this.#deps);
  }

  /** How many of them could be read. */
  async #hash(local: Local, asked: readonly { readonly entry: LocalEntry }[]): Promise<number> {
    const { host, book, scanner, hands } = this.#deps;
    const deps = { hands, places: local.places, changed: this.#changed(local) };
    const sum = async (path: string): Promise<{ hash: Uint8Array; file: ReadFile }> => {
      const stream = host.suite.sha256Stream();
      const file = await host.fs.readPieces(path, MOST_FILE_SIZE, (piece) => stream.update(piece));
      return { hash: stream.digest(), file };
    };
    const same: FolderRow[] = [];
    let [bytes, read] = [0, 0];
    for (const { entry } of asked) {
      if (bytes > HASHED) break;
      const got = await readSettled(deps, entry, sum);
      const key = local.places.key(entry.at);
      if (key === undefined) continue;
      // What could not be read is set apart: that too is news for the next plan.
      read++;
      if (got === undefined) continue;
      bytes += got.file.length;
      const { hash } = got;
      scanner.learn(key, { hash });
      this.#reread.add(entry.print.ino);
      const row = book.like(entry.print);
      if (row?.hash !== undefined && equalBytes(row.hash, hash)) same.push(row);
    }
    // Read again and the same: from now on the stamp tells.
    if (same.length > 0) this.#note(same.map(({ id, print }) => ({ id, set: { print } })));
    return read;
  }

  async #carryOut(local: Local, base: number, planned: Plan, read: number): Promise<Passed> {
    const { host, scanner } = this.#deps;
    const { places } = local;
    const book = planned.steps.filter((step): step is BookStep => isBook(step.do));
    const ups = this.#settled(planned.steps.filter((step): step is UpStep => isUp(step.do)));
    const downs = planned.steps.filter((step): step is DownStep => !isBook(step.do) && !isUp(step.do));
    this.#note(
      book.flatMap((step): RowChange[] => {
        if (step.do === "hash") return [];
        return [{ id: step.id, set: step.do === "adopt" ? step.set : undefined }];
      }),
    );
    const deps: UpDeps = { ...this.#deps, places, changed: this.#changed(local) };
    this.#kept = isReader(host) ? ups : [];
    const sent = await sendUp(deps, this.#kept.length > 0 ? [] : ups, base);
    this.#held = sent.held;
    // What was left for the next plan may stand before these.
    if (sent.more) return this.#passed(read + book.length + sent.changes, downs.length, planned);
    const done = await takeDown(
      {
        ...this.#deps,
        places,
        touched: (folder) => scanner.hint(folder),
        failed: (_, code) => this.#failures.set(code, (this.#failures.get(code) ?? 0) + 1),
      },
      downs,
    );
    for (const step of downs) {
      const from = "entry" in step ? places.key(step.entry.at) : undefined;
      const to = "to" in step ? places.key(step.to.folder) : undefined;
      if (from !== undefined) scanner.hint(parentKey(from));
      if (to !== undefined) scanner.hint(to);
    }
    if (sent.changes + done > 0) host.log.event("folder.passed", { up: sent.changes, down: done });
    const undone = downs.length - done;
    // What lies in the way of others' changes stays in it, and holds nothing else up.
    const failed = [...this.#failures.values()].reduce((sum, n) => sum + n, 0);
    if (this.#kept.length > 0 && undone > failed) this.#failures.set("not-written", undone - failed);
    // A plan that was made of what was read and found nothing needs no second one.
    const acted = book.length + sent.changes + done;
    return this.#passed(acted === 0 ? 0 : read + acted, undone, planned);
  }

  /** Without deletions of what was there a moment ago, and without what may want their names. */
  #settled(ups: readonly UpStep[]): readonly UpStep[] {
    const { host, book, missing } = this.#deps;
    const now = host.clock.mono();
    const deletions = new Map(
      ups.flatMap((step) => (step.do === "delete" ? [[toHex(step.id), step.id]] : [])),
    );
    for (const id of missing.keys()) if (!deletions.has(id)) missing.delete(id);
    const busy = new Set<string>();
    for (const [id, item] of deletions) {
      const since = missing.get(id) ?? now;
      missing.set(id, since);
      if (now - since >= QUIET) continue;
      this.#waiting.add(id);
      const parent = book.row(item)?.parent;
      if (parent !== undefined) busy.add(toHex(parent));
    }
    if (this.#waiting.size === 0) return ups;
    const held = new Set<string>();
    return ups.filter((step) => {
      if (step.do === "delete") return !this.#waiting.has(toHex(step.id));
      if (!("parent" in step)) return true;
      const waits = busy.has(toHex(step.parent)) || held.has(toHex(step.parent));
      if (waits) held.add(toHex(step.op));
      return !waits;
    });
  }

  #passed(done: number, undone: number, { issues }: Plan): Passed {
    return {
      done,
      undone,
      failures: this.#failures,
      issues,
      waiting: this.#waiting.size,
      held: this.#held,
      kept: this.#kept,
    };
  }

  #note(changes: readonly RowChange[]): void {
    if (changes.length === 0) return;
    const { host, book } = this.#deps;
    host.engine.write((tx) => book.put(tx, changes, this.#began));
  }

  /** It was not as the scan saw it. */
  #changed(local: Local): UpDeps["changed"] {
    const { scanner } = this.#deps;
    return (entry, why) => {
      const key = local.places.key(entry.at);
      if (key === undefined) return;
      if (why === "gone") {
        this.#gone = true;
        return scanner.hint(parentKey(key));
      }
      if (why !== "torn") return scanner.learn(key, { apart: why });
      const torn = (scanner.entry(key)?.torn ?? 0) + 1;
      scanner.learn(key, { torn, apart: torn >= TORN ? "file-keeps-changing" : "unsettled" });
      if (torn < TORN) scanner.hint(parentKey(key));
    };
  }
}

function isDue(row: FolderRow, { host, probed }: PassDeps): boolean {
  const until = racyUntil(row, probed.profile);
  return until !== undefined && BigInt(Math.floor(host.clock.now())) * 1_000_000n > until;
}

function isBook(what: string): boolean {
  return what === "hash" || what === "adopt" || what === "forget";
}

function isUp(what: string): boolean {
  return ["mkdir", "create", "symlink", "write", "move", "meta", "delete"].includes(what);
}
