import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Device, fastKit, type Kit, traps } from "../../../testkit/src/vault-kit.ts";
import { concat } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { Writer } from "../bytes/writer.ts";
import type { FrameHeader } from "../log/frame.ts";
import { encodePlaintext } from "../log/plaintext.ts";

/** b has written twice, the second time anchored at 3; a judges what comes in b's name. */
async function scene(seed: number): Promise<{ kit: Kit; a: Device; b: Device }> {
  const kit = fastKit(seed);
  const a = await kit.found();
  const b = await kit.join("b");
  kit.write(b, "one");
  await kit.sync(b);
  kit.write(b, "two");
  await kit.sync(b);
  await kit.sync(a);
  return { kit, a, b };
}

type Over = Parameters<Kit["frame"]>[1];

/** In the order of the specification: a fault, and what it alone leads to. */
const faults: readonly { what: string; reason: string; waits?: boolean; over: Over }[] = [
  { what: "another suite", reason: "suite", waits: true, over: { suite: 2 } },
  { what: "an unknown device", reason: "unsigned-device", waits: true, over: { device: 9 } },
  { what: "another device's name", reason: "signature", waits: true, over: { device: 0 } },
  { what: "anchored at itself", reason: "anchor", over: { anchorSeq: 5 } },
  { what: "another history", reason: "fork", over: { anchor: new Uint8Array(32).fill(9) } },
  { what: "a number used before", reason: "replay", over: { deviceSeq: 2 } },
  { what: "the last number", reason: "op-reused", over: { deviceSeq: 3 } },
  { what: "an anchor that goes back", reason: "anchor", over: { anchorSeq: 2 } },
  { what: "a number left out", reason: "device-seq", over: { deviceSeq: 5 } },
  { what: "another epoch", reason: "epoch-stale", over: { epoch: 2 } },
  { what: "another key", reason: "sealed-wrong", over: { key: new Uint8Array(32) } },
  { what: "no plaintext", reason: "malformed", over: { plain: new Uint8Array(64) } },
  { what: "the kind's own reason", reason: "content", over: { note: `${traps.content}99` } },
  { what: "no run to continue", reason: "run", over: { flags: 4 } },
];

describe("acceptance", () => {
  test("[LOG11, LOG9, LOG16, LOG17] each fault alone has its verdict, and a frame without one is accepted", async () => {
    const { kit, a, b } = await scene(1);
    expect(kit.judged(a, kit.frame(b, { note: "three" }))).toMatchObject({ reasons: [""], waits: false });
    for (const { what, reason, waits, over } of faults) {
      const judged = kit.judged(a, kit.frame(b, over));
      if (reason === "fork") expect(judged, what).toMatchObject({ halt: "fork", waits: false });
      else expect(judged, what).toMatchObject({ halt: undefined, reasons: [reason], waits: waits ?? false });
    }
  });

  test("[LOG11, LOG12] of two faults the one that is asked first decides: who may not speak claims nothing", async () => {
    const { kit, a, b } = await scene(2);
    for (const [i, first] of faults.entries()) {
      for (const second of faults.slice(i + 1)) {
        const names = Object.keys(first.over);
        if (Object.keys(second.over).some((name) => names.includes(name))) continue;
        const what = `${first.what} and ${second.what}`;
        const judged = kit.judged(a, kit.frame(b, { ...second.over, ...first.over }));
        if (first.reason === "fork") expect(judged.halt, what).toBe("fork");
        else expect(judged, what).toMatchObject({ halt: undefined, reasons: [first.reason] });
      }
    }
  });

  test("[LOG9] a void frame uses up its number, so that its author goes on with the next one", async () => {
    const { kit, a, b } = await scene(3);
    for (const over of [
      { key: new Uint8Array(32) },
      { anchorSeq: 5 },
      { epoch: 2 },
      { flags: 4 },
    ] as Over[]) {
      const reasons = kit.judged(a, kit.frame(b, over), kit.frame(b, { deviceSeq: 5, note: "next" })).reasons;
      expect(reasons[1], JSON.stringify(over)).toBe("");
    }
    // One that nobody signed uses up nothing.
    const forged = kit.frame(b, { device: 0 });
    expect(kit.judged(a, forged, kit.frame(b, {})).reasons).toEqual(["signature", ""]);
    // A number left out is used up with all before it.
    const [five, four] = [kit.frame(b, { deviceSeq: 5 }), kit.frame(b, { deviceSeq: 4 })];
    expect(kit.judged(a, five, four, kit.frame(b, { deviceSeq: 6 })).reasons).toEqual([
      "device-seq",
      "replay",
      "",
    ]);
  });

  test("[LOG9] device seqs at the end of their range are numbers like others", async () => {
    const { kit, a, b } = await scene(4);
    const last = kit.frame(b, { deviceSeq: Number.MAX_SAFE_INTEGER });
    expect(kit.judged(a, last, last, kit.frame(b, {})).reasons).toEqual(["device-seq", "replay", "replay"]);
    expect(kit.judged(a, kit.frame(b, { sealedAt: Number.MAX_SAFE_INTEGER })).reasons).toEqual([""]);
    for (const anchorSeq of [5, 6, 2 ** 32 + 4, Number.MAX_SAFE_INTEGER])
      expect(kit.judged(a, kit.frame(b, { anchorSeq })).reasons).toEqual(["anchor"]);
  });

  test("[LOG11, LOG14] what is unknown in a frame voids it and stops nothing", async () => {
    const { kit, a, b } = await scene(5);
    const { suite } = kit;
    const plain = (changes: Uint8Array): Over => ({ plain: encodePlaintext(suite, changes, true) });
    const section = (id: number, bytes: Uint8Array): Uint8Array => new Writer(64).u8(id).bytes(bytes).done();
    const cases: [string, Over, string][] = [
      ["a section of the future", plain(section(3, new Uint8Array(2))), "malformed"],
      ["section 0", plain(section(0, new Uint8Array(2))), "malformed"],
      ["no section", plain(new Uint8Array(0)), "malformed"],
      ["one that its kind does not read", plain(section(1, new Uint8Array(1))), "malformed"],
      ["more than 256 changes", { note: "*257" }, "limit"],
      [
        "sections out of order",
        plain(concat(section(2, new Uint8Array(1)), section(1, new Uint8Array(0)))),
        "malformed",
      ],
    ];
    for (const [what, over, reason] of cases)
      expect(kit.judged(a, kit.frame(b, over)), what).toMatchObject({ reasons: [reason], halt: undefined });
    expect(kit.judged(a, kit.frame(b, { note: "*256" })).reasons).toEqual([""]);
    expect(kit.judged(a, kit.frame(b, plain(section(1, new Uint8Array(0))))).reasons).toEqual([""]);
  });

  test("[LOG11] no bytes at all make an error, whoever signed them", async () => {
    const { kit, a, b } = await scene(6);
    const tail = kit.judged(a, Uint8Array.of(1)).digest;
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (bytes) => {
        const judged = kit.judged(a, bytes);
        expect(judged).toMatchObject({ halt: undefined, waits: true, digest: tail });
      }),
      { numRuns: 300 },
    );
    const random = kit.frame(b, {});
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(random.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (changes) => {
          const mutant = random.slice();
          for (const [at, to] of changes) mutant[at] = to;
          if (mutant.every((byte, i) => byte === random[i])) return;
          expect(kit.judged(a, mutant)).toMatchObject({ halt: undefined, waits: true, digest: tail });
        },
      ),
      { numRuns: 300 },
    );
    // Any plaintext a member can seal.
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 64, maxLength: 300 }), fc.nat(255), (plain, flags) => {
        const header: Partial<FrameHeader> = { flags: flags & 5 };
        expect(kit.judged(a, kit.frame(b, { ...header, plain })).halt).toBeUndefined();
      }),
      { numRuns: 300 },
    );
  });

  test("[LOG11, FRM1] an entry over the limits is judged by its size alone", async () => {
    const { kit, a, b } = await scene(7);
    const long = kit.frame(b, { plain: new Uint8Array(limits.frame) });
    expect(kit.judged(a, long)).toMatchObject({ reasons: ["malformed"], waits: true });
  });

  test("[LOG16] a frame whose epoch key has not come waits for it, and is accepted when it has", async () => {
    const { kit, a } = await scene(8);
    const late = kit.open("late", a.replica.genesis);
    late.replica.write((tx) => late.replica.membership.begin(tx, a.replica.genesis));
    const page = await kit.remote().read(0, { frames: 1024, bytes: 4 << 20 });
    if (page.kind !== "ok") throw new Error("no page");
    late.replica.ingest(0, page.value);
    expect(late.replica.apply(4096, undefined)).toEqual({ kind: "key-missing", epoch: 1, applied: 2 });
    expect(late.replica.apply(4096, Number.MAX_SAFE_INTEGER)).toMatchObject({ kind: "key-missing" });
    const key = a.replica.read((tx) => a.replica.ring.epochKey(tx, 1)) as Uint8Array;
    late.replica.write((tx) => late.replica.ring.put(tx, 1, key));
    expect(late.replica.apply(4096, undefined)).toMatchObject({ kind: "ok", more: false });
    expect(late.replica.digest()).toBe(a.replica.digest());
  });
});
