/** The drive in a program: earlier versions, ranges, folders of the disk, and what tells of changes. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Stream } from "@tidelock/testkit/world/random";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openVault, type Vault } from "./open.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const noise = (n: number): Uint8Array => new Stream(7n, "vault-files").bytes(n);

/** Quicker than `toEqual` on what is large. */
const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

let root: string;
let vault: Vault;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "tidelock-files-"));
  vault = await openVault({
    home: join(root, "home"),
    remote: join(root, "remote"),
    insecureKeyFile: true,
    onPrompt: async () => undefined,
  });
});

afterEach(async () => {
  await vault.close();
  rmSync(root, { recursive: true, force: true });
});

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "done",
    (error: { code?: string }) => String(error.code),
  );

test("[IFC68] what a file held at a version is read, as a whole or a range of it, also after it was deleted", async () => {
  const { files } = vault;
  const large = noise(2_500_000);
  await files.write("x.bin", { bytes: large });
  await files.write("x.bin", { bytes: bytesOf("second") });
  const [, first] = files.history("x.bin").versions;
  const revision = first?.revision as string;
  expect(await files.read("x.bin", { range: { from: 2, to: 4 } })).toEqual(bytesOf("co"));
  expect(await files.read("x.bin", { range: { from: 4, to: 400 } })).toEqual(bytesOf("nd"));
  const range = { from: 1_200_000, to: 1_300_000 };
  expect(isSame(await files.read("x.bin", { revision, range }), large.slice(1_200_000, 1_300_000))).toBe(
    true,
  );
  await files.remove("x.bin");
  expect(isSame(await files.read("x.bin", { revision: revision.slice(0, 12) }), large)).toBe(true);
  const wrong = [
    files.read("x.bin"),
    files.read("x.bin", { revision: "" }),
    files.read("x.bin", { revision: "0".repeat(32) }),
    files.read("x.bin", { revision, range: { from: 5, to: 2 } }),
    files.read("x.bin", { revision, range: { from: -1 } }),
  ].map(codeOf);
  expect(await Promise.all(wrong)).toEqual(["not-found", "not-found", "not-found", "usage", "usage"]);
});

test("[IFC68] a program keeps a folder of the disk, says what of the drive lies there, and is told of changes", async () => {
  const { files } = vault;
  const folder = join(root, "folder");
  mkdirSync(join(folder, "photos"), { recursive: true });
  writeFileSync(join(folder, "photos", "one.jpg"), "one");
  let told = 0;
  const stop = files.watch(() => told++);
  expect(await files.attachFolder(folder)).toMatchObject({ state: "live" });
  await vault.syncNow({ wait: true });
  expect([told > 0, files.list("photos").map(({ path }) => path)]).toEqual([true, ["photos/one.jpg"]]);
  expect(await files.deselect("photos")).toMatchObject([{ excluded: ["photos"] }]);
  expect(() => readFileSync(join(folder, "photos", "one.jpg"))).toThrow("ENOENT");
  await files.select("photos");
  expect(readFileSync(join(folder, "photos", "one.jpg"), "utf8")).toBe("one");
  expect(files.folders()).toMatchObject([{ path: folder, excluded: [], items: 2 }]);
  const { seq, hash } = files.stateHash();
  expect([seq > 0, hash.length]).toEqual([true, 32]);
  stop();
  const before = told;
  await files.mkdir("more");
  expect(told).toBe(before);
  expect(await files.detachFolder(folder)).toMatchObject({ state: "removed" });
});
