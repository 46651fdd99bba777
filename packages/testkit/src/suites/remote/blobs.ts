import { toHex } from "@tidelock/core/bytes/bytes";
import { limits } from "@tidelock/core/bytes/limits";
import type { BlobInfo } from "@tidelock/core/ports";
import { expect } from "vitest";
import type { ContractCase } from "../cases.ts";
import { append, type CreateRemote, okOf, onVault, sealed } from "./fixture.ts";

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
  {
    title:
      "[REM30] blobs are listed in the order of their names, each with its size and the age it has there",
    run: onVault(async ({ sha256, age }, a, b) => {
      const blobs = ["one", "two", "three", "four"].map(sealed);
      const names = blobs.map((blob) => toHex(sha256(blob))).sort();
      for (const blob of blobs.slice(1)) await a.putBlob(sha256(blob), blob);
      await age(1_000_000);
      const newest = blobs[0] as ReturnType<typeof sealed>;
      await a.putBlob(sha256(newest), newest);
      const { now, blobs: found } = okOf(await b.listBlobs(new Uint8Array(0)));
      expect(found.map(({ id }) => toHex(id))).toEqual(names);
      const ages = new Map(found.map(({ id, storedAt }) => [toHex(id), now - storedAt]));
      for (const blob of blobs) {
        const old = ages.get(toHex(sha256(blob))) as number;
        if (blob === newest) expect(old).toBeLessThan(1_000_000);
        else expect(old).toBeGreaterThanOrEqual(1_000_000 - 5_000);
        expect(found.find(({ id }) => toHex(id) === toHex(sha256(blob)))?.size).toBe(blob.length);
      }
      const after = okOf(await b.listBlobs((found[1] as BlobInfo).id));
      expect(after.blobs.map(({ id }) => toHex(id))).toEqual(names.slice(2));
      expect(okOf(await b.listBlobs(new Uint8Array(32).fill(0xff))).blobs).toEqual([]);
    }),
  },
  {
    title: "[REM31] what was given up goes, and only when it was stored and given up 72 hours ago",
    run: onVault(async ({ sha256, age }, a, b) => {
      const [old, young, kept] = ["old", "young", "kept"].map((text) => {
        const bytes = sealed(text);
        return { bytes, id: sha256(bytes) };
      }) as [Blob, Blob, Blob];
      const there = async (): Promise<readonly boolean[]> =>
        Promise.all([old, young, kept].map(async ({ id }) => okOf(await b.getBlob(id)) !== undefined));
      for (const { id, bytes } of [old, kept]) await a.putBlob(id, bytes);
      await append(a, 0, "an entry");
      await age(limits.blobGrace - 600_000);
      await append(a, 1, "gives them up");
      await age(600_000);
      await a.putBlob(young.id, young.bytes);
      const ids = [old.id, young.id, sha256(sealed("nothing"))];
      // Given up just now; never; and by an entry that is old enough, where one of them is too young.
      expect(okOf(await b.deleteBlobs(ids, 2))).toEqual([old.id, young.id]);
      expect(okOf(await b.deleteBlobs(ids, 7))).toEqual([old.id, young.id]);
      expect(await there()).toEqual([true, true, true]);
      expect(okOf(await b.deleteBlobs(ids, 1))).toEqual([young.id]);
      expect(await there()).toEqual([false, true, true]);
      expect(okOf(await a.deleteBlobs([old.id], 1))).toEqual([]);
      expect(okOf(await a.listBlobs(new Uint8Array(0))).blobs.length).toBe(2);
      // Whoever is late with it puts it there again: as new.
      expect(okOf(await a.putBlob(old.id, old.bytes))).toBe("stored");
      expect(okOf(await b.deleteBlobs([old.id], 1))).toEqual([old.id]);
      expect(await there()).toEqual([true, true, true]);
    }),
  },
  {
    title: "[REM31] who may not write deletes nothing",
    run: onVault(async ({ sha256, age, readOnly }, a) => {
      const blob = sealed("a blob");
      await a.putBlob(sha256(blob), blob);
      await append(a, 0, "an entry");
      await age(limits.blobGrace + 1_000);
      readOnly(true);
      const refused = await a.deleteBlobs([sha256(blob)], 1);
      readOnly(false);
      expect(refused.kind).not.toBe("ok");
      expect(okOf(await a.getBlob(sha256(blob)))).toEqual(new Uint8Array(blob));
    }),
  },
];

interface Blob {
  readonly bytes: ReturnType<typeof sealed>;
  readonly id: Uint8Array;
}
