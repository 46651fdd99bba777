import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's root directory, with a trailing slash. */
export const root: string = fileURLToPath(new URL("../", import.meta.url));

const skipped = new Set(["node_modules", "dist", ".git", ".tidelock", "test-results", "coverage"]);

/** Files under `directory` whose path matches, as sorted paths from the root with forward slashes. */
export function filesUnder(directory: string, pattern: RegExp): string[] {
  const found: string[] = [];
  const visit = (path: string): void => {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (entry.isDirectory()) {
        if (!skipped.has(entry.name)) visit(join(path, entry.name));
      } else {
        const name = relative(root, join(path, entry.name)).replaceAll("\\", "/");
        if (pattern.test(name)) found.push(name);
      }
    }
  };
  if (existsSync(join(root, directory))) visit(join(root, directory));
  return found.sort();
}

export function read(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

/** Fails with every problem at once: one run shows the whole list to repair. */
export function assertNone(what: string, problems: readonly string[]): void {
  if (problems.length > 0) {
    throw new Error(`${what}: ${problems.length}\n${problems.map((problem) => `  ${problem}`).join("\n")}`);
  }
}
