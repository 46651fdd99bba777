import type { Clock, Scheduler } from "@tidelock/core/ports";
import { expect, test } from "vitest";
import { temporaryFolder } from "./testing/writers.ts";
import { watchFile } from "./watch.ts";

/** Time that moves only when told. */
class Time implements Clock, Scheduler {
  #now = 0;
  #due: { readonly at: number; readonly work: () => void }[] = [];
  now(): number {
    return this.#now;
  }
  mono(): number {
    return this.#now;
  }
  after(ms: number, work: () => void): () => void {
    const one = { at: this.#now + ms, work };
    this.#due.push(one);
    return () => {
      this.#due = this.#due.filter((d) => d !== one);
    };
  }
  get waiting(): number {
    return this.#due.length;
  }
  pass(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const [next] = this.#due.filter((d) => d.at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#due = this.#due.filter((d) => d !== next);
      this.#now = next.at;
      next.work();
    }
    this.#now = end;
  }
}

test("[ATT18] a commit is noticed within a poll and a quiet moment, a burst is told once", () => {
  const folder = temporaryFolder();
  const time = new Time();
  let version = 1;
  const told: number[] = [];
  const stop = watchFile(
    { clock: time, scheduler: time },
    folder.file("app.db"),
    () => version,
    () => told.push(time.now()),
  );
  time.pass(1000);
  expect(told).toEqual([]);
  version++;
  time.pass(1000);
  expect(told).toEqual([1106]);
  // Polls fall together with commits all the time: after 100 ms it is told all the same.
  for (let i = 0; i < 50; i++) {
    version++;
    time.pass(10);
  }
  time.pass(200);
  expect(told.length).toBeGreaterThan(3);
  expect(told.length).toBeLessThan(8);
  stop();
  version++;
  time.pass(1000);
  expect(time.waiting).toBe(0);
  folder.remove();
});

test("[ATT18] a file that cannot be asked now is asked again", () => {
  const folder = temporaryFolder();
  const time = new Time();
  let version: number | undefined = 1;
  let told = 0;
  const stop = watchFile(
    { clock: time, scheduler: time },
    folder.file("app.db"),
    () => version,
    () => told++,
  );
  version = undefined;
  time.pass(500);
  expect(told).toBe(0);
  version = 2;
  time.pass(500);
  expect(told).toBe(1);
  stop();
  folder.remove();
});
