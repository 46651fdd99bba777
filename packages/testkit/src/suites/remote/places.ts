import { expect } from "vitest";
import type { ContractCase } from "../cases.ts";
import {
  append,
  type CreateRemote,
  GENESIS,
  okOf,
  onVault,
  pageAfter,
  readAll,
  sealed,
  textsOf,
} from "./fixture.ts";

/** Founding, reaching and being allowed. */
export const placeCases: readonly ContractCase<CreateRemote>[] = [
  {
    title:
      "[REM4] a vault is founded once: the same genesis again is fine, another is refused, all read the first",
    run: onVault(async ({ device }, a, b) => {
      expect(await a.create(GENESIS)).toEqual({ kind: "ok", value: "created" });
      expect(await b.create(GENESIS)).toEqual({ kind: "ok", value: "created" });
      expect(await b.create(sealed("another"))).toEqual({ kind: "exists" });
      for (const remote of [a, b, await device()])
        expect(okOf(await remote.genesis())).toEqual(new Uint8Array(GENESIS));
    }),
  },
  {
    numbered: true,
    title: "[REM4] of eight founders at once one wins, and nobody takes it for a vault before",
    run: async (create) => {
      const fixture = await create(1);
      const devices = await Promise.all(Array.from({ length: 8 }, () => fixture.device()));
      const early = await (devices[0] as (typeof devices)[0]).genesis();
      expect(early.kind === "ok" ? early.value : early.kind).toBe(
        early.kind === "ok" ? undefined : "unreachable",
      );
      const results = await Promise.all(devices.map((one, i) => one.create(sealed(`genesis ${i}`))));
      expect(results.map(({ kind }) => kind).sort()).toEqual([...Array(7).fill("exists"), "ok"]);
      const winner = results.findIndex(({ kind }) => kind === "ok");
      for (const one of devices)
        expect(okOf(await one.genesis())).toEqual(new Uint8Array(sealed(`genesis ${winner}`)));
      await fixture.dispose();
    },
  },
  {
    title: "[REM16] out of reach nothing is placed and nothing seems to be gone; afterwards all is there",
    run: onVault(async ({ device, reachable, sha256 }, a, b) => {
      await append(a, 0, "one");
      await pageAfter(b, 0);
      const blob = sealed("a blob");
      await reachable(false);
      for (const remote of [a, b, await device()]) {
        expect((await remote.read(0, { frames: 9, bytes: 999 })).kind).toBe("unreachable");
        expect((await remote.read(1, { frames: 9, bytes: 999 })).kind).toBe("unreachable");
        expect((await append(remote, 1, "two")).kind).toBe("unreachable");
        expect((await remote.genesis()).kind).toBe("unreachable");
        expect((await remote.putBlob(sha256(blob), blob)).kind).toBe("unreachable");
        expect((await remote.getBlob(sha256(blob))).kind).toBe("unreachable");
      }
      await reachable(true);
      for (const remote of [a, b, await device()]) {
        expect((await readAll(remote)).map(textsOf)).toEqual([["one"]]);
        expect(okOf(await remote.getBlob(sha256(blob)))).toBeUndefined();
      }
      expect(await append(b, 1, "two")).toMatchObject({ kind: "committed", first: 2 });
    }),
  },
  {
    title: "[REM15] who may only read is told so by every write, and reads on",
    run: onVault(async ({ device, readOnly, sha256 }, a) => {
      await append(a, 0, "one");
      const blob = sealed("a blob");
      readOnly(true);
      for (const remote of [a, await device()]) {
        expect((await append(remote, 1, "two")).kind).toBe("denied");
        expect((await remote.putBlob(sha256(blob), blob)).kind).toBe("denied");
        expect((await readAll(remote)).map(textsOf)).toEqual([["one"]]);
        expect(okOf(await remote.genesis())).toEqual(new Uint8Array(GENESIS));
      }
      readOnly(false);
      expect(await append(a, 1, "two")).toMatchObject({ kind: "committed", first: 2 });
    }),
  },
  {
    title: "[REM17] two vaults side by side know nothing of each other",
    run: onVault(async ({ neighbour, sha256 }, a) => {
      const other = await neighbour();
      const blob = sealed("a blob");
      expect(await other.create(sealed("another genesis"))).toEqual({ kind: "ok", value: "created" });
      await append(a, 0, "ours");
      await a.putBlob(sha256(blob), blob);
      expect(await pageAfter(other, 0)).toEqual({ objects: [], head: 0 });
      expect(okOf(await other.getBlob(sha256(blob)))).toBeUndefined();
      expect(await append(other, 0, "theirs")).toMatchObject({ kind: "committed", first: 1 });
      expect((await readAll(a)).map(textsOf)).toEqual([["ours"]]);
    }),
  },
  {
    title:
      "[REM18] a declared wake hints when something came, until it is ended; an undeclared one is not there",
    run: onVault(async (_, a, b) => {
      expect(b.wake !== undefined).toBe(b.caps.wake);
      if (b.wake === undefined) return;
      const hinted = new Promise<() => void>((resolve) => {
        const stop = b.wake?.(() => resolve(stop as () => void));
      });
      await append(a, 0, "one");
      const stop = await hinted;
      stop();
      stop();
      b.close();
    }),
  },
];
