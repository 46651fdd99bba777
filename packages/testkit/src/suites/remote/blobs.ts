import { limits } from "@tidelock/core/bytes/limits";
import { expect } from "vitest";
import type { ContractCase } from "../cases.ts";
import { type CreateRemote, okOf, onVault, sealed } from "./fixture.ts";

/** Packs of content, under the SHA-256 of their bytes. */
export const blobCases: readonly ContractCase<CreateRemote>[] = [
  {
    title: "[REM19] a blob comes back as it was put, for every device, and is absent before",
    run: onVault(async ({ sha256 }, a, b) => {
      const bytes = [
        sealed("x"),
        sealed("a blob of some length"),
        new Uint8Array(300_000).fill(7) as ReturnType<typeof sealed>,
      ];
      for (const one of bytes) {
        const id = sha256(one);
        expect(okOf(await b.getBlob(id))).toBeUndefined();
        expect(okOf(await a.putBlob(id, one))).toBe("stored");
        const found = okOf(await b.getBlob(id)) as Uint8Array;
        expect([found.length, sha256(found)]).toEqual([one.length, id]);
      }
    }),
  },
  {
    title: "[REM19] a part of a blob is what lies there of it, or nothing beyond its end",
    run: onVault(async ({ sha256 }, a, b) => {
      const blob = new Uint8Array(300_000).map((_, i) => i % 251) as ReturnType<typeof sealed>;
      const id = sha256(blob);
      const part = async (offset: number, length: number): Promise<Uint8Array | undefined> =>
        okOf(await b.getBlob(id, { offset, length }));
      expect(await part(0, 10)).toBeUndefined();
      await a.putBlob(id, blob);
      for (const [offset, length] of [
        [0, 1],
        [0, 300_000],
        [12_345, 70_000],
        [299_999, 1],
        [299_990, 100],
      ] as const)
        expect(await part(offset, length)).toEqual(new Uint8Array(blob.slice(offset, offset + length)));
      expect((await part(300_000, 5))?.length).toBe(0);
    }),
  },
  {
    title: "[REM19] the same blob may be put again, also by several devices at once",
    run: onVault(async ({ sha256, device }, a) => {
      const blob = sealed("again and again");
      const id = sha256(blob);
      const devices = await Promise.all(Array.from({ length: 8 }, () => device()));
      const results = await Promise.all(devices.map((one) => one.putBlob(id, blob)));
      expect(results).toEqual(Array(8).fill({ kind: "ok", value: "stored" }));
      expect(okOf(await a.putBlob(id, blob))).toBe("stored");
      expect(okOf(await a.getBlob(id))).toEqual(new Uint8Array(blob));
    }),
  },
  {
    title:
      "[REM19] a blob of 16 MiB fits; a larger one and one under another's name are faults of the caller",
    run: onVault(async ({ sha256 }, a) => {
      const largest = new Uint8Array(limits.blob).fill(1) as ReturnType<typeof sealed>;
      expect(okOf(await a.putBlob(sha256(largest), largest))).toBe("stored");
      expect((okOf(await a.getBlob(sha256(largest))) as Uint8Array).length).toBe(limits.blob);
      const larger = new Uint8Array(limits.blob + 1) as ReturnType<typeof sealed>;
      await expect(a.putBlob(sha256(larger), larger)).rejects.toBeInstanceOf(RangeError);
      await expect(a.putBlob(sha256(sealed("one")), sealed("two"))).rejects.toBeInstanceOf(RangeError);
      await expect(a.getBlob(new Uint8Array(31))).rejects.toBeInstanceOf(RangeError);
    }),
  },
  {
    title: "[P7] [REM19] a damaged blob is the reader's to see, and is whole once it is put again",
    run: onVault(async ({ sha256, tamper }, a, b) => {
      const blob = sealed("a blob that will be damaged");
      const id = sha256(blob);
      await a.putBlob(id, blob);
      await tamper.damageBlob(id);
      const found = await b.getBlob(id);
      if (found.kind === "ok") expect(sha256(found.value as Uint8Array)).not.toEqual(id);
      else expect(found.kind).toBe("corrupt");
      expect(okOf(await b.putBlob(id, blob))).toBe("stored");
      expect(okOf(await a.getBlob(id))).toEqual(new Uint8Array(blob));
    }),
  },
];
