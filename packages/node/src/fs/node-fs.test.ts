import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeFs, type FsFixture } from "@tidelock/testkit/suites/fs-contract";
import { expect, test } from "vitest";
import { createNodeFs } from "./node-fs.ts";

function onDisk(): FsFixture {
  const root = mkdtempSync(join(tmpdir(), "tidelock-fs-"));
  return { fs: createNodeFs(), root, dispose: () => rmSync(root, { recursive: true, force: true }) };
}

describeFs("node:fs", onDisk);

test.skipIf(process.platform === "win32")(
  "links and pipes under our names are neither followed nor waited for",
  async () => {
    const { fs, root, dispose } = onDisk();
    writeFileSync(`${root}/secret`, "x");
    symlinkSync(`${root}/secret`, `${root}/link`);
    execFileSync("mkfifo", [`${root}/pipe`]);
    await expect(fs.readFile(`${root}/link`, 9)).rejects.toMatchObject({ code: "ELOOP" });
    await expect(fs.readFile(`${root}/pipe`, 9)).rejects.toMatchObject({ code: "EINVAL" });
    expect((await fs.stat(`${root}/link`)).kind).toBe("other");
    dispose();
  },
);

test("a watched directory hints at new entries", async () => {
  const { fs, root, dispose } = onDisk();
  let stop = (): void => {};
  await new Promise<void>((resolve) => {
    stop = fs.watch(root, resolve);
    void fs.writeFileNew(`${root}/a`, new Uint8Array(1));
  });
  stop();
  fs.watch(`${root}/absent`, () => {})();
  dispose();
});
