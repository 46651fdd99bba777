/**
 * What whoever holds the storage can do to a log, each with its named outcome: the reason of a void
 * entry, the code of a halt, or the error of a join. Every time: nothing of it is applied, the state
 * is what it was but for the cursor, and the other devices go on.
 */
import { describe, expect, test } from "vitest";
import { type Device, Kit } from "../../../testkit/src/vault-kit.ts";
import type { Sealed } from "../bytes/brand.ts";
import { concat } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { Writer } from "../bytes/writer.ts";
import { personId, personKeys, type SecretKeys } from "../crypto/identity.ts";
import { createPortableSuite } from "../crypto/sodium-portable.ts";
import type { Suite } from "../crypto/suite.ts";
import { genesisLink } from "../log/chain.ts";
import { frameFlags, parseFrame, signFrame } from "../log/frame.ts";
import type { PageEntry } from "../log/page.ts";
import { paddedLength } from "../log/plaintext.ts";
import { commitment, encodeEnvelopePack, sealEnvelope } from "../vault/epoch.ts";
import { sealMembership } from "../vault/membership-frame.ts";
import { encodeName, type MembershipRecord } from "../vault/records.ts";
import { makeGenesis } from "./found.ts";
import { beginReplica } from "./replica.ts";
import { deriveStatus } from "./status.ts";

const suite = await createPortableSuite();

interface Scene {
  readonly kit: Kit;
  /** Reads, and is attacked. */
  readonly a: Device;
  /** Writes, unharmed. */
  readonly b: Device;
}

/** Two devices, three notes, everybody at seq 5. */
async function scene(of: Suite = suite): Promise<Scene> {
  const kit = new Kit({ suite: of });
  const a = await kit.found("a");
  const b = await kit.join("b");
  kit.write(a, "a1");
  await kit.converge(a, b);
  kit.write(b, "b1");
  kit.write(b, "b2");
  await kit.converge(b, a);
  expect(a.replica.cursor().applied).toBe(5);
  return { kit, a, b };
}

/** One more note of b at 6, which a has not read. */
async function withTail(): Promise<Scene & { readonly tail: Uint8Array }> {
  const s = await scene();
  s.kit.write(s.b, "b3");
  await s.kit.sync(s.b);
  return { ...s, tail: s.kit.frameAt(s.b, 6) };
}

/** The same storage, changed for one reader alone; everybody else goes on with the honest one. */
function serve(
  s: Scene,
  change: (log: Kit["log"]) => void,
): { readonly victim: Device; readonly log: Kit["log"] } {
  const log = s.kit.copyLog();
  change(log);
  return { victim: s.kit.restart(s.a, log), log };
}

const alter = (
  log: Kit["log"],
  number: number,
  change: (entries: readonly PageEntry[]) => readonly PageEntry[],
): void => log.alter(number, change);
const flipped = (bytes: Uint8Array, at: number, bit = 1): Uint8Array => {
  const out = bytes.slice();
  out[at] = (out[at] as number) ^ bit;
  return out;
};

/** The entry waits with that reason, and nothing is applied of it. */
async function waits(s: Scene, victim: Device, reason: string): Promise<void> {
  const before = s.kit.held(victim);
  expect(await s.kit.sync(victim)).toMatchObject({ kind: "stopped", why: "unsigned" });
  expect(s.kit.held(victim)).toEqual(before);
  expect(victim.replica.cursor().applied).toBe(5);
  const { read } = victim.replica.cursor();
  const frame = read < 6 ? undefined : s.kit.frameAt(victim, 6);
  if (frame !== undefined && frame.length > 0)
    expect(s.kit.judged(s.kit.clone(s.a), frame)).toMatchObject({
      reasons: [reason],
      waits: true,
      halt: undefined,
    });
}

async function halts(s: Scene, victim: Device, code: string): Promise<void> {
  const before = s.kit.held(victim);
  for (let i = 0; i < 2; i++) expect(await s.kit.sync(victim)).toMatchObject({ kind: "stopped", code });
  expect(s.kit.held(victim)).toEqual(before);
  expect(deriveStatus(victim.engine.facts())).toMatchObject({ code: "halted", exit: 17 });
}

/** The devices that are served the truth are not touched by what one of them is shown. */
async function othersGoOn({ kit, a, b }: Scene): Promise<void> {
  const c = await kit.join("c");
  kit.write(b, "on");
  kit.write(c, "too");
  await kit.converge(b, c);
  expect(kit.notes(b)).toEqual(kit.notes(c));
  expect(kit.notes(b).slice(-2).sort()).toEqual(["on", "too"]);
  expect(kit.held(b)).toEqual(kit.held(c));
  expect(a.replica.quarantined()).toBe(0);
}

/** The remote serves one reader what it serves everybody. */
function showTruth(s: Scene, log: Kit["log"], numbers: readonly number[] = s.kit.log.numbers()): void {
  for (const n of numbers) log.put(n, s.kit.log.bytesAt(n) as Uint8Array);
}

/** One replay, and the reader is where everybody else is. */
async function rebuilt(s: Scene, victim: Device, from: number): Promise<void> {
  const shown = s.kit.remote();
  victim.faults.replaced = () => shown;
  expect(await s.kit.sync(victim)).toMatchObject({ kind: "live" });
  expect(s.kit.events.filter(([name]) => name === "sync.rebuilt")).toMatchObject([
    ["sync.rebuilt", { from }],
  ]);
  await s.kit.converge(s.b, victim);
  expect(s.kit.held(victim)).toEqual(s.kit.held(s.b));
  expect(s.kit.verdicts(victim)).toEqual(s.kit.verdicts(s.b));
  expect(deriveStatus(victim.engine.facts())).toMatchObject({ code: "live" });
}

/** Entry 6 is shown to one reader otherwise: it waits, and the next honest signature shows the fork. */
async function alteredForOne(change: (tail: Uint8Array) => Uint8Array, reason: string): Promise<void> {
  const s = await withTail();
  const { victim, log } = serve(s, (l) =>
    alter(l, 6, ([entry]) => [{ ...(entry as PageEntry), frame: change(s.tail) }]),
  );
  await waits(s, victim, reason);
  s.kit.write(s.b, "b4");
  await s.kit.sync(s.b);
  // With and without the hash before it: the signature alone tells.
  for (const page of [
    s.kit.pageBytes(7, null, [s.kit.frameAt(s.b, 7)]),
    s.kit.log.bytesAt(7) as Uint8Array,
  ]) {
    log.put(7, page);
    await halts(s, victim, "fork");
  }
  await othersGoOn(s);
  // The remote shows the truth again: the halt ends by itself.
  for (const n of s.kit.log.numbers()) log.put(n, s.kit.log.bytesAt(n) as Uint8Array);
  expect(await s.kit.sync(victim)).toMatchObject({ kind: "live" });
  expect(s.kit.held(victim)).toEqual(s.kit.held(s.b));
}

/** Entry 6 is bytes of the attacker's own, for everybody: one void entry after the wait, and the log goes on. */
async function placedForAll(s: Scene, bytes: Uint8Array, reason: string): Promise<void> {
  s.kit.log.put(6, s.kit.pageBytes(6, s.kit.link(s.a, 5).hash, [bytes]));
  await waits(s, s.a, reason);
  s.kit.write(s.a, "after");
  s.a.engine.start();
  s.b.engine.start();
  await s.kit.time.run(130_000);
  expect(s.kit.verdicts(s.a)[5]).toBe(reason);
  for (const device of [s.a, s.b]) expect(s.kit.notes(device)).toEqual(["a1", "b1", "b2", "after"]);
  expect(s.kit.held(s.a)).toEqual(s.kit.held(s.b));
  await othersGoOn(s);
}

describe("suites and formats", () => {
  test("[LOG11, LOG7] K7, H33: a format or suite lowered or raised for one reader is void `suite`, and a fork at the next anchor", async () => {
    for (const [at, to] of [
      [0, 0],
      [0, 2],
      [1, 0],
      [1, 2],
    ] as const)
      await alteredForOne((tail) => tail.with(at, to) as Uint8Array, "suite");
  });

  test("[LOG14] H33, K7: placed for all, such a frame is one void entry and no stop", async () => {
    const s = await scene();
    const frame = s.kit.frame(s.b, { note: "x" });
    await placedForAll(s, frame.with(1, 2) as Uint8Array, "suite");
  });

  test("[LOG11] H34: another kind is void `malformed`, or fails its signature", async () => {
    await alteredForOne((tail) => tail.with(2, 3) as Uint8Array, "malformed");
    await alteredForOne((tail) => tail.with(2, 2) as Uint8Array, "signature");
  });

  test("[LOG14] H35, R12: an unknown record or section, properly signed, is void and stops nobody", async () => {
    const { kit, a, b } = await scene();
    const body = new Writer(64).fixed(kit.link(a, 5).members).v(1).u8(200).bytes(new Uint8Array(3));
    const header = parseFrame(kit.membership(b, [{ record: { type: "rename" } }])) as { header: Uint8Array };
    const unknown = body.bytes(new Uint8Array(16)).done();
    const length = header.header.length;
    // The header ends in the body's length: one byte, as both bodies are short.
    const head = header.header.with(length - 1, unknown.length) as Uint8Array;
    const record = signFrame(suite, a.replica.vault, head, unknown, b.keys.signSecret);
    const section = new Writer(64).u8(0).bytes(new Writer(9).u8(77).bytes(new Uint8Array(2)).done());
    const future = section.fixed(new Uint8Array(paddedLength(section.length) - section.length)).done();
    const judged = kit.judged(
      a,
      record,
      kit.frame(b, { plain: future, deviceSeq: 5 }),
      kit.frame(b, { note: "next", deviceSeq: 6 }),
    );
    expect(judged).toMatchObject({ reasons: ["malformed", "malformed", ""], waits: false, halt: undefined });
  });
});

describe("forged authors", () => {
  test("[LOG11, LOG7] K8, H50: a frame of a device that nobody admitted", async () => {
    const s = await scene();
    const ghost = s.kit.open("ghost", s.a.replica.genesis, s.kit.newKeys());
    const anchor = s.kit.link(s.a, 5).hash;
    const key = suite.random(32);
    await placedForAll(
      s,
      s.kit.frame(ghost, { device: 7, deviceSeq: 1, anchorSeq: 5, anchor, key }),
      "unsigned-device",
    );
  });

  test("[LOG11] H11: a frame in the name of a device whose key the writer does not have", async () => {
    const s = await scene();
    const ghost = s.kit.open("ghost", s.a.replica.genesis, s.kit.newKeys());
    const anchor = s.kit.link(s.a, 5).hash;
    await placedForAll(s, s.kit.frame(ghost, { device: 1, deviceSeq: 4, anchorSeq: 5, anchor }), "signature");
  });

  test("[MEM5, VLT2] K11, H14: a stranger admits himself, with his own person or with none", async () => {
    const s = await scene();
    const keys = s.kit.newKeys();
    const stranger = personKeys(suite, suite.random(32));
    await placedForAll(s, s.kit.admission(s.a, keys, { person: stranger }), "role");
    const again = await scene();
    const certificate = (parseFrame(again.kit.frameAt(again.a, 2)) as { body: Uint8Array }).body.slice(
      40,
      339,
    );
    // A member's certificate in front of the stranger's key.
    await placedForAll(
      again,
      again.kit.admission(again.a, keys, { record: { certificate } }),
      "unsigned-device",
    );
  });

  test("[VLT2] R7: keys of low order are enrolled by nobody, not even by the owner", async () => {
    const { kit, a } = await scene();
    const keys = { ...kit.newKeys(), box: new Uint8Array(32) };
    expect(() => kit.admission(a, keys)).toThrow(RangeError);
  });

  test("[MEM5, LOG12] a stranger's admission claims a fork, an index, or the end of all numbers: it waits like garbage", async () => {
    const s = await scene();
    const stranger = personKeys(suite, suite.random(32));
    const link = { hash: suite.random(32), members: suite.random(32) };
    const over = { person: stranger, link, index: 1, deviceSeq: Number.MAX_SAFE_INTEGER };
    await placedForAll(s, s.kit.admission(s.a, s.kit.newKeys(), over), "role");
  });

  test("[MEM5] H15: an old admission again admits nobody", async () => {
    const { kit, a, b } = await scene();
    const admission = kit.frameAt(a, 2);
    expect(kit.judged(a, admission, kit.frame(b, { note: "x" }))).toMatchObject({
      reasons: ["member-race", ""],
      halt: undefined,
      waits: false,
    });
  });
});

describe("bytes", () => {
  test("[FRM2, LOG7] L1, H01: any byte changed for one reader waits, and applies nothing", async () => {
    const s = await withTail();
    const reasons = new Set<string>();
    for (let at = 0; at < s.tail.length; at++) {
      const judged = s.kit.judged(s.a, flipped(s.tail, at, 1 << (at % 8)));
      expect(judged, `byte ${at}`).toMatchObject({ waits: true, halt: undefined });
      reasons.add(judged.reasons[0] ?? "none");
    }
    expect([...reasons].sort()).toEqual(["malformed", "signature", "suite", "unsigned-device"]);
    await alteredForOne((tail) => flipped(tail, tail.length - 1), "signature");
    await alteredForOne((tail) => flipped(tail, 100), "signature");
  });

  test("[FRM1] H06: a frame cut short or made longer", async () => {
    await alteredForOne((tail) => tail.slice(0, -1), "malformed");
    await alteredForOne((tail) => concat(tail, new Uint8Array(1)), "malformed");
  });

  test("[FRM4] R9: a bomb and a length of 2^31, signed by a member, are void `limit` before anything is inflated", async () => {
    const outputs: number[] = [];
    const watched: Suite = {
      ...suite,
      inflate: (raw, length) => {
        outputs.push(length);
        return suite.inflate(raw, length);
      },
    };
    const { kit, a, b } = await scene(watched);
    const bomb = suite.deflate(new Uint8Array(8 << 20));
    for (const claimed of [8 << 20, 2 ** 31, Number.MAX_SAFE_INTEGER]) {
      const w = new Writer(bomb.length + 64).u8(1).v(claimed).bytes(bomb);
      const plain = w.fixed(new Uint8Array(paddedLength(w.length) - w.length)).done();
      expect(kit.judged(a, kit.frame(b, { plain }), kit.frame(b, { deviceSeq: 5 }))).toMatchObject({
        reasons: ["limit", ""],
        halt: undefined,
      });
    }
    expect(Math.max(0, ...outputs)).toBeLessThanOrEqual(limits.inflated);
  });
});

describe("order", () => {
  test("[LOG6] L2, H02: a number left out is `chain-broken`", async () => {
    const s = await withTail();
    s.kit.write(s.b, "b4");
    await s.kit.sync(s.b);
    const { victim, log } = serve(s, (l) => l.drop(6));
    await halts(s, victim, "chain-broken");
    log.put(6, s.kit.log.bytesAt(6) as Uint8Array);
    expect(await s.kit.sync(victim)).toMatchObject({ kind: "live", head: 7 });
    await othersGoOn(s);
  });

  test("[LOG6, REM13] L14, H49: one file at a very high number stops nobody; a page of somebody there is a gap", async () => {
    const s = await scene();
    s.kit.log.put(999_999, Uint8Array.of(1, 2, 3));
    await othersGoOn(s);
    await s.kit.converge(s.a);
    expect(deriveStatus(s.a.engine.facts())).toMatchObject({ code: "live" });
    expect(s.kit.notes(s.a)).toEqual(s.kit.notes(s.b));
    // Whoever signed it: a device that cannot know its author must not write into the gap.
    const { applied } = s.a.replica.cursor();
    s.kit.log.put(applied + 2, s.kit.pageBytes(applied + 2, null, [suite.random(300)]));
    s.kit.write(s.a, "not into the gap");
    await halts(s, s.a, "chain-broken");
    s.kit.log.drop(applied + 2);
    expect(await s.kit.sync(s.a)).toMatchObject({ kind: "live" });
  });

  test("[LOG9, LOG12] L2, H02: a frame left out and the gap closed is void `device-seq`, then a fork", async () => {
    const s = await scene();
    s.kit.write(s.b, "b3");
    s.kit.write(s.b, "b4");
    await s.kit.sync(s.b);
    s.kit.write(s.b, "b5");
    s.kit.write(s.b, "b6");
    await s.kit.sync(s.b);
    // Of the four frames 6 to 9 the first is hidden, and the rest move up.
    const { victim } = serve(s, (l) => {
      alter(l, 6, (entries) => entries.slice(1));
      l.drop(8);
      l.put(7, s.kit.pageBytes(7, null, [s.kit.frameAt(s.b, 8), s.kit.frameAt(s.b, 9)]));
    });
    const before = s.kit.notes(victim);
    expect(await s.kit.sync(victim)).toMatchObject({ kind: "stopped", code: "fork" });
    expect(s.kit.verdicts(victim).slice(5)).toEqual(["device-seq", "anchor", undefined]);
    expect(s.kit.notes(victim)).toEqual(before);
    await othersGoOn(s);
  });

  test("[LOG1, LOG12, LOG18] L3, L13, H04: two frames in another order for one reader are a fork at the next anchor, until the remote shows the order that was signed", async () => {
    const s = await scene();
    const c = await s.kit.join("c");
    await s.kit.converge(s.a, s.b, c);
    // Written at once, so that neither is anchored past the other.
    s.kit.write(s.b, "b3");
    s.kit.write(c, "c1");
    for (const device of [s.b, c]) device.replica.nextBatch(new Set());
    await s.kit.converge(s.b, c);
    s.kit.write(s.b, "b4");
    await s.kit.sync(s.b);
    const [first, second] = [s.kit.entries.at(-3), s.kit.entries.at(-2)];
    const { victim, log } = serve(s, (l) => {
      l.put(7, s.kit.pageBytes(7, null, [second?.frame as Uint8Array], second?.time));
      l.put(8, s.kit.pageBytes(8, null, [first?.frame as Uint8Array], first?.time));
      l.drop(9);
    });
    expect(await s.kit.sync(victim)).toMatchObject({ kind: "live", head: 8 });
    showTruth(s, log, [9]);
    await halts(s, victim, "fork");
    expect(s.kit.notes(victim)).not.toContain("b4");
    await othersGoOn(s);
    showTruth(s, log);
    await rebuilt(s, victim, 7);
  });

  test("[LOG9] L4, H05, H12: frames again later, own ones too, are void `replay` and change nothing", async () => {
    const s = await scene();
    const { kit, a, b } = s;
    const before = kit.held(a);
    const again = [3, 4, 5].map((n) => kit.frameAt(a, n));
    kit.log.put(6, kit.pageBytes(6, kit.link(a, 5).hash, again));
    await kit.converge(a, b);
    expect(kit.verdicts(a).slice(5)).toEqual(["replay", "replay", "replay"]);
    expect(kit.held(a)).toEqual(before);
    expect(a.replica.cursor().applied).toBe(8);
    await othersGoOn(s);
  });

  test("[FRM2] L5, H10: frames of another vault are nobody's", async () => {
    const s = await scene();
    const other = new Kit({ suite });
    const x = await other.found();
    other.write(x, "theirs");
    await other.sync(x);
    await placedForAll(s, other.frameAt(x, 2), "signature");
    const again = await scene();
    await placedForAll(again, other.frameAt(x, 1), "signature");
  });

  test("[LOG12, LOG18] L12: two histories shown in turn", async () => {
    const s = await withTail();
    const other = s.kit.copyLog();
    other.drop(6);
    // Entry 6 of the other history: a's own note, placed there while b's is hidden.
    const { victim } = { victim: s.kit.restart(s.a, other) };
    s.kit.write(victim, "a2");
    expect(await s.kit.sync(victim)).toMatchObject({ kind: "live", head: 6 });
    const show = (log: Kit["log"]): ReturnType<Kit["sync"]> => {
      const shown = s.kit.remote(log);
      victim.faults.replaced = () => shown;
      return s.kit.sync(victim);
    };
    s.kit.write(s.b, "b4");
    await s.kit.sync(s.b);
    // Nobody but this device has signed its end, and b has signed his: from then on there is no way back.
    expect(await show(s.kit.log)).toMatchObject({ kind: "live", head: 8 });
    expect(s.kit.notes(victim).slice(3)).toEqual(["b3", "b4", "a2"]);
    const before = s.kit.held(victim);
    for (let i = 0; i < 2; i++) {
      expect(await show(other)).toMatchObject({ code: "rollback" });
      expect(s.kit.held(victim)).toEqual(before);
      expect(await show(s.kit.log)).toMatchObject({ kind: "live" });
    }
    await othersGoOn(s);
  });

  test("[LOG12] L7, H09: two devices on two histories see the fork as soon as one frame crosses over", async () => {
    const s = await scene();
    const other = s.kit.copyLog();
    const victim = s.kit.restart(s.a, other);
    s.kit.write(victim, "a2");
    s.kit.write(s.b, "b3");
    await s.kit.converge(victim, s.b);
    s.kit.write(victim, "a3");
    s.kit.write(s.b, "b4");
    await s.kit.converge(victim, s.b);
    expect(s.kit.notes(victim)).not.toEqual(s.kit.notes(s.b));
    // Each is shown the other's newest frame.
    for (const [log, reader, frame] of [
      [other, victim, s.kit.frameAt(s.b, 7)],
      [s.kit.log, s.b, s.kit.frameAt(victim, 7)],
    ] as const) {
      log.put(8, s.kit.pageBytes(8, null, [frame]));
      await halts(s, reader, "fork");
      // And inside an object that joins nothing, which is no entry.
      log.put(8, s.kit.pageBytes(8, suite.random(32), [suite.random(50), frame]));
      await halts(s, reader, "fork");
      log.drop(8);
      expect(await s.kit.sync(reader)).toMatchObject({ kind: "live" });
    }
  });
});

describe("times", () => {
  test("[LOG1, LOG12] L13, H13: another receive time for one reader is a fork at the next anchor", async () => {
    const s = await withTail();
    s.kit.write(s.b, "b4");
    await s.kit.sync(s.b);
    const { victim } = serve(s, (l) => alter(l, 6, ([entry]) => [{ ...(entry as PageEntry), time: 5 }]));
    expect(await s.kit.sync(victim)).toMatchObject({ kind: "stopped", code: "fork" });
    expect(s.kit.notes(victim)).not.toContain("b4");
    await othersGoOn(s);
  });

  test("[LOG18] L13: an unsigned end that was retimed for one reader is replaced as soon as the remote shows what others signed", async () => {
    const s = await withTail();
    const { victim, log } = serve(s, (l) => alter(l, 6, ([entry]) => [{ ...(entry as PageEntry), time: 5 }]));
    // Nothing tells the two ends apart yet.
    expect(await s.kit.sync(victim)).toMatchObject({ kind: "live", head: 6 });
    s.kit.write(s.b, "b4");
    await s.kit.sync(s.b);
    showTruth(s, log, [7]);
    await halts(s, victim, "fork");
    s.kit.write(victim, "meanwhile");
    showTruth(s, log);
    await rebuilt(s, victim, 6);
    expect(s.kit.heldNotes(victim)).toEqual([]);
    expect(s.kit.notes(victim)).toEqual(["a1", "b1", "b2", "b3", "b4", "meanwhile"]);
  });

  test("[LOG18, ENG15] L13: an end that was dropped for one reader is restored, and what was confirmed in its place is sent again", async () => {
    const s = await withTail();
    const { victim } = serve(s, (l) => l.drop(6));
    const run = s.kit.write(victim, "a2");
    expect(await s.kit.sync(victim)).toMatchObject({ kind: "live", head: 6 });
    expect(await victim.engine.verdict(run)).toEqual({ kind: "accepted", seq: 6 });
    s.kit.write(s.b, "b4");
    await s.kit.sync(s.b);
    const shown = s.kit.remote();
    victim.faults.replaced = () => shown;
    expect(await s.kit.sync(victim)).toMatchObject({ kind: "live", head: 8 });
    expect(await victim.engine.verdict(run)).toEqual({ kind: "accepted", seq: 8 });
    await s.kit.converge(s.b);
    expect(s.kit.notes(victim)).toEqual(["a1", "b1", "b2", "b3", "b4", "a2"]);
    expect(s.kit.held(victim)).toEqual(s.kit.held(s.b));
    await othersGoOn(s);
  });

  test("[LOG18] L13: what others have signed is never given up, whatever the remote shows in its place", async () => {
    const s = await scene();
    const other = s.kit.copyLog();
    const c = await s.kit.join("c", other);
    const victim = s.kit.restart(s.a, other);
    s.kit.write(c, "c1");
    await s.kit.converge(c, victim);
    s.kit.write(s.b, "b3");
    s.kit.write(s.b, "b4");
    await s.kit.sync(s.b);
    s.kit.write(s.b, "b5");
    await s.kit.sync(s.b);
    const shown = s.kit.remote();
    victim.faults.replaced = () => shown;
    // c's admission and his note are in one end, b's three notes in the other.
    await halts(s, victim, "fork");
    expect(s.kit.notes(victim)).toEqual(["a1", "b1", "b2", "c1"]);
    await othersGoOn(s);
  });

  test("[LOG5] L15, H13: a receive time of 2106, of 1970 or of the end of its range moves log time by a day at most", async () => {
    for (const time of [4_294_967_295_000, 0, 2 ** 48 - 1]) {
      const s = await scene();
      const { kit, a, b } = s;
      const frame = kit.frame(b, { note: "late" });
      const before = a.replica.cursor().time;
      kit.log.put(6, kit.pageBytes(6, kit.link(a, 5).hash, [frame], time));
      const c = kit.clone(a);
      await kit.sync(c);
      const after = c.replica.cursor().time;
      expect(after).toBeGreaterThanOrEqual(before);
      expect(after - before).toBeLessThanOrEqual(86_400_000);
      // Later entries still have times of their own, not before it.
      kit.time.offset += 2 * 86_400_000;
      const now = kit.time.now();
      const later = kit.frame(b, { note: "later", deviceSeq: 5 });
      kit.log.put(7, kit.pageBytes(7, null, [later], now));
      await kit.sync(c);
      expect(c.replica.cursor().time).toBe(now);
      expect(kit.notes(c)).toHaveLength(5);
    }
  });
});

describe("shorter logs", () => {
  test("[LOG6] L6, H07: a log that goes back behind what was applied is a rollback, whatever it shows instead", async () => {
    const s = await scene();
    const { victim, log } = serve(s, (l) => l.rollBack(3));
    await halts(s, victim, "rollback");
    log.rollBack(0);
    await halts(s, victim, "rollback");
    for (const n of s.kit.log.numbers()) log.put(n, s.kit.log.bytesAt(n) as Uint8Array);
    expect(await s.kit.sync(victim)).toMatchObject({ kind: "live", head: 5 });
    // Shorter, and then another history of the same length.
    log.rollBack(4);
    log.put(5, s.kit.pageBytes(5, null, [s.kit.frame(s.b, { note: "other", anchorSeq: 4 })]));
    log.put(6, s.kit.pageBytes(6, null, [s.kit.frame(s.b, { note: "other", anchorSeq: 4, deviceSeq: 9 })]));
    await s.kit.sync(victim);
    expect(s.kit.notes(victim)).toEqual(["a1", "b1", "b2"]);
    await othersGoOn(s);
  });

  test("[STA2] L9, H08: a frozen log never halts, and green says only that the remote was looked at", async () => {
    const s = await withTail();
    const { victim } = serve(s, (l) => l.drop(6));
    expect(await s.kit.sync(victim)).toMatchObject({ kind: "live", head: 5 });
    expect(victim.engine.facts()).toMatchObject({ behind: 0, halt: undefined });
    await othersGoOn(s);
  });

  test("[LOG15, ENG3] H45: acknowledged and thrown away is a rollback, and the edit is still here", async () => {
    const s = await scene();
    const { kit, a } = s;
    a.faults.replaced = () => ({ append: async (_, seen) => ({ kind: "committed", first: seen.seq + 1 }) });
    kit.write(a, "mine");
    await halts(s, a, "rollback");
    expect(kit.heldNotes(a)).toEqual(["mine"]);
    a.faults.replaced = () => ({});
    const again = kit.restart(a);
    expect(await kit.sync(again)).toMatchObject({ kind: "live", head: 6 });
    expect(kit.notes(again)).toEqual(["a1", "b1", "b2", "mine"]);
    await othersGoOn({ ...s, a: again });
  });

  test("[LOG15, ENG3] H46: acknowledged at a number where another's frame stands is a fork, and the edit is still here", async () => {
    const s = await withTail();
    const { kit, a } = s;
    await kit.sync(a);
    a.faults.replaced = () => ({ append: async () => ({ kind: "committed", first: 6 }) });
    kit.write(a, "mine");
    const before = kit.held(a);
    expect(await kit.sync(a)).toMatchObject({ kind: "stopped", code: "fork" });
    expect(kit.held(a)).toEqual(before);
    expect(kit.heldNotes(a)).toEqual(["mine"]);
    await othersGoOn(s);
  });

  test("[LOG15] H45: acknowledged, and garbage put in its place", async () => {
    const s = await scene();
    const { kit, a } = s;
    a.faults.replaced = () => ({
      append: async (_, seen) => {
        kit.log.put(seen.seq + 1, Uint8Array.of(1));
        return { kind: "committed", first: seen.seq + 1 };
      },
    });
    kit.write(a, "mine");
    a.engine.start();
    await kit.time.run(70_000);
    expect(a.engine.facts().halt).toBe("fork");
    expect(kit.heldNotes(a)).toEqual(["mine"]);
  });
});

describe("garbage at a number", () => {
  test("[LOG4, LOG7] L14, H49, M-40: bytes that are no page, another number, another previous hash: one void entry each", async () => {
    const garbage: readonly ((s: Scene) => Uint8Array)[] = [
      () => Uint8Array.of(0),
      () => suite.random(5000),
      (s) => s.kit.log.bytesAt(4) as Uint8Array,
      (s) => s.kit.pageBytes(7, s.kit.link(s.a, 5).hash, [s.kit.frame(s.b, { note: "x" })]),
      (s) => s.kit.pageBytes(6, suite.random(32), [s.kit.frame(s.b, { note: "x" })]),
      (s) =>
        s.kit.pageBytes(
          6,
          suite.random(32),
          [1, 2, 3].map((n) => s.kit.frameAt(s.a, n)),
        ),
      (s) => (s.kit.pageBytes(6, s.kit.link(s.a, 5).hash, [s.kit.frame(s.b, {})]) as Uint8Array).slice(0, -1),
    ];
    for (const make of garbage) {
      const s = await scene();
      const { kit, a, b } = s;
      kit.log.put(6, make(s));
      await waits(s, a, "malformed");
      kit.write(a, "after");
      a.engine.start();
      b.engine.start();
      await kit.time.run(130_000);
      expect(kit.verdicts(a)[5]).toBe("malformed");
      expect(kit.notes(a)).toEqual(["a1", "b1", "b2", "after"]);
      expect(kit.held(a)).toEqual(kit.held(b));
      await othersGoOn(s);
    }
  });
});

describe("members at fault", () => {
  test("[LOG9, LOG15] R8: two frames under one device seq: the first counts, the second is void `op-reused`, their device stops", async () => {
    const { kit, a, b } = await scene();
    const copy = kit.clone(b);
    kit.write(b, "first");
    await kit.sync(b);
    const second = kit.frame(copy, { note: "second", deviceSeq: 4, anchorSeq: 5 });
    kit.log.put(7, kit.pageBytes(7, null, [second]));
    await kit.sync(a);
    expect(kit.verdicts(a).slice(5)).toEqual(["", "op-reused"]);
    expect(kit.notes(a)).toEqual(["a1", "b1", "b2", "first"]);
    expect(await kit.sync(copy)).toMatchObject({ kind: "stopped", code: "op-reused" });
    expect(kit.notes(copy)).toEqual(["a1", "b1", "b2"]);
  });

  test("[LOG10] R14: a run left open applies nothing, holds nobody up, and falls", async () => {
    const { kit, a, b } = await scene();
    const open = kit.frame(b, { note: "open", flags: frameFlags.more });
    const closing = kit.frame(b, { note: "close", flags: frameFlags.continues, deviceSeq: 5 });
    kit.log.put(6, kit.pageBytes(6, kit.link(a, 5).hash, [open]));
    kit.write(a, "a2");
    await kit.sync(a);
    expect(kit.notes(a)).toEqual(["a1", "b1", "b2", "a2"]);
    kit.time.offset += 31 * 86_400_000;
    kit.write(a, "a3");
    await kit.sync(a);
    kit.log.put(9, kit.pageBytes(9, null, [closing], kit.time.now()));
    await kit.sync(a);
    expect(kit.verdicts(a).slice(5)).toEqual(["run", "", "", "run"]);
    expect(kit.notes(a)).toEqual(["a1", "b1", "b2", "a2", "a3"]);
  });
});

describe("joining", () => {
  const joining = (kit: Kit, log: Kit["log"]): Promise<unknown> =>
    kit.join("c", log).then(
      () => "joined",
      (error: { readonly code: string }) => error.code,
    );

  test("[VLT1, VLT7] a foreign genesis, a changed one and none", async () => {
    const s = await scene();
    const other = new Kit({ suite });
    const x = await other.found();
    const cases: [Uint8Array | undefined, string][] = [
      [x.replica.genesis.bytes, "key-mismatch"],
      [flipped(s.a.replica.genesis.bytes, 10), "remote-corrupt"],
      [undefined, "not-found"],
    ];
    for (const [genesis, code] of cases) {
      const log = s.kit.copyLog();
      log.genesis = genesis;
      expect(await joining(s.kit, log)).toBe(code);
      expect(log.head()).toBe(5);
    }
    // A vault of the remote's own making, with our words' public keys in it: its device is certified by nobody.
    const forged = s.kit.copyLog();
    const device = s.kit.newKeys();
    const fake: SecretKeys = { ...s.kit.person, signSecret: device.signSecret };
    expect(() => makeGenesis(suite, s.kit.clock, fake, device)).toThrow(RangeError);
    expect(await joining(s.kit, forged)).toBe("joined");
    await othersGoOn(s);
  });

  test("[VLT5, VLT6] K9, K10, H19: the envelope pack swapped for another is `blob-damaged`", async () => {
    const s = await scene();
    const other = new Kit({ suite });
    await other.found();
    const [[id, pack]] = [...s.kit.log.blobs] as [[string, Uint8Array]];
    for (const bytes of [
      [...other.log.blobs.values()][0] as Uint8Array,
      flipped(pack, 50),
      new Uint8Array(0),
    ]) {
      const log = s.kit.copyLog();
      log.blobs.set(id, bytes);
      expect(await joining(s.kit, log)).toBe("blob-damaged");
      expect(log.head()).toBe(5);
    }
  });

  test("[VLT4, VLT5] K3, K9, K10, H18, H20, H21: envelopes that a founder made wrong are `key-mismatch`", async () => {
    const wrong: readonly ((
      key: Uint8Array,
      vault: Uint8Array,
      to: Parameters<typeof sealEnvelope>[4],
    ) => Uint8Array)[] = [
      (key, vault, to) => sealEnvelope(suite, key, vault, 2, to),
      (key, _, to) => sealEnvelope(suite, key, new Uint8Array(32), 1, to),
      (key, vault, to) => sealEnvelope(suite, key, vault, 1, { ...to, kind: "device" }),
      (_, vault, to) => sealEnvelope(suite, suite.random(32), vault, 1, to),
      (key, _, to) => suite.sealTo(to.box, concat(suite.random(32), key)),
      () => suite.random(112),
    ];
    for (const make of wrong) {
      const kit = new Kit({ suite });
      const log = kit.copyLog();
      const keys = kit.newKeys();
      const genesis = makeGenesis(suite, kit.clock, kit.person, keys);
      const { vault } = genesis;
      const founder = kit.open("f", genesis, keys, { log });
      const key = suite.random(32);
      const id = personId(suite, genesis.owner.sign, genesis.owner.box);
      const person = { kind: "person", id, box: genesis.owner.box } as const;
      const pack = encodeEnvelopePack(suite, [suite.random(112), make(key, vault, person)]);
      founder.replica.write((tx) => {
        beginReplica(founder.replica, tx, false);
        founder.replica.spool(tx, pack.id, pack.bytes);
        const epoch: MembershipRecord = {
          type: "epoch",
          n: 1,
          commit: commitment(suite, key, vault, 1),
          envelopes: 2,
          list: pack.id,
        };
        const frame: Sealed = sealMembership(suite, vault, {
          author: { keys, id: founder.replica.ownId, index: 0, deviceSeq: 1 },
          at: { seq: 0, link: genesisLink(vault), now: kit.time.now() },
          epoch: { n: 1, key },
          records: [
            { record: epoch, hidden: undefined },
            { record: { type: "rename" }, hidden: encodeName("f") },
          ],
        });
        founder.replica.submitSealed(tx, frame, 1);
      });
      await kit.sync(founder);
      expect(log.head()).toBe(1);
      expect(await joining(kit, log)).toBe("key-mismatch");
      expect(log.head()).toBe(1);
    }
  });

  test("[VLT6] K12: envelopes withheld: the join waits for them, and every verdict is as it was", async () => {
    const s = await scene();
    const log = s.kit.copyLog();
    log.blobs.clear();
    expect(await joining(s.kit, log)).toBe("key-missing");
    expect(log.head()).toBe(5);
    const victim = s.kit.restart(s.a, log);
    expect(await s.kit.sync(victim)).toMatchObject({ kind: "live" });
    expect(s.kit.held(victim)).toEqual(s.kit.held(s.b));
    await othersGoOn(s);
  });

  test("[LOG12, LOG6] a newcomer is shown a log that does not join: it does not join either", async () => {
    const s = await scene();
    const dropped = s.kit.copyLog();
    dropped.drop(3);
    expect(await joining(s.kit, dropped)).toBe("chain-broken");
    const cut = s.kit.copyLog();
    cut.drop(1);
    expect(["chain-broken", "key-missing"]).toContain(await joining(s.kit, cut));
    const retimed = s.kit.copyLog();
    retimed.alter(1, ([entry]) => [{ ...(entry as PageEntry), time: 7 }]);
    expect(await joining(s.kit, retimed)).toBe("fork");
    for (const log of [dropped, cut, retimed]) expect(log.head()).toBe(5);
    await othersGoOn(s);
  });
});
