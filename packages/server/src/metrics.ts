/** Counters and histograms in the text form of Prometheus. Labels are words of ours, never ids. */

const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

interface Histogram {
  readonly counts: number[];
  sum: number;
  count: number;
}

export class Metrics {
  readonly #counters = new Map<string, number>();
  readonly #gauges = new Map<string, () => number>();
  readonly #histograms = new Map<string, Histogram>();

  count(name: string, labels: Readonly<Record<string, string | number>> = {}, by = 1): void {
    const key = `${name}${labelsOf(labels)}`;
    this.#counters.set(key, (this.#counters.get(key) ?? 0) + by);
  }

  gauge(name: string, read: () => number): void {
    this.#gauges.set(name, read);
  }

  seconds(name: string, value: number): void {
    const found = this.#histograms.get(name) ?? { counts: BUCKETS.map(() => 0), sum: 0, count: 0 };
    this.#histograms.set(name, found);
    for (const [i, bound] of BUCKETS.entries())
      if (value <= bound) found.counts[i] = (found.counts[i] ?? 0) + 1;
    found.sum += value;
    found.count += 1;
  }

  text(): string {
    const lines: string[] = [];
    const typed = new Set<string>();
    const type = (name: string, kind: string): void => {
      if (!typed.has(name)) lines.push(`# TYPE ${name} ${kind}`);
      typed.add(name);
    };
    for (const key of [...this.#counters.keys()].sort()) {
      type(key.replace(/\{.*/, ""), "counter");
      lines.push(`${key} ${this.#counters.get(key)}`);
    }
    for (const [name, read] of this.#gauges) {
      type(name, "gauge");
      lines.push(`${name} ${read()}`);
    }
    for (const [name, { counts, sum, count }] of this.#histograms) {
      type(name, "histogram");
      for (const [i, bound] of BUCKETS.entries()) lines.push(`${name}_bucket{le="${bound}"} ${counts[i]}`);
      lines.push(`${name}_bucket{le="+Inf"} ${count}`, `${name}_sum ${sum}`, `${name}_count ${count}`);
    }
    return `${lines.join("\n")}\n`;
  }
}

function labelsOf(labels: Readonly<Record<string, string | number>>): string {
  const all = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
  return all.length === 0 ? "" : `{${all.join(",")}}`;
}
