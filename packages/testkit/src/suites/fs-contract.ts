import { encodeUtf8, equalBytes } from "@tidelock/core/bytes/bytes";
import type { Fs } from "@tidelock/core/ports-fs";
import { expect } from "vitest";
import { type ContractCase, describeCases } from "./cases.ts";

export interface FsFixture {
  readonly fs: Fs;
  /** An empty directory, absolute. */
  readonly root: string;
  readonly dispose: () => void;
}

export type CreateFs = () => FsFixture;

/** The contract of `Fs`, as far as one process without crashes can see it. */
export function describeFs(name: string, create: CreateFs): void {
  describeCases(`Fs: ${name}`, fsCases, create);
}

const ONE = encodeUtf8("one");
const TWO = encodeUtf8("two");

function inRoot(work: (fs: Fs, root: string) => Promise<void>): (create: CreateFs) => Promise<void> {
  return async (create) => {
    const fixture = create();
    try {
      await work(fixture.fs, fixture.root);
    } finally {
      fixture.dispose();
    }
  };
}

async function codeOf(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return "no error";
}

export const fsCases: readonly ContractCase<CreateFs>[] = [
  {
    title: "a new file holds its bytes and never replaces another",
    run: inRoot(async (fs, root) => {
      await fs.writeFileNew(`${root}/a`, ONE);
      await fs.syncFile(`${root}/a`);
      await fs.syncDir(root);
      expect(await codeOf(fs.writeFileNew(`${root}/a`, TWO))).toBe("EEXIST");
      expect(await fs.readFile(`${root}/a`, 100)).toEqual(ONE);
      expect(await fs.readFile(`${root}/a`, 2)).toEqual(ONE.slice(0, 2));
      expect(await fs.readFile(`${root}/a`, 100, 1)).toEqual(ONE.slice(1));
      expect(await fs.readFile(`${root}/a`, 1, 1)).toEqual(ONE.slice(1, 2));
      expect(await fs.readFile(`${root}/a`, 5, 100)).toEqual(new Uint8Array(0));
      await fs.writeFileNew(`${root}/empty`, new Uint8Array(0));
      expect(await fs.readFile(`${root}/empty`, 5)).toEqual(new Uint8Array(0));
      const large = new Uint8Array(3_000_000).map((_, i) => i);
      await fs.writeFileNew(`${root}/large`, large);
      expect(equalBytes(await fs.readFile(`${root}/large`, 4_000_000), large)).toBe(true);
    }),
  },
  {
    title: "a link is a second name, never over an existing one",
    run: inRoot(async (fs, root) => {
      await fs.writeFileNew(`${root}/a`, ONE);
      await fs.writeFileNew(`${root}/b`, TWO);
      await fs.link(`${root}/a`, `${root}/c`);
      expect(await codeOf(fs.link(`${root}/b`, `${root}/c`))).toBe("EEXIST");
      expect(await codeOf(fs.link(`${root}/absent`, `${root}/d`))).toBe("ENOENT");
      await fs.unlink(`${root}/a`);
      expect(await fs.readFile(`${root}/c`, 9)).toEqual(ONE);
      expect([...(await fs.readdir(root))].sort()).toEqual(["b", "c"]);
    }),
  },
  {
    title: "a rename replaces files and empty directories, not full ones",
    run: inRoot(async (fs, root) => {
      for (const name of ["x", "y", "empty"]) await fs.mkdir(`${root}/${name}`);
      await fs.writeFileNew(`${root}/x/data`, ONE);
      await fs.writeFileNew(`${root}/y/data`, TWO);
      expect(["ENOTEMPTY", "EEXIST"]).toContain(await codeOf(fs.rename(`${root}/x`, `${root}/y`)));
      expect(await fs.readFile(`${root}/y/data`, 9)).toEqual(TWO);
      await fs.rename(`${root}/x`, `${root}/empty`);
      expect(await fs.readFile(`${root}/empty/data`, 9)).toEqual(ONE);
      await fs.writeFileNew(`${root}/f`, ONE);
      expect(await codeOf(fs.rename(`${root}/y`, `${root}/f`))).toBe("ENOTDIR");
      await fs.rename(`${root}/y/data`, `${root}/f`);
      expect(await fs.readFile(`${root}/f`, 9)).toEqual(TWO);
      expect([...(await fs.readdir(root))].sort()).toEqual(["empty", "f", "y"]);
    }),
  },
  {
    title: "errors have the names of errno",
    run: inRoot(async (fs, root) => {
      await fs.mkdir(`${root}/d`);
      await fs.writeFileNew(`${root}/d/f`, ONE);
      const codes = {
        "read absent": () => fs.readFile(`${root}/no`, 1),
        "read a directory": () => fs.readFile(`${root}/d`, 1),
        "read below a file": () => fs.readFile(`${root}/d/f/g`, 1),
        "write into nothing": () => fs.writeFileNew(`${root}/no/f`, ONE),
        "mkdir twice": () => fs.mkdir(`${root}/d`),
        "rmdir full": () => fs.rmdir(`${root}/d`),
        "readdir absent": () => fs.readdir(`${root}/no`),
        "stat absent": () => fs.stat(`${root}/no`),
        "sync absent": () => fs.syncFile(`${root}/no`),
        "sync an absent directory": () => fs.syncDir(`${root}/no`),
        "unlink absent": () => fs.unlink(`${root}/no`),
        "rename absent": () => fs.rename(`${root}/no`, `${root}/d/g`),
      };
      const found: Record<string, unknown> = {};
      for (const [what, call] of Object.entries(codes)) found[what] = await codeOf(call());
      expect(found).toEqual({
        "read absent": "ENOENT",
        "read a directory": "EISDIR",
        "read below a file": "ENOTDIR",
        "write into nothing": "ENOENT",
        "mkdir twice": "EEXIST",
        "rmdir full": "ENOTEMPTY",
        "readdir absent": "ENOENT",
        "stat absent": "ENOENT",
        "sync absent": "ENOENT",
        "sync an absent directory": "ENOENT",
        "unlink absent": "ENOENT",
        "rename absent": "ENOENT",
      });
    }),
  },
  {
    title: "stat tells kinds, sizes and identity",
    run: inRoot(async (fs, root) => {
      await fs.mkdir(`${root}/d`);
      await fs.writeFileNew(`${root}/f`, ONE);
      await fs.link(`${root}/f`, `${root}/g`);
      await fs.writeFileNew(`${root}/h`, ONE);
      const [d, f, g, h] = await Promise.all(["d", "f", "g", "h"].map((name) => fs.stat(`${root}/${name}`)));
      expect([d?.kind, f?.kind, f?.size]).toEqual(["directory", "file", 3]);
      expect([g?.dev, g?.ino]).toEqual([f?.dev, f?.ino]);
      expect(h?.ino).not.toBe(f?.ino);
      const before = (await fs.stat(root)).mtime;
      await fs.rmdir(`${root}/d`);
      expect((await fs.stat(root)).mtime).toBeGreaterThanOrEqual(before);
    }),
  },
];
