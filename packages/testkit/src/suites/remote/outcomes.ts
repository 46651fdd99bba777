import { holdsFrames } from "@tidelock/core/log/page";
import type { AppendResult, Remote } from "@tidelock/core/ports";
import { expect } from "vitest";
import type { ContractCase } from "../cases.ts";
import {
  append,
  type CreateRemote,
  chainAt,
  type FaultPoint,
  onVault,
  pageAfter,
  readAll,
  sealed,
  textsOf,
} from "./fixture.ts";

const points: readonly FaultPoint[] = ["send", "commit", "reply"];

/** As the engine does: after an unknown outcome read, and where the frames are not found send the same bytes. */
async function settle(remote: Remote, seq: number, ...texts: readonly string[]): Promise<AppendResult> {
  const frames = texts.map(sealed);
  for (let tries = 0; tries < 5; tries++) {
    const result = await remote.append(frames, { seq, hash: chainAt(seq) });
    if (result.kind === "committed" || result.kind === "behind") return result;
    const [found] = (await pageAfter(remote, seq)).objects;
    if (found !== undefined)
      return holdsFrames(found, frames) ? { kind: "committed", first: seq + 1 } : { kind: "behind" };
  }
  throw new Error("never settled");
}

/** Appends whose fate is not known at once. */
export const outcomeCases: readonly ContractCase<CreateRemote>[] = [
  {
    numbered: true,
    title:
      "[P3] [REM9] an append that fails at any point is settled by reading and the same bytes: placed once",
    run: onVault(async ({ failNextAppend }, a, b) => {
      await append(a, 0, "first");
      for (const [i, at] of points.entries()) {
        failNextAppend(at);
        expect(await settle(a, 1 + 2 * i, `at ${at}`, "and more")).toEqual({
          kind: "committed",
          first: 2 + 2 * i,
        });
      }
      expect((await readAll(b)).map(textsOf)).toEqual([
        ["first"],
        ...points.map((at) => [`at ${at}`, "and more"]),
      ]);
    }),
  },
  {
    numbered: true,
    title: "[REM9] no answer but unknown leaves open whether it was placed",
    run: onVault(async ({ failNextAppend }, a, b) => {
      let seq = 0;
      for (const at of points) {
        failNextAppend(at);
        const result = await append(a, seq, `at ${at}`);
        const there = (await pageAfter(b, seq)).objects.length === 1;
        if (result.kind === "committed") expect(there).toBe(true);
        else if (result.kind !== "unknown") expect([at, there]).toEqual([at, false]);
        if (!there) await append(a, seq, `at ${at}`);
        seq++;
      }
      expect((await readAll(b)).map(textsOf)).toEqual(points.map((at) => [`at ${at}`]));
    }),
  },
  {
    numbered: true,
    title: "[REM9] a failed append that another device overtook is behind, and was not placed",
    run: onVault(async ({ failNextAppend }, a, b) => {
      failNextAppend("send");
      expect((await append(a, 0, "mine")).kind).not.toBe("committed");
      await append(b, 0, "theirs");
      expect(await settle(a, 0, "mine")).toEqual({ kind: "behind" });
      expect(await settle(a, 1, "mine")).toMatchObject({ kind: "committed", first: 2 });
      expect((await readAll(b)).map(textsOf)).toEqual([["theirs"], ["mine"]]);
    }),
  },
];
