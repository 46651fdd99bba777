import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toHex } from "@tidelock/core/bytes/bytes";
import type { Opened } from "@tidelock/core/engine/fetch-content";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { loadSuite } from "../crypto/load-suite.ts";
import { type ContentCache, createCache } from "./piece-cache.ts";

const { suite } = await loadSuite();
const address = (n: number): Uint8Array => suite.sha256(Uint8Array.of(n));
const piece = (n: number): Uint8Array => new Uint8Array(1000).fill(n);

describe("pieces that are kept", () => {
  let folder: string;
  let time: number;
  let stays: Set<string>;
  let fetches: number[];
  let cache: ContentCache;
  const reopened = (most = 1_000_000): ContentCache =>
    createCache({ folder, suite, most, now: () => time, kept: async () => stays });
  const get = (n: number, from = cache): Promise<Opened> =>
    from.once(address(n), async () => {
      fetches.push(n);
      return { kind: "ok", plain: piece(n) };
    });
  const files = (): string[] =>
    readdirSync(folder).flatMap((part) =>
      readdirSync(join(folder, part)).map((name) => join(folder, part, name)),
    );

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "tidelock-cache-"));
    time = 1_700_000_000_000;
    stays = new Set();
    fetches = [];
    cache = reopened();
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  });

  test("[CNT10] a piece is fetched once, also by ten who ask at once, and after a start anew", async () => {
    const all = await Promise.all(Array.from({ length: 10 }, () => get(1)));
    expect(all).toEqual(Array(10).fill({ kind: "ok", plain: piece(1) }));
    expect(await get(1)).toEqual({ kind: "ok", plain: piece(1) });
    expect(await get(1, reopened())).toEqual({ kind: "ok", plain: piece(1) });
    expect(fetches).toEqual([1]);
    expect(statSync(files()[0] as string).mode & 0o777).toBe(0o600);
    expect(await cache.held([address(1), address(2)])).toBe(1);
  });

  test("[CNT10] what could not be had is not kept, and asked for again", async () => {
    const away: Opened = { kind: "unreachable", why: "gone" };
    expect(await cache.once(address(1), async () => away)).toEqual(away);
    expect(await get(1)).toMatchObject({ kind: "ok" });
    expect(fetches).toEqual([1]);
  });

  test("[CNT10] torn, altered and empty files are fetched anew", async () => {
    await get(1);
    const [file] = files() as [string];
    const whole = readFileSync(file);
    const altered = Buffer.from(whole);
    altered[5] = 99;
    for (const bytes of [altered, whole.subarray(0, 500), Buffer.alloc(0)]) {
      fetches = [];
      writeFileSync(file, bytes);
      expect(await get(1)).toEqual({ kind: "ok", plain: piece(1) });
      expect(fetches).toEqual([1]);
      expect(readFileSync(file).equals(whole)).toBe(true);
    }
  });

  test("[CNT10] full, the least recently used go, and what must stay stays", async () => {
    cache = reopened(10_500);
    stays = new Set([toHex(address(1))]);
    for (let n = 1; n <= 10; n++) {
      time += 1000;
      await get(n);
    }
    time += 1000;
    await get(2);
    for (let n = 11; n <= 13; n++) {
      time += 1000;
      await get(n);
    }
    expect(await cache.size()).toBeLessThanOrEqual(10_500);
    expect(await cache.held([1, 2, 13].map(address))).toBe(3);
    expect(await cache.held([3, 4].map(address))).toBe(0);
    // Also the order of use outlives a start, as far as the disk's times tell it.
    expect(await reopened(10_500).size()).toBe(await cache.size());
  });

  test("[CNT10] dropped, it is gone from the disk; a stranger's file there is removed at the next start", async () => {
    await get(1);
    await get(2);
    await cache.drop([address(1)]);
    expect(files().length).toBe(1);
    writeFileSync(`${files()[0]}.tmp`, "half");
    const after = reopened();
    expect(await after.size()).toBe(1016);
    expect(files().length).toBe(1);
  });
});
