/**
 * What one transaction knows, and unconfirmed changes above the confirmed state (FIL14). Where that
 * state moved below them, all of them are reduced again: their number is that of a person's edits
 * while a remote is away, and the law of files looks far beyond one item.
 */
import { readU64Key, u64Key } from "../../bytes/bytes.ts";
import { limits } from "../../bytes/limits.ts";
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import type { Suite } from "../../crypto/suite.ts";
import type { Position } from "../../log/kind.ts";
import { isStored, relyOn } from "../../log/locations.ts";
import type { Tx } from "../../log/tx.ts";
import { reduceChange } from "./apply.ts";
import { decodeSection, encodeSection } from "./codec.ts";
import { type Ground, Truth, View } from "./ground.ts";
import type { ItemMemory } from "./memory.ts";
import { frameOf, local, metaKeys, NOTHING, PENDING, runKey } from "./spaces.ts";
import type { Context } from "./tree.ts";
import type { FilesSection, Outcome } from "./types.ts";

/** Before this device has an index; no device ever has this one. */
const NO_DEVICE = 2 ** 32;
const BATCH = 64;

export class Session {
  readonly #tx: Tx;
  readonly #suite: Suite;
  readonly #truth: Truth;
  #view: View | undefined;
  /** What stands over the confirmed state is out of date. */
  #stale = false;
  /** Whether anything waits; asked again after it may have changed. */
  #pending: boolean | undefined;

  constructor(tx: Tx, suite: Suite, memory: ItemMemory) {
    this.#tx = tx;
    this.#suite = suite;
    this.#truth = new Truth(tx, memory);
  }

  /** What a person sees: all of it, with what is unconfirmed. */
  get view(): Ground {
    this.settle();
    if (!this.#isPending()) return this.#truth;
    this.#view ??= new View(this.#tx, this.#truth);
    return this.#view;
  }

  apply(sections: readonly FilesSection[], at: Position): readonly Outcome[] {
    if (at.own && this.#tx.get(local.meta, metaKeys.self) === undefined)
      this.#tx.put(local.meta, metaKeys.self, new Writer(8).v(at.device).done());
    this.#stale ||= this.#isPending();
    return this.#reduce(this.#truth, sections, at.seq, at.device);
  }

  hold(run: number, sections: readonly FilesSection[]): void {
    this.release(run);
    const last = this.#tx.last(local.pending, NOTHING, undefined);
    this.#pending = undefined;
    for (const [frame, section] of sections.entries())
      this.#tx.put(local.pending, runKey(run, frame), encodeSection(section));
    // On top of all others: what stands below stays as it is.
    if (this.#stale || (last !== undefined && readU64Key(last[0]) > run)) this.#stale = true;
    else for (const [frame, section] of sections.entries()) this.#show(section, run, frame);
  }

  release(run: number): void {
    const rows = this.#tx.scan(local.pending, u64Key(run), u64Key(run + 1));
    for (const [key] of rows) this.#tx.delete(local.pending, key);
    this.#pending = undefined;
    this.#stale ||= rows.length > 0;
  }

  settle(): void {
    if (!this.#stale) return;
    this.#stale = false;
    for (let rows = this.#over(); rows.length > 0; rows = this.#over())
      for (const [key] of rows) this.#tx.delete(local.over, key);
    this.#view = undefined;
    for (let after: Uint8Array = NOTHING; ; ) {
      const rows = this.#tx.scan(local.pending, after, undefined, BATCH);
      for (const [key, bytes] of rows)
        this.#show(decodeSection(bytes) as FilesSection, readU64Key(key), frameOf(key));
      const last = rows.at(-1);
      if (last === undefined || rows.length < BATCH) return;
      after = Uint8Array.of(...last[0], 0);
    }
  }

  #over(): [Uint8Array, Uint8Array][] {
    return this.#tx.scan(local.over, NOTHING, undefined, 1024);
  }

  #isPending(): boolean {
    this.#pending ??= this.#tx.last(local.pending, NOTHING, undefined) !== undefined;
    return this.#pending;
  }

  /** Sections of one run need not be reduced together: each change is judged alone. */
  #show(section: FilesSection, run: number, frame: number): void {
    this.#view ??= new View(this.#tx, this.#truth);
    const self = this.#tx.get(local.meta, metaKeys.self);
    const device = self === undefined ? NO_DEVICE : new Reader(self).v();
    // A place of its own for each change: what is kept of one must not cover what is kept of another.
    this.#reduce(this.#view, [section], PENDING + run, device, frame * limits.changesPerFrame);
  }

  #reduce(
    ground: Ground,
    sections: readonly FilesSection[],
    seq: number,
    device: number,
    first = 0,
  ): readonly Outcome[] {
    const outcomes: Outcome[] = [];
    const { isStored, relyOn } = this.#contentOf(ground);
    for (const { label, changes } of sections)
      for (const change of changes) {
        const { op, base, time } = change;
        const index = first + outcomes.length;
        const context = { ground, isStored, relyOn, op, base, seq, index, device, label, time };
        outcomes.push(reduceChange(context, this.#suite, change));
      }
    return outcomes;
  }

  /** What is unconfirmed has its content here, whatever the remote has of it. */
  #contentOf(ground: Ground): Pick<Context, "isStored" | "relyOn"> {
    if (ground !== this.#truth) return { isStored: () => true, relyOn: () => undefined };
    return {
      isStored: (content) => isStored(this.#tx, content),
      relyOn: (content) => relyOn(this.#tx, content, 1),
    };
  }
}
