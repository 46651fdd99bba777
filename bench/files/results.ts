/** Lines of all rounds and systems, as one text: a block for each thing that was done. */
import type { Line } from "./workloads.ts";

export class Results {
  /** By what was done, then by system. */
  readonly #lines = new Map<string, Map<string, Line[]>>();
  readonly #faults: string[] = [];

  add(system: string, lines: readonly Line[]): void {
    for (const line of lines) {
      const bySystem = this.#lines.get(line.what) ?? new Map<string, Line[]>();
      this.#lines.set(line.what, bySystem);
      bySystem.set(system, [...(bySystem.get(system) ?? []), line]);
    }
  }

  fault(text: string): void {
    this.#faults.push(text);
  }

  /** Ratios are those of times, over `floor`. */
  text(floor: string): string {
    const blocks = [...this.#lines].map(([what, bySystem]) => {
      const asked = [...bySystem.values()].flat().find((line) => line.asked !== undefined)?.asked;
      const base = median(bySystem.get(floor), "ms");
      const rows = [...bySystem].map(([system, lines]) =>
        rowOf(system, lines, system === floor ? undefined : base),
      );
      return [asked === undefined ? what : `${what}   asked of Tidelock: ${asked}`, ...rows].join("\n");
    });
    return [...blocks, ...this.#faults.map((text) => `FAULT: ${text}`)].join("\n\n");
  }

  json(): object {
    const lines = [...this.#lines].map(([what, bySystem]) => [what, Object.fromEntries(bySystem)]);
    return { lines: Object.fromEntries(lines), faults: this.#faults };
  }
}

/** One system's lines of one thing, and what the floor took. */
export function rowOf(system: string, lines: readonly Line[], base?: number): string {
  const of = (name: Figure): number | undefined => median(lines, name);
  const ms = of("ms");
  const more = [
    said(of("percent"), (n) => `${n.toFixed(2)} % of a processor`),
    said(of("resident"), (n) => `${n.toFixed(0)} MiB resident`),
    said(of("sentMs"), (n) => `sent after ${time(n)}`),
    said(of("cpuMs"), (n) => `${(n / 1000).toFixed(2)} s of processor`),
    said(of("peak"), (n) => `memory ${n.toFixed(0)} MiB, one ${(of("peakOne") ?? 0).toFixed(0)}`),
    said(of("wire"), (n) => `wire ${size(n)}`),
    said(of("packs"), (n) => `${n} packs, ${size(of("packBytes") ?? 0)}`),
    said(of("appends"), (n) => `${n} appends, ${size(of("appendBytes") ?? 0)}`),
    said(of("ahead"), (n) => (n > 0 ? `B reads ${(n / 1000).toFixed(1)} s before A ends` : undefined)),
  ].filter((text) => text !== undefined);
  const times =
    lines.length > 1 && ms !== undefined ? ` (${lines.map((line) => time(line.ms ?? 0)).join(", ")})` : "";
  const ratio = ms === undefined || base === undefined ? "" : `${(ms / base).toFixed(1)}x`;
  const figure = ms === undefined ? "" : time(ms);
  return `   ${system.padEnd(28)}${figure.padStart(9)}${ratio.padStart(8)}   ${more.join("; ")}${times}`.trimEnd();
}

type Figure = { [name in keyof Line]-?: Line[name] extends number | undefined ? name : never }[keyof Line];

function median(lines: readonly Line[] | undefined, name: Figure): number | undefined {
  const known = (lines ?? []).flatMap((line) => line[name] ?? []).sort((a, b) => a - b);
  return known[known.length >> 1];
}

function said(n: number | undefined, text: (n: number) => string | undefined): string | undefined {
  return n === undefined ? undefined : text(n);
}

function time(ms: number): string {
  return ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

function size(bytes: number): string {
  if (bytes < 10_000) return `${bytes} B`;
  return bytes < 1e6 ? `${(bytes / 1024).toFixed(0)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
