/** What somebody with the folder puts where an object should be: none of it holds a reader, or is followed. */
import { execFileSync } from "node:child_process";
import { mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { type Attack, goesOn, told, unchanged } from "./attack.ts";
import { FolderPlace } from "./folder.ts";
import { waitsThenVoid } from "./for-all.ts";
import type { Scene } from "./scene.ts";

function directoryOf(s: Scene): string {
  if (!(s.place instanceof FolderPlace)) throw new Error("no folder");
  return s.place.directory();
}

const logObject = (s: Scene, number: number): string =>
  join(directoryOf(s), "log", String(number).padStart(12, "0"));

/** Something of the folder is another thing for a while. */
async function replaced(s: Scene, name: string, codes: readonly string[], make: (path: string) => void) {
  const path = join(directoryOf(s), name);
  const kept = `${path}.kept`;
  await s.says(s.b, s.fresh());
  renameSync(path, kept);
  make(path);
  // As a process that comes new to it.
  await s.restart(false);
  const outcome = await unchanged(s, s.a, async () => told(await s.kit.sync(s.a)));
  expect(codes).toContain(outcome);
  rmSync(path, { recursive: true, force: true });
  renameSync(kept, path);
  await s.restart();
  await goesOn(s);
  return outcome;
}

export const oddObjects: readonly Attack[] = [
  {
    ids: "H40, L14, H49",
    what: "a file of 5 GB without an end in sight",
    on: "folder",
    run: (s) =>
      waitsThenVoid(s, "malformed", async () => {
        const path = logObject(s, s.head + 1);
        writeFileSync(path, "TLP1");
        truncateSync(path, 5 * 2 ** 30);
      }),
  },
  {
    ids: "H42, L14",
    what: "a pipe that nobody writes to",
    on: "folder",
    run: (s) =>
      waitsThenVoid(s, "malformed", async () => {
        execFileSync("mkfifo", [logObject(s, s.head + 1)]);
      }),
  },
  {
    ids: "H43, L14",
    what: "a link to somewhere else, and a directory",
    on: "folder",
    run: async (s) => {
      const outside = join(directoryOf(s), "..", "outside");
      writeFileSync(
        outside,
        s.kit.pageBytes(s.head + 1, null, [s.signed(s.hostile("editor"), { note: "out" })]),
      );
      await waitsThenVoid(s, "malformed", async () => symlinkSync(outside, logObject(s, s.head + 1)));
      return waitsThenVoid(s, "malformed", async () => {
        mkdirSync(join(logObject(s, s.head + 1), "data"), { recursive: true });
      });
    },
  },
  {
    ids: "H44",
    what: "the folder's own file says another layout, or none",
    on: "folder",
    run: async (s) => {
      const said = [
        await replaced(s, "remote", ["remote-corrupt"], (path) => writeFileSync(path, "<html>")),
        await replaced(s, "remote", ["unreachable", "remote-corrupt"], (path) =>
          symlinkSync("/dev/zero", path),
        ),
        await replaced(s, "remote", ["unreachable"], () => undefined),
      ];
      return said.join(", ");
    },
  },
  {
    ids: "H07",
    what: "the log's directory is emptied, is a file, or is gone",
    on: "folder",
    run: async (s) => {
      const said = [
        await replaced(s, "log", ["rollback"], (path) => mkdirSync(path)),
        await replaced(s, "log", ["unreachable", "remote-corrupt"], (path) => writeFileSync(path, "")),
        await replaced(s, "log", ["unreachable"], () => undefined),
      ];
      return said.join(", ");
    },
  },
];
