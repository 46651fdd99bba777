import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type Device, fastKit, type Kit, traps } from "../../../testkit/src/vault-kit.ts";
import { encodeUtf8 } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { frameFlags } from "../log/frame.ts";
import { encodeSections } from "../log/plaintext.ts";

const { more, continues } = frameFlags;
const DAY = 86_400_000;

afterEach(() => void vi.restoreAllMocks());

async function pair(seed: number): Promise<{ kit: Kit; a: Device; b: Device }> {
  const kit = fastKit(seed);
  const a = await kit.found();
  const b = await kit.join("b");
  await kit.sync(a);
  return { kit, a, b };
}

/** Frames of device b with consecutive numbers, as a program of somebody's own could make them. */
function script(kit: Kit, b: Device): (note: string, flags?: number) => Uint8Array {
  let deviceSeq = b.replica.settled();
  return (note, flags = 0) => kit.frame(b, { note, flags, deviceSeq: ++deviceSeq });
}

describe("runs", () => {
  test("[LOG10] a run applies at its last frame, and nothing of it before", async () => {
    const { kit, a, b } = await pair(1);
    const next = script(kit, b);
    kit.place(a, next("1", more), next("2", more | continues));
    await kit.sync(a);
    expect(kit.notes(a)).toEqual([]);
    expect(kit.verdicts(a).slice(2)).toEqual(["", ""]);
    kit.place(a, next("3", continues));
    await kit.sync(a);
    expect(kit.notes(a)).toEqual(["1", "2", "3"]);
    // One position: that of the last frame.
    const keys = a.store.scan("x.note", new Uint8Array(0), undefined).map(([key]) => key[7]);
    expect(keys).toEqual([5, 5, 5]);
  });

  test("[LOG10] other devices write between the frames of a run; two runs can be open", async () => {
    const { kit, a, b } = await pair(2);
    const c = await kit.join("c");
    await kit.converge(a, b);
    const [ofB, ofC] = [script(kit, b), script(kit, c)];
    kit.place(a, ofB("b1", more), ofC("c1", more), ofB("b2", continues), ofC("c2", continues));
    kit.write(a, "a1");
    await kit.sync(a);
    expect(kit.notes(a)).toEqual(["b1", "b2", "c1", "c2", "a1"]);
    const d = await kit.join("d");
    await kit.converge(a, d);
    expect(kit.held(a)).toEqual(kit.held(d));
  });

  test("[LOG10] a frame that continues nothing is void", async () => {
    const { kit, a, b } = await pair(3);
    const next = script(kit, b);
    kit.place(a, next("1", continues), next("2", more | continues), next("3"));
    await kit.sync(a);
    expect(kit.verdicts(a).slice(2)).toEqual(["run", "run", ""]);
    expect(kit.notes(a)).toEqual(["3"]);
  });

  test("[LOG10] a void frame in the middle fells the run, also the frames that stood before it", async () => {
    const { kit, a, b } = await pair(4);
    const next = script(kit, b);
    const frames = [
      next("1", more),
      next(traps.malformed, more | continues),
      next("3", continues),
      next("4"),
    ];
    kit.place(a, ...frames);
    await kit.converge(a, b);
    expect(kit.verdicts(a).slice(2)).toEqual(["run", "malformed", "run", ""]);
    expect(kit.notes(a)).toEqual(["4"]);
  });

  test("[LOG10] a data frame that does not continue it fells the run and stands itself", async () => {
    const { kit, a, b } = await pair(5);
    const next = script(kit, b);
    kit.place(a, next("1", more), next("2"), next("3", continues));
    await kit.sync(a);
    expect(kit.verdicts(a).slice(2)).toEqual(["run", "", "run"]);
    expect(kit.notes(a)).toEqual(["2"]);
  });

  test("[LOG10, LOG9] L4: copies of earlier frames in the middle do not touch the run", async () => {
    const { kit, a, b } = await pair(6);
    const next = script(kit, b);
    const [old, first, second, last] = [
      next("0"),
      next("1", more),
      next("2", more | continues),
      next("3", continues),
    ];
    kit.place(a, old as Uint8Array, first, first, old, second, second, old, last, last);
    await kit.sync(a);
    expect(kit.verdicts(a).slice(2)).toEqual([
      "",
      "",
      "replay",
      "replay",
      "",
      "replay",
      "replay",
      "",
      "replay",
    ]);
    expect(kit.notes(a)).toEqual(["0", "1", "2", "3"]);
  });

  test("[LOG10] R14: a run left open falls after 30 days of log time, and not a moment before", async () => {
    for (const [late, stands] of [
      [30 * DAY, true],
      [30 * DAY + 1, false],
    ] as const) {
      const { kit, a, b } = await pair(7);
      const next = script(kit, b);
      kit.place(a, next("1", more));
      await kit.sync(a);
      kit.time.offset += late;
      const time = kit.time.now();
      kit.log.put(4, kit.pageBytes(4, kit.link(a, 3).hash, [next("2", continues)], time));
      await kit.sync(a);
      expect(kit.verdicts(a).slice(2)).toEqual(stands ? ["", ""] : ["run", "run"]);
      expect(kit.notes(a)).toEqual(stands ? ["1", "2"] : []);
    }
  });

  test("[LOG10] a run of more bytes than are in memory together falls", async () => {
    const { kit, a, b } = await pair(8);
    const next = script(kit, b);
    const frame = encodeSections(new Map([[2, encodeUtf8("x".repeat(500))]])).length;
    const run = (frames: number): Uint8Array[] => [
      next("x".repeat(500), more),
      ...Array.from({ length: frames - 2 }, () => next("x".repeat(500), more | continues)),
      next("x".repeat(500), continues),
    ];
    expect(limits.runBytes).toBe(64 << 20);
    // The same with short frames: whether 64 MiB are too many is not what is asked here.
    vi.spyOn(limits, "runBytes", "get").mockReturnValue(frame * 8);
    kit.place(a, ...run(8));
    await kit.sync(a);
    expect(kit.notes(a)).toHaveLength(8);
    kit.place(a, ...run(9));
    await kit.sync(a);
    expect(kit.verdicts(a).slice(-9)).toEqual(Array(9).fill("run"));
    expect(kit.notes(a)).toHaveLength(8);
    expect(() => kit.write(a, "y".repeat(frame * 8))).toThrow("larger than Tidelock takes");
  });

  test("[LOG10] a frame left out of a run fells it", async () => {
    const { kit, a, b } = await pair(8);
    const next = script(kit, b);
    const [one, , three, four] = [
      next("1", more),
      next("2", more | continues),
      next("3", continues),
      next("4"),
    ];
    kit.place(a, one as Uint8Array, three as Uint8Array, four as Uint8Array);
    await kit.sync(a);
    expect(kit.verdicts(a).slice(2)).toEqual(["run", "device-seq", ""]);
    expect(kit.notes(a)).toEqual(["4"]);
  });

  test("[LOG10, LOG8, LOG11] any frames in any order: every replica shows what a plain model of runs says", async () => {
    const step = fc.record({
      device: fc.nat(1),
      flags: fc.constantFrom(0, more, continues, more | continues),
      skip: fc.constantFrom(0, 0, 0, 0, 1),
      what: fc.constantFrom("right", "right", "right", "malformed", "sealed-wrong", "copy"),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 14 }), fc.nat(), async (steps, seed) => {
        const { kit, a, b } = await pair(seed);
        const c = await kit.join("c");
        await kit.sync(a);
        const authors = [b, c] as const;
        const model = authors.map((author) => ({
          seq: author.replica.settled(),
          open: undefined as string[] | undefined,
        }));
        const shown: string[] = [];
        const placed: Uint8Array[] = [];
        for (const [i, { device, flags, skip, what }] of steps.entries()) {
          const author = authors[device] as Device;
          const state = model[device] as (typeof model)[number];
          const note = `${device}.${i}`;
          const copy = what === "copy" ? placed[i % Math.max(1, placed.length)] : undefined;
          const deviceSeq = state.seq + 1 + skip;
          const frame =
            copy ??
            kit.frame(author, {
              deviceSeq,
              flags,
              note: what === "malformed" ? traps.malformed : note,
              ...(what === "sealed-wrong" ? { key: new Uint8Array(32) } : {}),
            });
          placed.push(frame);
          kit.place(a, frame);
          await kit.sync(a);
          expect(a.engine.facts().halt).toBeUndefined();
          if (copy !== undefined) continue;
          state.seq = deviceSeq;
          const continuing = (flags & continues) !== 0;
          const stands = skip === 0 && what !== "malformed" && what !== "sealed-wrong";
          if (!stands || !continuing) state.open = continuing || !stands ? undefined : [];
          if (!stands || state.open === undefined) continue;
          state.open.push(note);
          if ((flags & more) !== 0) continue;
          shown.push(...state.open);
          state.open = undefined;
        }
        expect(kit.notes(a)).toEqual(shown);
        const d = await kit.join("d");
        await kit.converge(a, d);
        expect(kit.held(d)).toEqual(kit.held(a));
        expect(kit.verdicts(d)).toEqual(kit.verdicts(a));
      }),
      { numRuns: 60 },
    );
  });
});

describe("a kind that fails", () => {
  test.for([traps.decode, traps.judge, traps.apply])(
    "[ENG2] on one entry (%s) fails for that entry alone, and it is shown",
    async (trap) => {
      const { kit, a, b } = await pair(10);
      const next = script(kit, b);
      kit.place(a, next("before"), next(`${trap} here`), next("after"));
      expect(await kit.sync(a)).toMatchObject({ kind: "live", head: 5 });
      expect(kit.notes(a)).toEqual(["before", "after"]);
      expect(a.replica.quarantined()).toBe(1);
      expect(a.engine.facts().quarantined).toBe(1);
      // Known after a restart, and nothing is tried twice.
      const again = kit.restart(a);
      expect(again.replica.quarantined()).toBe(1);
      kit.write(again, "more");
      expect(await kit.sync(again)).toMatchObject({ kind: "live" });
      expect(kit.notes(again)).toEqual(["before", "after", "more"]);
      expect(again.replica.digest()).toBe(kit.restart(again).replica.digest());
    },
  );

  test("[ENG2] in a run: the frames around it are judged as ever", async () => {
    const { kit, a, b } = await pair(11);
    const next = script(kit, b);
    kit.place(
      a,
      next("1", more),
      next(`${traps.decode} 2`, more | continues),
      next("3", continues),
      next("4"),
    );
    expect(await kit.sync(a)).toMatchObject({ kind: "live" });
    expect(kit.verdicts(a).slice(2)).toEqual(["", "", "", ""]);
    expect(kit.notes(a)).toContain("4");
  });
});

describe("slices", () => {
  test("[ENG1] a long log is applied a slice at a time, with the same end, and a kill between slices harms nothing", async () => {
    const { kit, a, b } = await pair(12);
    for (let i = 0; i < 30; i++) kit.write(a, `a${i}`, `b${i}`);
    await kit.sync(a);
    const page = await kit.remote().read(2, { frames: 1024, bytes: 4 << 20 });
    if (page.kind !== "ok") throw new Error("no page");
    let device = b;
    device.replica.ingest(2, page.value);
    for (let i = 0; ; i++) {
      const applied = device.replica.apply(7, undefined);
      expect(applied.kind).toBe("ok");
      if (i % 3 === 0) device = kit.restart(device);
      if (applied.kind === "ok" && !applied.more) break;
    }
    expect(kit.held(device)).toEqual(kit.held(a));
    expect(kit.verdicts(device)).toEqual(kit.verdicts(a));
  });
});
