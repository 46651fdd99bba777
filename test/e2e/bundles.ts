/** Where the suites keep the programs that they build: one folder of a run, gone after it. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root } from "../repo.ts";

export default function prepare(): () => void {
  // Inside the checkout, so that what is not bundled is found.
  const cache = join(root, "node_modules", ".cache");
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "tidelock-run-"));
  process.env["TIDELOCK_BUNDLES"] = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}
