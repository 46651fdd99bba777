import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeUtf8 } from "@tidelock/core/bytes/bytes";
import type { FolderFs } from "@tidelock/core/ports-fs";
import { describeFs, type FsFixture } from "@tidelock/testkit/suites/fs-contract";
import { expect, test } from "vitest";
import { createNodeFolderFs } from "./node-folder-fs.ts";

function onDisk(): FsFixture & { readonly fs: FolderFs } {
  const root = mkdtempSync(join(tmpdir(), "tidelock-folder-fs-"));
  return { fs: createNodeFolderFs(), root, dispose: () => rmSync(root, { recursive: true, force: true }) };
}

describeFs("node:fs for folders", onDisk);

const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "none",
    (error: { code?: string }) => String(error.code),
  );

test.skipIf(process.platform === "win32")(
  "[FLD11] a listing tells links and names that are no text as what they are, and follows nothing",
  async () => {
    const { fs, root, dispose } = onDisk();
    mkdirSync(`${root}/d`);
    writeFileSync(`${root}/file`, "12345");
    symlinkSync("d", `${root}/link`);
    execFileSync("mkfifo", [`${root}/pipe`]);
    writeFileSync(Buffer.concat([Buffer.from(`${root}/bad`), Buffer.of(0xff)]), "");
    const { entries, notText } = await fs.list(root);
    const kinds = Object.fromEntries(
      entries.map(({ name, kind, size }) => [name, kind === "file" ? size : kind]),
    );
    expect(kinds).toEqual({ d: "dir", file: 5, link: "link", pipe: "other" });
    expect(notText).toEqual([new Uint8Array([...encodeUtf8("bad"), 0xff])]);
    expect(await codeOf(fs.list(`${root}/file`))).toBe("ENOTDIR");
    const none = (): void => undefined;
    expect(await codeOf(fs.readPieces(`${root}/link`, 9, none))).toBe("ELOOP");
    expect(await codeOf(fs.readPieces(`${root}/pipe`, 9, none))).toBe("EINVAL");
    expect(await codeOf(fs.readPieces(`${root}/file`, 4, none))).toBe("EFBIG");
    expect(await fs.readLink(`${root}/link`)).toEqual(encodeUtf8("d"));
    await fs.symlink(encodeUtf8("../else"), `${root}/other`);
    expect(await codeOf(fs.symlink(encodeUtf8("x"), `${root}/other`))).toBe("EEXIST");
    expect(await fs.readLink(`${root}/other`)).toEqual(encodeUtf8("../else"));
    dispose();
  },
);

test("[FLD5] pieces of a file, with what it was before and after", async () => {
  const { fs, root, dispose } = onDisk();
  const path = `${root}/file`;
  const large = new Uint8Array(9_000_000).map((_, i) => i * 7);
  const written = await fs.writePieces(path, async (put) => {
    await put(large.subarray(0, 5_000_000));
    await put(large.subarray(5_000_000));
    return "done";
  });
  expect(written).toBe("done");
  expect(await codeOf(fs.writePieces(path, async () => undefined))).toBe("EEXIST");
  const pieces: number[] = [];
  const read = await fs.readPieces(path, 10_000_000, (bytes) => {
    pieces.push(bytes.length);
    // Another program, in the middle.
    if (pieces.length === 1) appendFileSync(path, "more");
  });
  expect(pieces.reduce((a, b) => a + b, 0)).toBe(read.length);
  expect([read.before.size, read.after.size, read.length]).toEqual([9_000_000, 9_000_004, 9_000_004]);
  await fs.setTime(path, 1_600_000_000_123_457);
  await fs.chmod(path, 0o755);
  const { mtimeNs, mode, links } = await fs.look(path);
  expect([mtimeNs / 1000n, mode & 0o111, links]).toEqual([1_600_000_000_123_457n, 0o111, 1]);
  expect((await fs.space(root)).total).toBeGreaterThan(0);
  expect(await fs.realPath(`${root}/../${root.split("/").at(-1)}`)).toBe(await fs.realPath(root));
  dispose();
});
