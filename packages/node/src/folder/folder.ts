/**
 * A real folder of the disk, kept equal with the vault's tree of files: what any program does
 * there is sent, what comes from the vault is made there. Rules: docs/spec/folder.md.
 */
import { toHex } from "@tidelock/core/bytes/bytes";
import { getRun } from "@tidelock/core/engine/outbox";
import { TidelockError } from "@tidelock/core/errors";
import type { Selection, SelectionRule } from "@tidelock/core/kinds/files/plan/selection";
import type { Direction } from "@tidelock/core/kinds/files/plan/types";
import type { Op } from "@tidelock/core/kinds/files/types";
import type { Tx } from "@tidelock/core/log/tx";
import { errnoOf } from "../home/files.ts";
import { maxFileSize } from "../vault/content.ts";
import { hasRoom } from "../vault/outflow.ts";
import { RowBook, racyUntil } from "./book.ts";
import { Contents } from "./contents.ts";
import { Hands } from "./hands.ts";
import { type FolderHost, isReader } from "./host.ts";
import { isTemporary } from "./ignore.ts";
import { type FolderIssue, issuesFrom } from "./issues.ts";
import { Larges } from "./larges.ts";
import { type PassDeps, type Passed, pass, peek } from "./pass.ts";
import { probe } from "./probe.ts";
import { type FolderPlace, makeRooms, placeIn, whyNot } from "./root.ts";
import { type FolderRecord, FolderRows } from "./rows.ts";
import { Scanner } from "./scan.ts";
import { parentKey } from "./seen.ts";
import {
  type Chosen,
  choose,
  chosenIn,
  forgetHidden,
  hasOldRules,
  renewRules,
  selectionOf,
  unsentIn,
} from "./select.ts";
import { QUIET, settlesIn } from "./settle.ts";
import { recover, type StageDeps, sweep, sweepIn } from "./stage.ts";
import { Trash } from "./trash.ts";
import { ViewMemory } from "./view.ts";
import { Watcher } from "./watcher.ts";

export type PumpKind = "quiet" | "busy" | "paused";

/** What comes within so many ms is one look. */
const BURST = 20;
/** A file that cannot be read again just now is tried so much later, ms. */
const REREAD = 60_000;
/** Looks before a plan, while hints come. */
const LOOKS = 3;
/** Rounds of one pump, before others have a turn. */
const ROUNDS = 50;
const DAY = 86_400_000;
/** Days, while the vault's own settings are not here. */
const RETENTION = 90;
const TIDY_EVERY = DAY / 4;
/** After what failed, ms: twice as long each time, at most ten minutes. */
const AGAIN = 2000;
const AGAIN_CAP = 600_000;

interface Ready extends PassDeps {
  readonly stage: StageDeps;
  readonly watcher: Watcher | undefined;
}

export class SyncedFolder {
  readonly #host: FolderHost;
  readonly #record: FolderRecord;
  readonly #place: FolderPlace;
  readonly #rows: FolderRows;
  readonly #watch: boolean;
  #ready: Ready | undefined;
  #paused: { readonly code: string; readonly why: string } | undefined;
  #last: Passed | undefined;
  /** What the view was when the last plan read it. */
  #seen = -1;
  #queue: Promise<unknown> = Promise.resolve();
  #wake: () => void = () => undefined;
  #wakeAt = Number.POSITIVE_INFINITY;
  #failures = 0;
  #tidied = Number.NEGATIVE_INFINITY;
  #closed = false;
  readonly #larges: Larges | undefined;
  /** A file that was read beside the turns can be taken. */
  #news = false;
  readonly #stop: () => void;

  /** `watch`: it works by itself from then on. */
  constructor(host: FolderHost, record: FolderRecord, watch: boolean) {
    this.#host = host;
    this.#record = record;
    this.#place = placeIn(record.path);
    this.#rows = new FolderRows(record.slot);
    this.#watch = watch;
    if (watch)
      this.#larges = new Larges(host, () => {
        this.#news = true;
        this.wakeIn(0);
      });
    this.#stop = host.engine.onChange(() => {
      if (watch && (this.#isNew || this.#isLetGo)) this.wakeIn(BURST);
    });
    if (watch) this.wakeIn(0);
  }

  get path(): string {
    return this.#record.path;
  }

  get paused(): { readonly code: string; readonly why: string } | undefined {
    return this.#paused;
  }

  /** Items of which disk and vault agree. */
  get items(): number {
    return this.#ready?.book.size ?? 0;
  }

  /** Steps of the disk that are due; those that wait for a person or a cause outside are not. */
  get due(): number {
    if (this.#paused !== undefined) return 0;
    if (this.#ready === undefined || this.#last === undefined) return 1;
    const failed = [...this.#last.failures.values()].reduce((sum, n) => sum + n, 0);
    const undone = Math.max(0, this.#last.undone - failed);
    return undone + this.#last.waiting + this.#last.held + this.#unsettled() + (this.#isNew ? 1 : 0);
  }

  /** Of those, what neither another program nor the remote holds up. */
  get owed(): number {
    if (this.#last === undefined) return 0;
    return Math.max(0, this.due - this.#last.waiting - this.#last.held - this.#unsettled());
  }

  /** The view may be another one than the last plan read. */
  get #isNew(): boolean {
    return this.#host.files.changes() !== this.#seen;
  }

  /** What waited for room here, or for the right to write, can go on. */
  get #isLetGo(): boolean {
    const { held = 0, kept = [] } = this.#last ?? {};
    // What is sent beside the turns says itself when it is done.
    const goesOn = this.#larges?.isBusy === true ? this.#news : hasRoom(this.#host);
    return (held > 0 && goesOn) || (kept.length > 0 && !isReader(this.#host));
  }

  /** Steps of the disk that were planned and are not done, and files that were not taken, whatever they wait for. */
  get undone(): number {
    return (this.#last?.undone ?? 0) + (this.#last?.held ?? 0);
  }

  /** Of those, files that wait for room here or are on their way to the remote. */
  get held(): number {
    return this.#last?.held ?? 0;
  }

  get withheld(): number {
    const guards = (this.#last?.issues ?? []).filter((issue) => issue.kind === "guard-deletion");
    return guards.reduce((sum, issue) => sum + issue.count, 0);
  }

  issues(): readonly FolderIssue[] {
    const limited = this.#ready?.watcher?.limited === true;
    const most = maxFileSize(this.#host.replica);
    return issuesFrom(this.#paused, this.#last, this.#ready?.scanner.tree, { limited, most });
  }

  /** Both ways, until nothing is left to do that can be done now. */
  pump(approved: readonly Direction[] = []): Promise<PumpKind> {
    return this.#inTurn(() => this.#pump(approved));
  }

  /** The same, and first it looks at everything, whatever hints there were. */
  scan(): Promise<PumpKind> {
    return this.#inTurn(() => {
      this.#ready?.scanner.hintAll();
      return this.#pump([]);
    });
  }

  /** A person's word that edits which the vault refused may be tried anew, as the disk has them now. */
  retry(): Promise<PumpKind> {
    return this.#inTurn(() => {
      this.#forgetRefused();
      return this.#pump([]);
    });
  }

  /** Lets the deletions go that are withheld; how many there were. */
  approve(): Promise<number> {
    return this.#inTurn(async () => {
      await this.#pump([]);
      const guards = (this.#last?.issues ?? []).filter((issue) => issue.kind === "guard-deletion");
      if (guards.length === 0) return 0;
      const directions = guards.map(({ direction }) => direction);
      await this.#pump(directions);
      // Deletions are looked at twice.
      if ((this.#last?.waiting ?? 0) > 0) {
        await new Promise<void>((resolve) => void this.#host.scheduler.after(QUIET, resolve));
        await this.#pump(directions);
      }
      return guards.reduce((sum, { count }) => sum + count, 0);
    });
  }

  /**
   * The other answer to what is withheld: it comes back. Forgets what was agreed on, so that what
   * either side has is merged, as in a folder that is new.
   */
  bringBack(): Promise<number> {
    return this.#inTurn(async () => {
      await this.#pump([]);
      const count = this.withheld;
      if (count === 0) return 0;
      this.#letGo();
      this.#host.engine.write((tx) => {
        for (const { id } of this.#rows.all(tx)) this.#rows.drop(tx, id);
      });
      await this.#pump([]);
      return count;
    });
  }

  /**
   * Whether this disk shows a folder of the vault with all in it. What is not selected leaves the disk; that is refused,
   * by a count, while something in it is only here.
   */
  select(rule: SelectionRule): Promise<number> {
    return this.#inTurn(async () => {
      this.#ready?.scanner.hintAll();
      await this.#pump([]);
      const { engine, files } = this.#host;
      if (!rule.selected) {
        const ready = this.#ready;
        if (ready === undefined) throw this.#away();
        const unsent = unsentIn(ready, rule.id);
        if (unsent > 0) return unsent;
      }
      engine.write((tx) => {
        if (this.#ready === undefined) forgetHidden(tx, files, this.#rows);
        choose(tx, files, this.#rows, rule);
      });
      this.#seen = -1;
      await this.#pump([]);
      return 0;
    });
  }

  /** What was said of parts of the vault. */
  chosen(): readonly Chosen[] {
    return this.#host.engine.read((tx) => chosenIn(tx, this.#host.files, this.#rows));
  }

  /** Which items it shows. */
  selection(tx: Tx): Selection {
    return selectionOf(tx, this.#host.files, this.#rows);
  }

  #away(): TidelockError {
    const why = this.#paused?.why ?? "the folder is not open";
    return new TidelockError("folder-missing", { why: `the folder is paused: ${why}` });
  }

  /** Without a change of anything: whether it is the folder that was attached, and what would be done. */
  look(): Promise<{ readonly up: number }> {
    return this.#inTurn(async () => {
      try {
        const why = await this.#whyNot();
        if (why !== undefined) {
          this.#leave(why.code, why.why);
          return { up: 0 };
        }
        const ready = this.#ready ?? (await this.#open());
        this.#ready = ready;
        ready.scanner.hintAll();
        await ready.scanner.scan((facts) => ready.book.like(facts) !== undefined);
        const { up, passed } = peek(ready);
        this.#last = passed;
        // What was saved a moment ago is not planned yet, and is not sent either.
        return { up: up + this.#unsettled() };
      } catch (error) {
        this.#letGo();
        this.#pause(error);
        return { up: 0 };
      }
    });
  }

  #gone(): Promise<string | undefined> {
    const { id, identity } = this.#record;
    return whyNot(this.#host.fs, this.#place, { vault: this.#host.engine.vault, attachment: id, identity });
  }

  async #whyNot(): Promise<{ readonly code: string; readonly why: string } | undefined> {
    const why = await this.#gone();
    if (why !== undefined) return { code: "folder-missing", why };
    const judged = this.#runsJudged();
    // What they bring is nowhere but on this disk: it is read again.
    if (judged === "lost") this.#forgetRefused(true);
    if (judged !== "refused") return undefined;
    return { code: "rejected", why: "the vault did not take edits of this folder" };
  }

  async #pump(approved: readonly Direction[]): Promise<PumpKind> {
    if (this.#closed) return "paused";
    try {
      const kind = await this.#rounds(approved);
      this.#failures = 0;
      return kind;
    } catch (error) {
      this.#failures++;
      // What was in the middle of it says so at the next start of it.
      this.#letGo();
      this.#pause(error);
      this.wakeIn(Math.min(AGAIN_CAP, AGAIN * 2 ** Math.min(this.#failures, 10)));
      return "paused";
    }
  }

  async #rounds(approved: readonly Direction[]): Promise<PumpKind> {
    const why = await this.#whyNot();
    if (why !== undefined) return this.#leave(why.code, why.why);
    this.#paused = undefined;
    const ready = this.#ready ?? (await this.#open());
    this.#ready = ready;
    await sweep(ready.stage);
    const waits = this.#last === undefined || this.#last.waiting > 0;
    let work = approved.length > 0 || waits || this.#isLetGo || this.#racyIn() === 0;
    for (let round = 0; round < ROUNDS && !this.#closed; round++) {
      const moved = await this.#scan(ready);
      if (!(moved || work || this.#isNew)) break;
      // Unmounted while it was looked at: what it lacks then nobody has deleted.
      if (!(await ready.isThere())) return this.#leave("folder-missing", "the folder went away");
      this.#seen = this.#host.files.changes();
      this.#news = false;
      this.#last = await pass(ready, approved);
      work = this.#last.done > 0;
    }
    ready.memory.forget();
    await this.#tidy(ready);
    const racyIn = this.#racyIn();
    const deletionsIn = this.#last !== undefined && this.#last.waiting > 0 ? QUIET : undefined;
    const sweptIn = sweepIn(ready.stage);
    this.#plan([sweptIn, racyIn === 0 ? REREAD : racyIn, this.#settleIn(), deletionsIn, this.#retryIn()]);
    return this.due > 0 ? "busy" : "quiet";
  }

  /** Again where hints came meanwhile: what moves while it is looked at can be missed in both places. */
  async #scan({ scanner, book }: Ready): Promise<boolean> {
    let moved = false;
    for (let look = 0; look === 0 || (scanner.isDirty && look < LOOKS); look++)
      if (await scanner.scan((facts) => book.like(facts) !== undefined)) moved = true;
    return moved;
  }

  async #open(): Promise<Ready> {
    const host = this.#host;
    const { fs, clock } = host;
    const place = this.#place;
    const random = (): string => toHex(host.suite.random(8));
    await makeRooms(fs, place);
    const trash = new Trash({ fs, clock, folder: place.trash, random });
    const probed = await probe(fs, place.tmp);
    const { hardLinks } = probed.profile;
    const hands = new Hands({ fs, place, random, hardLinks, mode: probed.mode });
    const op = (): Op => host.suite.random(16) as Op;
    const watcher = this.#watch ? this.#watcher() : undefined;
    const scanner = new Scanner({
      fs,
      clock,
      place,
      isTooLarge: (size) => size > maxFileSize(host.replica),
      entered: (folder) => watcher?.enter(folder),
      left: (folder) => watcher?.leave(folder),
    });
    const rows = this.#rows;
    const stopped = (): boolean => this.#closed;
    const stage = {
      host,
      hands,
      place,
      rows,
      trash,
      op,
      hardLinks,
      touched: (key: string) => scanner.hint(key),
    };
    await recover(stage);
    if (host.engine.read((tx) => hasOldRules(tx, host.files, rows)))
      host.engine.write((tx) => renewRules(tx, host.files, rows));
    const book = host.engine.read((tx) => new RowBook(rows, tx));
    const contents = new Contents(host);
    const isThere = async (): Promise<boolean> => (await this.#gone()) === undefined;
    const missing = new Map<string, number>();
    const parts = { host, hands, rows, book, contents, trash, scanner, probed, stage, watcher };
    const memory = new ViewMemory();
    return { ...parts, random, op, memory, missing, isThere, stopped, larges: this.#larges };
  }

  #watcher(): Watcher {
    const { fs, clock, scheduler } = this.#host;
    return new Watcher({
      fs,
      clock,
      scheduler,
      root: this.path,
      hint: (folder) => {
        this.#ready?.scanner.hint(folder);
        this.wakeIn(BURST);
      },
      due: () => {
        this.#ready?.scanner.hintAll();
        this.wakeIn(0);
      },
    });
  }

  /** What became of what was sent: rows rely on nothing that the log did not take. */
  #runsJudged(): "refused" | "lost" | undefined {
    const judged = this.#host.engine.read((tx) =>
      this.#rows.runs(tx).map((one) => ({ ...one, is: getRun(tx, one.run) })),
    );
    const over = judged.filter(({ is }) => is === undefined);
    if (over.length > 0)
      this.#host.engine.write((tx) => {
        for (const { run } of over) this.#rows.dropRun(tx, run);
      });
    const reasons = judged.flatMap(({ is }) => is?.parked ?? []);
    if (reasons.length === 0) return undefined;
    return reasons.every((reason) => reason === "content") ? "lost" : "refused";
  }

  /** The folder plans anew from the disk: what it and the vault hold alike is agreed again, all else is new. */
  #forgetRefused(discards = false): void {
    const { engine, replica } = this.#host;
    this.#letGo();
    const refused = engine.read((tx) =>
      this.#rows.runs(tx).filter(({ run }) => getRun(tx, run)?.parked !== undefined),
    );
    if (refused.length === 0) return;
    engine.write((tx) => {
      for (const { run, ids } of refused) {
        for (const id of ids) this.#rows.drop(tx, id);
        this.#rows.dropRun(tx, run);
        if (discards) replica.discard(tx, run);
      }
    });
  }

  async #tidy(ready: Ready): Promise<void> {
    const now = this.#host.clock.mono();
    if (now - this.#tidied < TIDY_EVERY) return;
    this.#tidied = now;
    const { replica } = this.#host;
    const days = replica.read((tx) => replica.membership.settings(tx)?.retentionDays) ?? RETENTION;
    await ready.trash.tidy(days * DAY);
  }

  #leave(code: string, why: string): "paused" {
    this.#letGo();
    this.#paused = { code, why };
    this.wakeIn(Math.min(AGAIN_CAP, AGAIN * 2 ** Math.min(this.#failures++, 5)));
    return "paused";
  }

  #pause(error: unknown): void {
    const errno = errnoOf(error);
    const code =
      error instanceof TidelockError
        ? error.code
        : errno === "ENOSPC" || errno === "EDQUOT"
          ? "disk-full"
          : errno === ""
            ? "internal"
            : "folder-missing";
    const why =
      error instanceof TidelockError
        ? error.why
        : `the disk answered ${errno === "" ? "nothing we know" : errno}`;
    this.#host.log.event("folder.failed", { code, errno });
    this.#paused = { code, why };
  }

  /** Everything in memory is what was last seen: after a pause it is seen anew. */
  #letGo(): void {
    this.#ready?.watcher?.close();
    this.#ready = undefined;
    this.#last = undefined;
  }

  /** Files that are about to be taken: not those that wait long, for a rename or for their writer. */
  #unsettled(): number {
    let count = 0;
    for (const { seen } of this.#ready?.scanner.unsettled() ?? [])
      if (seen.apart === "unsettled" && !isTemporary(seen.name)) count++;
    return count;
  }

  /** Until the next of them may be settled, ms; they are looked at again then. */
  #settleIn(): number | undefined {
    let next: number | undefined;
    const scanner = this.#ready?.scanner;
    for (const { key, seen } of scanner?.unsettled() ?? []) {
      const ms = settlesIn(seen, this.#host.clock, isTemporary(seen.name));
      next = Math.min(next ?? ms, ms);
      scanner?.hint(parentKey(key));
    }
    return next;
  }

  #racyIn(): number | undefined {
    const ready = this.#ready;
    if (ready === undefined) return undefined;
    const now = BigInt(Math.floor(this.#host.clock.now())) * 1_000_000n;
    let next: number | undefined;
    for (const row of ready.book.all()) {
      const until = racyUntil(row, ready.probed.profile);
      if (until === undefined) continue;
      const ms = until < now ? 0 : Number((until - now) / 1_000_000n) + 1;
      next = Math.min(next ?? ms, ms);
    }
    return next;
  }

  #retryIn(): number | undefined {
    const held = (this.#last?.held ?? 0) > 0 && this.#larges?.isBusy !== true;
    if ((this.#last?.failures.size ?? 0) === 0 && !held) return undefined;
    return Math.min(held ? REREAD : AGAIN_CAP, AGAIN * 2 ** Math.min(this.#failures++, 10));
  }

  #plan(waits: readonly (number | undefined)[]): void {
    for (const ms of waits) if (ms !== undefined) this.wakeIn(ms);
  }

  /** One pump at the earliest moment that anybody asked for. */
  wakeIn(ms: number): void {
    const at = this.#host.clock.mono() + ms;
    if (!this.#watch || this.#closed || at >= this.#wakeAt) return;
    this.#wake();
    this.#wakeAt = at;
    this.#wake = this.#host.scheduler.after(ms, () => {
      this.#wakeAt = Number.POSITIVE_INFINITY;
      if (!this.#closed) void this.pump().catch(() => undefined);
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#queue.then(work);
    this.#queue = next.catch(() => undefined);
    return next;
  }

  /** Lets a running step end. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stop();
    this.#wake();
    this.#larges?.close();
    await this.#queue;
    this.#ready?.watcher?.close();
  }
}
