/** Programs under test as one would run them: built once from the sources, so that a process starts soon. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { root } from "../repo.ts";

export interface Bundle {
  /** The command `tidelock`. */
  readonly tidelock: string;
  /** A further program, by its name. */
  readonly script: (name: string) => string;
  remove(): void;
}

/** Native or loaded by name at run time: left where they are. */
const external = ["better-sqlite3", "sodium-native", "@napi-rs/keyring", "libsodium-wrappers-sumo"];

/** `programs`: further entries, by name, as paths from the root. */
export async function bundle(programs: Readonly<Record<string, string>> = {}): Promise<Bundle> {
  // Inside the checkout, so that what is not bundled is found.
  const cache = process.env["TIDELOCK_BUNDLES"] ?? join(root, "node_modules", ".cache");
  mkdirSync(cache, { recursive: true });
  const out = mkdtempSync(join(cache, "tidelock-e2e-"));
  await build({
    entryPoints: {
      main: join(root, "packages/cli/src/main.ts"),
      // Started by its name, beside the module that does.
      thread: join(root, "packages/server/src/sqlite/thread.ts"),
      ...Object.fromEntries(Object.entries(programs).map(([name, path]) => [name, join(root, path)])),
    },
    outdir: join(out, "dist"),
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20",
    conditions: ["@tidelock/source"],
    external,
    // Packages of CommonJS ask for Node's own modules by `require`.
    banner: {
      js: `import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url);`,
    },
    logLevel: "warning",
  });
  const tidelock = join(out, "tidelock.mjs");
  writeFileSync(
    tidelock,
    'import { main } from "./dist/main.js";\nprocess.exitCode = await main(process.argv.slice(2));\n',
  );
  return {
    tidelock,
    script: (name) => join(out, "dist", `${name}.js`),
    remove: () => rmSync(out, { recursive: true, force: true }),
  };
}
