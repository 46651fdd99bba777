/**
 * Large files of a folder that is kept in step by itself: read and sent beside everything else, and made a change once
 * all of one has arrived. Until then nothing waits for it, and nothing of it is kept but what the log knows.
 */
import type { LocalEntry } from "@tidelock/core/kinds/files/plan/types";
import type { Content } from "@tidelock/core/log/content";
import type { ReadFile } from "@tidelock/core/ports-fs";
import type { Move } from "../vault/moving.ts";
import type { FolderHost } from "./host.ts";
import { NoRoom, Packing, type PackingWish } from "./packing.ts";
import { samePrint } from "./seen.ts";

/** From here on a file is one, bytes: all that one run may hold. */
const LARGE = 64 << 20;

interface Cut {
  readonly content: Content;
  readonly file: ReadFile;
}

interface Work {
  readonly path: string;
  readonly print: LocalEntry["print"];
  readonly wish: Omit<PackingWish, "stopped">;
  readonly move: Move | undefined;
  state: "waits" | "runs" | { readonly cut: Promise<Cut> };
}

export class Larges {
  readonly #host: FolderHost;
  readonly #news: () => void;
  readonly #workByPath = new Map<string, Work>();
  #running = false;
  #cutOff = false;

  /** `news`: one has ended, and can be taken. */
  constructor(host: FolderHost, news: () => void) {
    this.#host = host;
    this.#news = news;
  }

  /** Whether a file is read here, and not in its turn. */
  takes({ print }: LocalEntry): boolean {
    return this.#host.remote !== undefined && print.size > (this.#host.large ?? LARGE);
  }

  /** What was read of it, as it was seen; until then it throws `NoRoom`, and the file is on its way. */
  async read(path: string, { print }: LocalEntry, wish: Work["wish"]): Promise<Cut> {
    const work = this.#workByPath.get(path);
    if (work !== undefined && samePrint(work.print, print)) {
      if (typeof work.state === "string") throw new NoRoom();
      this.#workByPath.delete(path);
      return work.state.cut;
    }
    this.#forget(work);
    // What was left of one that was cut off goes first: the remote is there again when that has gone.
    if (this.#cutOff && this.#host.replica.spooledBytes() > 0) throw new NoRoom();
    this.#cutOff = false;
    const move = this.#host.moving?.begin({ name: path, direction: "up", total: print.size });
    this.#workByPath.set(path, { path, print, wish, move, state: "waits" });
    if (!this.#running) void this.#run();
    throw new NoRoom();
  }

  /** Some of them are on their way, or wait for their turn. */
  get isBusy(): boolean {
    return this.#running;
  }

  /** One after another, the smallest first: two at once would take twice as long each. */
  async #run(): Promise<void> {
    this.#running = true;
    for (;;) {
      const waiting = [...this.#workByPath.values()].filter(({ state }) => state === "waits");
      const [next] = waiting.sort((a, b) => a.print.size - b.print.size);
      if (next === undefined) break;
      next.state = "runs";
      const cut = this.#cut(next);
      await cut.catch(() => {
        this.#cutOff = true;
      });
      next.state = { cut };
      if (this.#isWanted(next)) this.#news();
    }
    this.#running = false;
  }

  #isWanted(work: Work): boolean {
    return this.#workByPath.get(work.path) === work;
  }

  async #cut(work: Work): Promise<Cut> {
    const packing = new Packing(this.#host, { ...work.wish, stopped: () => !this.#isWanted(work) }, true);
    try {
      const cut = await packing.add(work.path, work.move?.moved);
      await packing.sent();
      return cut;
    } finally {
      work.move?.end();
    }
  }

  /** What is under way counts for nothing any more. */
  close(): void {
    for (const work of this.#workByPath.values()) this.#forget(work);
  }

  #forget(work: Work | undefined): void {
    if (work === undefined) return;
    work.move?.end();
    this.#workByPath.delete(work.path);
  }
}
