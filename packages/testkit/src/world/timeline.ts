/** Virtual time: a binary heap ordered by (time, tie, order of arrival). */
interface Due {
  readonly at: number;
  readonly tie: number;
  readonly order: number;
  readonly work: () => void;
}

export class Timeline {
  readonly #heap: Due[] = [];
  readonly #tie: () => number;
  #order = 0;
  /** Virtual ms since the start of the history. */
  now = 0;

  /** `tie` orders what is due at one moment: always 0 for first in, first out. */
  constructor(tie: () => number) {
    this.#tie = tie;
  }

  after(ms: number, work: () => void): void {
    const due = { at: this.now + (ms > 0 ? ms : 0), tie: this.#tie(), order: this.#order++, work };
    const heap = this.#heap;
    let i = heap.length;
    heap.push(due);
    while (i > 0) {
      const up = (i - 1) >> 1;
      const parent = heap[up] as Due;
      if (!before(due, parent)) break;
      heap[i] = parent;
      i = up;
    }
    heap[i] = due;
  }

  /** Runs what is due next, unless nothing is due until `end`. */
  step(end: number): boolean {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined || first.at > end) {
      this.now = Math.max(this.now, end);
      return false;
    }
    const last = heap.pop() as Due;
    if (last !== first) this.#sink(last);
    this.now = first.at;
    first.work();
    return true;
  }

  #sink(due: Due): void {
    const heap = this.#heap;
    const n = heap.length;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= n) break;
      if (child + 1 < n && before(heap[child + 1] as Due, heap[child] as Due)) child++;
      if (!before(heap[child] as Due, due)) break;
      heap[i] = heap[child] as Due;
      i = child;
    }
    heap[i] = due;
  }
}

function before(a: Due, b: Due): boolean {
  return a.at !== b.at ? a.at < b.at : a.tie !== b.tie ? a.tie < b.tie : a.order < b.order;
}
