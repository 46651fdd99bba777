/** The recovery words at the door: what a person typed, and the sheet that waits where nobody is at a terminal. */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type PhraseProblem, parsePhrase, phraseOf } from "@tidelock/core/crypto/phrase";
import { TidelockError } from "@tidelock/core/errors";
import { readWhole, writeWhole } from "../home/files.ts";
import type { HomePaths } from "../home/paths.ts";

/** The entropy behind typed words. The error names positions, never the words. */
export function entropyOf(text: string): Uint8Array {
  const parsed = parsePhrase(text);
  if (parsed.ok) return parsed.entropy;
  throw phraseError(parsed.problems);
}

function phraseError(problems: readonly PhraseProblem[]): TidelockError {
  const positions = problems.flatMap((p) => (p.kind === "word" ? [p.position] : []));
  const first = positions[0];
  if (first !== undefined) {
    const why =
      positions.length === 1
        ? `word ${first} is not in the list`
        : `words ${positions.join(", ")} are not in the list`;
    return new TidelockError("phrase-word", {
      why,
      details: { position: first, positions: positions.join(",") },
    });
  }
  const length = problems.find((p) => p.kind === "length");
  if (length?.kind === "length")
    return new TidelockError("phrase-length", {
      why: `these are ${length.count}`,
      details: { count: length.count },
    });
  return new TidelockError("phrase-checksum", {
    why: "every word is in the list, but their checksum is wrong",
  });
}

export function sheetPath(paths: HomePaths): string {
  return join(paths.root, "recovery-sheet.txt");
}

export function hasSheet(paths: HomePaths): boolean {
  return existsSync(sheetPath(paths));
}

/** Readable by this user only; durable before the vault that hangs on it is founded. */
export function writeSheet(paths: HomePaths, words: readonly string[]): void {
  const lines = words.map((word, i) => `${String(i + 1).padStart(2)} ${word}`);
  const text = [
    "Tidelock recovery sheet",
    "",
    "These 24 words open your vault on a new device. Whoever has them can read all of it.",
    "Without them and without a working device nobody can open it, and nobody can help.",
    "Write them down or print them, keep them in a safe place, then delete this file.",
    "",
    ...lines,
    "",
  ].join("\n");
  writeWhole(sheetPath(paths), text, 0o600);
}

/** The words on a sheet that still lies in the home. */
export function readSheet(paths: HomePaths): string | undefined {
  const bytes = readWhole(sheetPath(paths));
  if (bytes === undefined) return undefined;
  const lines = new TextDecoder().decode(bytes).split("\n");
  const words = lines.flatMap((line) => /^\s*\d{1,2} ([a-z]+)$/.exec(line)?.[1] ?? []);
  return words.length === 24 ? words.join(" ") : undefined;
}

export function dropSheet(paths: HomePaths): void {
  rmSync(sheetPath(paths), { force: true });
}

export { phraseOf };
