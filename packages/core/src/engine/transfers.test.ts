import { describe, expect, test } from "vitest";
import { Timeline } from "../../../testkit/src/world/timeline.ts";
import type { Sealed } from "../bytes/brand.ts";
import { equalBytes } from "../bytes/bytes.ts";
import type { BlobPart, Remote } from "../ports.ts";
import { createTransfers, type Limits, ranks } from "./transfers.ts";

const KB = 1000;
const SECOND = 1000;

/** A remote as fast as nothing is; `whole`: it takes a blob in one piece, whatever the pace. */
class Wire {
  readonly time: Timeline = new Timeline(() => 0);
  readonly sent: { readonly at: number; readonly bytes: number; readonly what: string }[] = [];
  limits: Limits = {};
  held = false;
  readonly #holding: (() => void)[] = [];
  readonly blobs = new Map<string, Uint8Array>();
  readonly under = new Set<string>();
  most = 0;
  readonly transfers = createTransfers({
    clock: { now: () => this.time.now, mono: () => this.time.now },
    scheduler: {
      after: (ms, work) => {
        let over = false;
        this.time.after(ms, () => (over ? undefined : work()));
        return () => {
          over = true;
        };
      },
    },
    limits: () => this.limits,
  });

  remote(whole = false): Remote {
    const note = (what: string, bytes: number): void =>
      void this.sent.push({ at: this.time.now, bytes, what });
    return {
      putBlob: async (id: Uint8Array, bytes: Uint8Array, pace?: (n: number) => Promise<void>) => {
        for (let at = 0; at < bytes.length && !whole; at += 64 << 10) {
          const size = Math.min(64 << 10, bytes.length - at);
          await pace?.(size);
          note("put", size);
        }
        if (whole) note("put", bytes.length);
        this.blobs.set(nameOf(id), bytes);
        return { kind: "ok", value: "stored" };
      },
      getBlob: async (id: Uint8Array, part?: BlobPart) => {
        const name = nameOf(id);
        this.under.add(name);
        this.most = Math.max(this.most, this.under.size);
        if (this.held) await new Promise<void>((resolve) => this.#holding.push(resolve));
        this.under.delete(name);
        const { offset, length } = part ?? { offset: 0, length: Number.POSITIVE_INFINITY };
        const value = this.blobs.get(name)?.slice(offset, offset + length);
        note(name, value?.length ?? 0);
        return { kind: "ok", value };
      },
    } as unknown as Remote;
  }

  async run(ms: number): Promise<void> {
    const end = this.time.now + ms;
    for (;;) {
      // What a step has set going is settled before time goes on.
      await settled();
      if (!this.time.step(end)) break;
    }
    this.time.now = end;
  }

  async answer(): Promise<void> {
    for (const one of this.#holding.splice(0, 1)) one();
    await settled();
  }

  bytes(from: number, to: number): number {
    return this.sent.filter(({ at }) => at >= from && at < to).reduce((sum, { bytes }) => sum + bytes, 0);
  }
}

/** All that can go on without time going on. */
const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
const nameOf = (id: Uint8Array): string => String(id[0]);
const id = (n: number): Uint8Array => Uint8Array.of(n);
const sealed = (size: number): Sealed => new Uint8Array(size) as Sealed;

describe("how fast", () => {
  for (const limit of [50 * KB, 1000 * KB, 20_000 * KB])
    test(`[ENG30] Y-33: ${limit / KB} kB a second hold within a tenth over any ten seconds, up and down`, async () => {
      const wire = new Wire();
      wire.limits = { up: limit, down: limit };
      const remote = wire.transfers.paced(wire.remote());
      const blob = sealed(8 << 20);
      wire.blobs.set("1", blob);
      for (const way of ["up", "down"] as const) {
        wire.sent.length = 0;
        const from = wire.time.now;
        let going = true;
        const work = async (): Promise<void> => {
          while (going) await (way === "up" ? remote.putBlob(id(2), blob) : remote.getBlob(id(1)));
        };
        const done = work();
        await wire.run(40 * SECOND);
        for (let at = from; at <= from + 30 * SECOND; at += SECOND) {
          const share = wire.bytes(at, at + 10 * SECOND) / (10 * limit);
          expect(share).toBeGreaterThan(0.9);
          expect(share).toBeLessThan(1.1);
        }
        going = false;
        wire.limits = {};
        wire.transfers.changed();
        await wire.run(SECOND);
        await done;
        wire.limits = { up: limit, down: limit };
      }
    });

  test("[ENG30] what a remote takes in one piece is waited for afterwards; what comes back is whole", async () => {
    const wire = new Wire();
    wire.limits = { up: 100 * KB, down: 100 * KB };
    const remote = wire.transfers.paced(wire.remote(true));
    const bytes = sealed(500 * KB).map((_, i) => i % 251) as Sealed;
    const puts = async (): Promise<void> => {
      for (const n of [1, 2, 3, 4]) await remote.putBlob(id(n), bytes);
    };
    const put = puts();
    await wire.run(30 * SECOND);
    await put;
    expect(wire.transfers.moved.up).toBe(2000 * KB);
    expect(wire.sent.at(-1)?.at).toBeGreaterThan(13 * SECOND);
    const started = wire.time.now;
    const part = { offset: 10, length: 100 * KB };
    const got = Promise.all([remote.getBlob(id(1)), remote.getBlob(id(1), part), remote.getBlob(id(9))]);
    await wire.run(10 * SECOND);
    const found = (await got).map((one) => (one.kind === "ok" ? one.value : one.kind));
    const same = [bytes, bytes.subarray(10, 10 + 100 * KB)].map((one, i) =>
      equalBytes(one, found[i] as Uint8Array),
    );
    expect([...same, found[2]]).toEqual([true, true, undefined]);
    expect(wire.transfers.moved.down).toBe(600 * KB);
    expect((wire.sent.at(-1)?.at ?? 0) - started).toBeGreaterThan(4.5 * SECOND);
  });

  test("[ENG30] without a limit nothing waits, and one that is taken away holds nobody any more", async () => {
    const wire = new Wire();
    const remote = wire.transfers.paced(wire.remote());
    await remote.putBlob(id(1), sealed(8 << 20));
    expect(wire.time.now).toBe(0);
    wire.limits = { up: 20 * KB };
    const slow = remote.putBlob(id(2), sealed(8 << 20));
    await wire.run(SECOND);
    wire.limits = {};
    wire.transfers.changed();
    await slow;
    expect(wire.time.now).toBe(SECOND);
  });
});

describe("which goes first", () => {
  test("[ENG31] Y-27: six at once, one of them for what is small; a reader before a folder, small before large, newest first", async () => {
    const wire = new Wire();
    wire.held = true;
    const at = (rank: keyof typeof ranks): Remote => wire.transfers.queued(wire.remote(), ranks[rank]);
    const [folder, reader] = [at("folder"), at("reader")];
    const asked: Promise<unknown>[] = [];
    const ask = (remote: Remote, n: number, length: number): void => {
      wire.blobs.set(String(n), sealed(1));
      asked.push(remote.getBlob(id(n), { offset: 0, length }));
    };
    const [large, small] = [4 << 20, 64 << 10];
    for (let n = 1; n <= 8; n++) ask(folder, n, large);
    await wire.run(0);
    expect([...wire.under]).toEqual(["1", "2", "3", "4", "5"]);
    ask(folder, 20, small);
    await wire.run(0);
    expect([...wire.under]).toEqual(["1", "2", "3", "4", "5", "20"]);
    ask(folder, 21, small);
    ask(folder, 22, small);
    ask(reader, 30, large);
    while (wire.under.size > 0) await wire.answer();
    await Promise.all(asked);
    expect(wire.most).toBe(6);
    expect(wire.sent.map(({ what }) => what)).toEqual(
      ["1", "2", "3", "4", "5", "20", "30", "22", "21", "8", "7", "6"].map(String),
    );
  });
});
