import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { homePaths } from "../home/paths.ts";
import { parseEvent, readEvents } from "./bundle.ts";
import { clockOf, machineFindings, nodeOf, roomOf } from "./machine.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tidelock-doctor-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const home = async (name: string) => {
  const paths = await homePaths({ home: join(folder, name), env: {} });
  for (const path of [paths.data, paths.state, paths.run]) mkdirSync(path, { recursive: true, mode: 0o700 });
  return paths;
};
const states = async (paths: Awaited<ReturnType<typeof home>>) =>
  Object.fromEntries((await machineFindings(paths)).map((one) => [one.name, one.state]));

describe("doctor on a machine", () => {
  test("[IFC37] each thing is looked at once, and says what it found", async () => {
    const findings = await machineFindings(await home("one"));
    expect(findings.map((one) => one.name)).toEqual(["node", "crypto", "sqlite", "clock", "home", "disk"]);
    for (const one of findings) expect(one.fact.length, one.name).toBeGreaterThan(3);
    for (const one of findings.filter((f) => f.state !== "ok")) expect(one.next, one.name).toBeTruthy();
  });

  test("[IFC37] an old Node.js, a false clock and a full disk are told from good ones", () => {
    const of = (version: string) => nodeOf(version).state;
    expect(["18.20.0", "20.18.9", "20.19.0", "22.0.0", "nonsense"].map(of)).toEqual([
      "fail",
      "fail",
      "ok",
      "ok",
      "fail",
    ]);
    expect([clockOf(0).state, clockOf(Date.UTC(2027, 0, 1)).state]).toEqual(["fail", "ok"]);
    const gib = 2 ** 30;
    const rooms = [
      [2 ** 20, 100 * gib],
      [gib / 2, 10 * gib],
      [2 * gib, 100 * gib],
      [20 * gib, 100 * gib],
    ] as const;
    expect(rooms.map(([free, total]) => roomOf(free, total).state)).toEqual(["fail", "warn", "warn", "ok"]);
  });

  test("[IFC37] a home that others can enter is a warning, keys that others can read a failure", async () => {
    const paths = await home("open");
    expect(await states(paths)).toMatchObject({ home: "ok" });
    chmodSync(paths.state, 0o755);
    expect(await states(paths)).toMatchObject({ home: "warn" });
    const vault = join(paths.data, "vaults", "0011223344556677");
    mkdirSync(vault, { recursive: true });
    writeFileSync(join(vault, "keys"), "secret", { mode: 0o644 });
    expect(await states(paths)).toMatchObject({ home: "fail" });
  });
});

describe("events in a bundle", () => {
  test("[IFC39] codes, numbers and times come through", () => {
    const line = '{"time":"2026-11-21T12:00:00.123Z","event":"api.call","call":"sync","ms":12,"ok":true}';
    expect(parseEvent(line)).toEqual(JSON.parse(line));
  });

  test("[IFC39] nothing that a person wrote does, whatever the line holds", () => {
    const secret = fc.stringMatching(/^[A-Z][a-z]{5,12} [A-Z/\\é]{3,9}$/);
    const place = fc.constantFrom("event", "why", "path", "A Name", "__proto__", "x".repeat(50));
    const nested = (text: string) => [text, { deep: text }, [text], `${text}\n`, `/home/${text}/app.db`];
    fc.assert(
      fc.property(secret, place, fc.nat(4), (text, name, how) => {
        const line = JSON.stringify({ ms: 1, [name]: nested(text)[how], [text]: 2 });
        expect(JSON.stringify(parseEvent(line) ?? {})).not.toContain(text.split(" ")[0]);
      }),
    );
    for (const bad of ["", "{", "null", "[]", '"text"', "7", '{"a":null}', "\0"])
      expect(parseEvent(bad)).toBeUndefined();
  });

  test("[IFC39] of a long log the newest events, over both of its files", async () => {
    const paths = await home("log");
    const lines = (from: number, n: number) =>
      Array.from({ length: n }, (_, i) => `${JSON.stringify({ event: "e", n: from + i })}\n`).join("");
    writeFileSync(join(paths.state, "daemon.log.1"), lines(0, 900));
    writeFileSync(join(paths.state, "daemon.log"), `${lines(900, 500)}{"event":"half`);
    const events = readEvents(paths);
    expect([events.length, events[0]?.["n"], events.at(-1)?.["n"]]).toEqual([1000, 400, 1399]);
  });
});
