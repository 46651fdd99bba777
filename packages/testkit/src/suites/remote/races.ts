import type { Remote } from "@tidelock/core/ports";
import { expect } from "vitest";
import type { ContractCase } from "../cases.ts";
import { append, type CreateRemote, onVault, pageAfter, readAll, textsOf } from "./fixture.ts";

const ROUNDS = 60;

/** Many writers at once. */
export const raceCases: readonly ContractCase<CreateRemote>[] = [
  {
    numbered: true,
    title: "[P4] [REM10] of eight writers at once one wins each position, in sixty rounds",
    timeout: 60_000,
    run: onVault(async ({ device }, a) => {
      const writers = await Promise.all(Array.from({ length: 8 }, () => device()));
      const winners: number[] = [];
      for (let seq = 0; seq < ROUNDS; seq++) {
        const results = await Promise.all(writers.map((one, i) => append(one, seq, `${seq} by ${i}`)));
        expect(results.map(({ kind }) => kind).sort()).toEqual([...Array(7).fill("behind"), "committed"]);
        winners.push(results.findIndex(({ kind }) => kind === "committed"));
      }
      expect((await readAll(a)).map(textsOf)).toEqual(winners.map((winner, seq) => [`${seq} by ${winner}`]));
    }),
  },
  {
    numbered: true,
    title:
      "[P4] [REM10] writers that follow the log get all their frames in, each once and in their own order",
    timeout: 60_000,
    run: onVault(async ({ device }, a) => {
      const write = async (remote: Remote, name: string): Promise<void> => {
        let seq = 0;
        for (let n = 0; n < 10; ) {
          const result = await append(remote, seq, `${name}${n}`);
          if (result.kind === "committed") n++;
          const page = await pageAfter(remote, seq);
          for (const object of page.objects) seq = object.first;
        }
      };
      await Promise.all(["a", "b", "c", "d"].map(async (name) => write(await device(), name)));
      const texts = (await readAll(a)).map((object) => textsOf(object)?.[0] as string);
      for (const name of ["a", "b", "c", "d"]) {
        const own = texts.filter((text) => text.startsWith(name));
        expect(own).toEqual(Array.from({ length: 10 }, (_, n) => `${name}${n}`));
      }
      expect(texts.length).toBe(40);
    }),
  },
];
