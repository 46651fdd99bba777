/**
 * The objects of `log/` as one reader sees them: following the numbers costs one open a poll, and
 * the directory is listed only where that says more: to read ahead, and to tell an end from a gap
 * or from a log that went back. Rules REM11, REM13, REM14, REM27.
 */
import { limits } from "@tidelock/core/bytes/limits";
import { endOf, MOST_STRAYS, objectAt } from "@tidelock/core/log/page";
import type { Clock, LogObject, Page } from "@tidelock/core/ports";
import type { FileStat, Fs } from "@tidelock/core/ports-fs";
import { errnoOf, unless } from "./errno.ts";
import { readObject } from "./place.ts";

interface Listing {
  readonly directory: FileStat;
  /** When the directory was first seen with this time, and when it was listed: both monotonic ms of ours. */
  readonly seenAt: number;
  readonly listedAt: number;
  readonly numbers: readonly number[];
}

/** FAT keeps times to two seconds: until then another change may bear the same time. */
const COARSEST_TIME = 2500;
/** Listing takes at most a twentieth of the time. */
const LISTING_SHARE = 20;
const READ_AHEAD = 8;
/** An object holds at most this many numbers, so one that reaches past another starts no further before it. */
const WIDEST = limits.framesPerAppend;

export class LogView {
  readonly #fs: Fs;
  readonly #home: string;
  readonly #clock: Clock;
  readonly #sha256: (bytes: Uint8Array) => Uint8Array;
  #listing: Listing | undefined;
  #listingCost = 0;
  /** The newest object that was read or placed here. */
  #newest: { readonly first: number; readonly end: number } | undefined;
  /** The end of the newest listed object, so that a long pull reads it once. */
  #far: { readonly number: number; readonly end: number } | undefined;

  /** What `#headBelow` found, so that files that stay there are read once. */
  #strays: { readonly listing: Listing; readonly after: number; readonly below: number } | undefined;

  constructor(fs: Fs, home: string, clock: Clock, sha256: (bytes: Uint8Array) => Uint8Array) {
    this.#fs = fs;
    this.#home = home;
    this.#clock = clock;
    this.#sha256 = sha256;
  }

  path(number: number): string {
    return `${this.#home}/${String(number).padStart(12, "0")}`;
  }

  placed(first: number, end: number): void {
    if (end > (this.#newest?.end ?? 0)) this.#newest = { first, end };
  }

  /** When the object was stored that holds this seq, by the clock of whatever stores it; undefined where none does. */
  async storedAt(seq: number): Promise<number | undefined> {
    for (let number = seq; number > Math.max(0, seq - WIDEST); number--) {
      const bytes = await readObject(this.#fs, this.path(number), limits.garbageHashed);
      if (bytes === undefined) continue;
      const stat = await unless(["ENOENT"], this.#fs.stat(this.path(number)));
      return endOf(objectAt(number, bytes, this.#sha256)) < seq ? undefined : stat?.mtime;
    }
    return undefined;
  }

  async page(after: number, want: { readonly frames: number; readonly bytes: number }): Promise<Page> {
    let objects = await this.#follow(after, want);
    if (objects.length === 0) {
      const head = await this.#head(after, 0);
      // Somebody may have placed it between the two looks; what is still absent now is a gap.
      if (head > after) objects = await this.#follow(after, want);
      if (objects.length === 0)
        return { objects, head: head > after ? await this.#headBelow(after, head) : head };
    }
    // REM14: a later power cut must not take back what is handed out here.
    if (objects.some((object) => !this.#isListed(object.first))) await this.#fs.syncDir(this.#home);
    const last = objects[objects.length - 1] as LogObject;
    this.placed(last.first, endOf(last));
    return { objects, head: await this.#head(after, endOf(last)) };
  }

  async #follow(
    after: number,
    want: { readonly frames: number; readonly bytes: number },
  ): Promise<readonly LogObject[]> {
    const objects: LogObject[] = [];
    const ahead = new Map<number, Promise<Uint8Array | undefined>>();
    let [frames, bytes] = [0, 0];
    for (let number = after + 1; ; ) {
      if (objects.length > 0 && (frames >= want.frames || bytes >= want.bytes)) return objects;
      // As many as will be wanted, should they be like those before.
      const more = objects.length < 4 ? 1 : Math.ceil(((want.bytes - bytes) / bytes) * objects.length);
      const found = await this.#get(number, Math.min(READ_AHEAD, more), ahead).catch((error) => {
        // What could be read goes first; the error comes again at its own number.
        if (objects.length === 0 || errnoOf(error) === undefined) throw error;
        return undefined;
      });
      if (found === undefined) return objects;
      const object = objectAt(number, found, this.#sha256);
      objects.push(object);
      bytes += found.length;
      number = endOf(object) + 1;
      frames = number - after - 1;
    }
  }

  async #get(
    number: number,
    more: number,
    ahead: Map<number, Promise<Uint8Array | undefined>>,
  ): Promise<Uint8Array | undefined> {
    const waiting = ahead.get(number);
    if (waiting !== undefined) return waiting;
    if (more > 1 && !this.#isListed(number) && this.#mayList()) await this.#list();
    const wanted = more > 1 ? this.#listedFrom(number, more) : [];
    for (const one of [number, ...wanted]) {
      if (ahead.has(one)) continue;
      const reading = readObject(this.#fs, this.path(one), limits.garbageHashed);
      // Nobody may come to fetch it; whoever does sees the error.
      reading.catch(() => {});
      ahead.set(one, reading);
    }
    return ahead.get(number);
  }

  /** The newest seq to be seen now. `end` is that of what was just read after `after`; 0 for nothing. */
  async #head(after: number, end: number): Promise<number> {
    const directory = await this.#fs.stat(this.#home);
    const own = this.#newest;
    const known =
      own === undefined || own.end <= end || (await this.#exists(own.first)) ? (own?.end ?? 0) : 0;
    if (own !== undefined && known === 0) this.#newest = undefined;
    let listing = this.#listing;
    const due = listing !== undefined && !isUpToDate(listing, directory) && this.#mayList();
    // While it is not due, what we know ourselves has to do: a gap shows a moment later, a rollback at once.
    if (listing === undefined || due || Math.max(known, end) < after || known === 0)
      listing = await this.#list();
    const newest = listing.numbers[listing.numbers.length - 1] ?? 0;
    const sure = Math.max(end, known);
    if (newest <= sure && sure >= after) return sure;
    return Math.max(sure, await this.#headOf(listing, Math.max(newest, after)));
  }

  /**
   * Nothing stands right after `after`, and something further on. A few files there that are no pages
   * were put there by nobody who uses the vault: they are no part of the log until it gets there.
   */
  async #headBelow(after: number, head: number): Promise<number> {
    const listing = this.#listing ?? (await this.#list());
    if (this.#strays?.listing !== listing || this.#strays.after !== after) {
      const at = lowerBound(listing.numbers, after + 1);
      const above = listing.numbers.slice(at);
      if (above.length === 0 || above.length > MOST_STRAYS) return head;
      for (const number of above) {
        const bytes = await readObject(this.#fs, this.path(number), limits.garbageHashed);
        if (bytes !== undefined && objectAt(number, bytes, this.#sha256).kind === "page") return head;
      }
      const below = await this.#headOf({ ...listing, numbers: listing.numbers.slice(0, at) }, after);
      this.#strays = { listing, after, below };
    }
    // What was read or placed since may not be listed yet.
    return Math.max(this.#strays.below, this.#newest?.end ?? 0);
  }

  /** The end of the newest object, or of one before it that reaches further: `enough` ends the search. */
  async #headOf({ numbers }: Listing, enough: number): Promise<number> {
    const newest = numbers[numbers.length - 1] ?? 0;
    if (this.#far?.number === newest && this.#far.end >= enough) return this.#far.end;
    let head = 0;
    for (let i = numbers.length - 1; i >= 0 && head < enough; i--) {
      const number = numbers[i] as number;
      if (number <= newest - WIDEST) break;
      const bytes = await readObject(this.#fs, this.path(number), limits.garbageHashed);
      if (bytes === undefined) continue;
      const object = objectAt(number, bytes, this.#sha256);
      const end = endOf(object);
      head = Math.max(head, end);
      if (number === newest) this.#far = { number, end };
      if (end === enough && object.kind === "page") this.placed(number, end);
    }
    return head;
  }

  async #exists(number: number): Promise<boolean> {
    return (await unless(["ENOENT"], this.#fs.stat(this.path(number)))) !== undefined;
  }

  #mayList(): boolean {
    if (this.#listing === undefined) return true;
    return this.#clock.mono() - this.#listing.listedAt >= this.#listingCost * LISTING_SHARE;
  }

  async #list(): Promise<Listing> {
    const start = this.#clock.mono();
    // In this order: a change after the look at the directory is seen at the next, and what was listed is durable.
    const directory = await this.#fs.stat(this.#home);
    const names = await this.#fs.readdir(this.#home);
    await this.#fs.syncDir(this.#home);
    const numbers = names.filter((name) => /^\d{12}$/.test(name)).map(Number);
    numbers.sort((a, b) => a - b);
    this.#listingCost = this.#clock.mono() - start;
    const before = this.#listing;
    const seenAt = before !== undefined && sameDirectory(before.directory, directory) ? before.seenAt : start;
    const listing = { directory, seenAt, listedAt: start, numbers };
    this.#listing = listing;
    return listing;
  }

  #isListed(number: number): boolean {
    const numbers = this.#listing?.numbers ?? [];
    return numbers[lowerBound(numbers, number)] === number;
  }

  #listedFrom(number: number, count: number): readonly number[] {
    const numbers = this.#listing?.numbers ?? [];
    const at = lowerBound(numbers, number);
    return numbers.slice(at, at + count);
  }
}

function isUpToDate({ directory, seenAt, listedAt }: Listing, now: FileStat): boolean {
  return sameDirectory(directory, now) && listedAt - seenAt >= COARSEST_TIME;
}

function sameDirectory(a: FileStat, b: FileStat): boolean {
  return a.mtime === b.mtime && a.ino === b.ino && a.dev === b.dev;
}

function lowerBound(numbers: readonly number[], number: number): number {
  let [low, high] = [0, numbers.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((numbers[middle] as number) < number) low = middle + 1;
    else high = middle;
  }
  return low;
}
