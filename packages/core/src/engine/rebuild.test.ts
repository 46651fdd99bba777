/**
 * What a device keeps and gives up when an end of the log that it applied turns out to be another
 * one for everybody else: it comes out as if it had never seen the first.
 */
import { describe, expect, test } from "vitest";
import { type Device, hex, Kit, traps } from "../../../testkit/src/vault-kit.ts";
import { createPortableSuite } from "../crypto/sodium-portable.ts";
import { frameFlags, parseFrame } from "../log/frame.ts";
import { encodePage, type PageEntry } from "../log/page.ts";
import type { Remote } from "../ports.ts";
import { runs } from "./outbox.ts";
import type { EnginePoint } from "./points.ts";
import { pull } from "./pull.ts";
import { engineSpaces } from "./replica.ts";
import { recomputeDigest, verifyChain } from "./verify.ts";

const suite = await createPortableSuite();

interface Scene {
  readonly kit: Kit;
  /** Is lied to, through a storage of its own. */
  readonly a: Device;
  readonly b: Device;
  readonly lie: Kit["log"];
}

/** Two devices at seq 5; from now on a reads `lie`. */
async function scene(point?: (name: EnginePoint) => void): Promise<Scene> {
  const kit = new Kit(point === undefined ? { suite } : { suite, point });
  const first = await kit.found("a");
  const b = await kit.join("b");
  kit.write(first, "a1");
  await kit.converge(first, b);
  kit.write(b, "b1");
  kit.write(b, "b2");
  await kit.converge(b, first);
  const lie = kit.copyLog();
  return { kit, a: kit.restart(first, lie), b, lie };
}

const retimed = ([entry]: readonly PageEntry[]): readonly PageEntry[] => [
  { ...(entry as PageEntry), time: 5 },
];

/** One note of b at 6, which a has read with another time, and one at 7, which signs it. */
async function deceived(point?: (name: EnginePoint) => void): Promise<Scene> {
  const s = await scene(point);
  const { kit, a, b, lie } = s;
  kit.write(b, "b3");
  await kit.sync(b);
  lie.put(6, kit.log.bytesAt(6) as Uint8Array);
  lie.alter(6, retimed);
  expect(await kit.sync(a)).toMatchObject({ kind: "live", head: 6 });
  kit.write(b, "b4");
  await kit.sync(b);
  return s;
}

/** From now on the truth. */
function truth({ kit, a }: Scene): ReturnType<Kit["sync"]> {
  const shown = kit.remote();
  a.faults.replaced = () => shown;
  return kit.sync(a);
}

async function sameAsB({ kit, a, b }: Scene): Promise<void> {
  await kit.converge(b, a);
  expect(kit.held(a)).toEqual(kit.held(b));
  expect(kit.verdicts(a)).toEqual(kit.verdicts(b));
  expect(kit.heldNotes(a)).toEqual([]);
  expect(a.replica.read((tx) => verifyChain(tx, suite, a.replica.vault))).toBeUndefined();
  const { membership } = a.replica;
  const spaces = [...engineSpaces, ...membership.spaces, ...kit.kinds.flatMap((kind) => kind.spaces)];
  expect(recomputeDigest(a.store, suite, spaces)).toBe(a.replica.digest());
  const c = await kit.join("fresh");
  await kit.converge(c, a);
  expect(kit.held(c)).toEqual(kit.held(a));
}

/** Every row of every space. */
function contents({ kit, a }: Scene): readonly string[] {
  return kit.spaces.flatMap((space) =>
    a.store
      .scan(space, new Uint8Array(0), undefined)
      .map(([key, value]) => `${space} ${hex(key)} ${hex(value)}`),
  );
}

describe("what is given up, and what is not", () => {
  test("[LOG18, ENG14] state, verdicts and digest are those of a device that never saw the other end", async () => {
    const s = await deceived();
    expect(await truth(s)).toMatchObject({ kind: "live", head: 7 });
    await sameAsB(s);
  });

  test("[LOG18] an end that nobody else has signed changes nothing: neither may a remote's word", async () => {
    const s = await scene();
    const { kit, a, b, lie } = s;
    kit.write(b, "b3");
    await kit.sync(b);
    lie.put(6, kit.log.bytesAt(6) as Uint8Array);
    lie.alter(6, retimed);
    await kit.sync(a);
    const before = kit.held(a);
    expect(await truth(s)).toMatchObject({ kind: "live", head: 6 });
    expect(await kit.time.until(a.replica.readAgain(kit.remote()))).toEqual({ kind: "none" });
    expect(kit.held(a)).toEqual(before);
  });

  test("[LOG18] an entry of others that is missing from the other end keeps the halt", async () => {
    const s = await scene();
    const { kit, a, b, lie } = s;
    const c = await kit.join("c");
    await kit.converge(b, c);
    lie.put(6, kit.log.bytesAt(6) as Uint8Array);
    // c's note is shown to a alone, and b's two to everybody.
    const frame = kit.frame(c, { note: "c1", deviceSeq: 2 });
    lie.put(7, kit.pageBytes(7, null, [frame]));
    expect(await kit.sync(a)).toMatchObject({ kind: "live", head: 7 });
    for (const note of ["b3", "b4"]) {
      kit.write(b, note);
      await kit.sync(b);
    }
    expect(await truth(s)).toMatchObject({ code: "fork" });
    expect(kit.notes(a)).toEqual(["a1", "b1", "b2", "c1"]);
    // It comes after all: then nothing is missing any more.
    kit.place(b, frame);
    await kit.sync(b);
    kit.write(b, "b5");
    await kit.sync(b);
    expect(await truth(s)).toMatchObject({ kind: "live" });
    await sameAsB(s);
  });

  test("[LOG18, LOG6] a shorter log is looked at as well, and stays a rollback where it is only shorter", async () => {
    const s = await scene();
    const { kit, a, b } = s;
    for (const note of ["a2", "a3", "a4"]) {
      kit.write(a, note);
      await kit.sync(a);
    }
    expect(a.replica.cursor().applied).toBe(8);
    expect(await truth(s)).toMatchObject({ code: "rollback" });
    // b's two are as many as nobody would notice: 7 of them in all, against 8.
    kit.write(b, "b3");
    await kit.sync(b);
    expect(await truth(s)).toMatchObject({ code: "rollback" });
    kit.write(b, "b4");
    await kit.sync(b);
    expect(await truth(s)).toMatchObject({ kind: "live" });
    expect(kit.notes(a)).toEqual(["a1", "b1", "b2", "b3", "b4", "a2", "a3", "a4"]);
    await sameAsB(s);
  });

  test("[LOG18, LOG6] own entries that only wait there give way as well, however many they are", async () => {
    const s = await scene();
    const { kit, a, b, lie } = s;
    for (const note of ["a2", "a3", "a4"]) kit.write(a, note);
    const frames = a.replica.nextBatch(new Set()).map(({ frame }) => frame);
    for (const [i, frame] of frames.entries()) lie.put(6 + i, kit.pageBytes(6 + i, null, [frame]));
    // Its power goes after it has read them, before it has applied any.
    expect(await kit.time.until(pull(a.replica, kit.remote(lie)))).toMatchObject({ kind: "ok", fresh: 3 });
    for (const note of ["b3", "b4"]) {
      kit.write(b, note);
      await kit.sync(b);
    }
    expect(a.replica.cursor()).toMatchObject({ read: 8, applied: 5 });
    expect(await truth(s)).toMatchObject({ kind: "live" });
    expect(kit.notes(a)).toEqual(["a1", "b1", "b2", "b3", "b4", "a2", "a3", "a4"]);
    await sameAsB(s);
  });

  test("[LOG18, ENG7] an answer that comes after it has gone over says nothing any more", async () => {
    const s = await deceived();
    const { kit, a, b } = s;
    const shown = kit.remote();
    const late: (() => void)[] = [];
    let reads = 0;
    a.faults.replaced = (honest) => ({
      ...shown,
      // The second read of all looks for another history; it hangs.
      read: (after, want) =>
        ++reads === 2
          ? new Promise((resolve) => late.push(() => resolve({ kind: "unreachable", why: "gone" })))
          : shown.read(after, want),
      close: honest.close,
    });
    void a.engine.syncNow();
    await kit.time.run(1_000);
    expect([reads, late.length]).toEqual([2, 1]);
    a.engine.pause();
    a.engine.resume();
    await kit.time.run(10_000);
    expect(a.engine.facts()).toMatchObject({ halt: undefined, behind: 0 });
    expect(a.replica.cursor().applied).toBe(7);
    late[0]?.();
    await kit.time.run(1);
    expect(a.engine.facts().halt).toBeUndefined();
    await sameAsB({ ...s, b });
  });

  test("[LOG18] a device that wrote upon its own end stops the others, until what it wrote there is taken away", async () => {
    const s = await scene();
    const { kit, a, b, lie } = s;
    kit.write(b, "b3");
    await kit.sync(b);
    lie.put(6, kit.log.bytesAt(6) as Uint8Array);
    lie.alter(6, retimed);
    await kit.sync(a);
    kit.write(a, "a2");
    await truth(s);
    // Its signature is over a history that nobody else has.
    kit.write(b, "b4");
    expect(await kit.sync(b)).toMatchObject({ code: "fork" });
    const { applied } = b.replica.cursor();
    kit.log.rollBack(applied);
    expect(await kit.sync(b)).toMatchObject({ kind: "live", head: 7 });
    kit.write(b, "b5");
    await kit.sync(b);
    expect(await truth(s)).toMatchObject({ kind: "live" });
    expect(kit.notes(a)).toEqual(["a1", "b1", "b2", "b3", "b4", "b5", "a2"]);
    await sameAsB(s);
  });

  test("[ENG14, VLT4] an epoch that began in the end that gave way has its key, and a membership of ours is never given up", async () => {
    const s = await scene();
    const { kit, a, b, lie } = s;
    b.engine.write((tx) => b.replica.submitAct(tx, { kind: "rotate", after: 1 }));
    await kit.sync(b);
    for (const [id, bytes] of kit.log.blobs) lie.blobs.set(id, bytes);
    lie.put(6, kit.log.bytesAt(6) as Uint8Array);
    lie.alter(6, retimed);
    kit.write(a, "a2");
    expect(await kit.sync(a)).toMatchObject({ kind: "live", head: 7 });
    expect(a.replica.read((tx) => a.replica.membership.newestEpoch(tx))?.n).toBe(2);
    for (const note of ["b3", "b4"]) {
      kit.write(b, note);
      await kit.sync(b);
    }
    expect(await truth(s)).toMatchObject({ kind: "live", head: 9 });
    expect(kit.notes(a)).toEqual(["a1", "b1", "b2", "b3", "b4", "a2"]);
    await sameAsB(s);
    // Its own name, said where nobody else saw it, was made for that place.
    const other = kit.copyLog();
    for (const [id, bytes] of kit.log.blobs) other.blobs.set(id, bytes);
    a.faults.replaced = () => kit.remote(other);
    a.engine.write((tx) => a.replica.submitAct(tx, { kind: "rename", name: "renamed" }));
    expect(await kit.sync(a)).toMatchObject({ kind: "live" });
    for (const note of ["b5", "b6"]) {
      kit.write(b, note);
      await kit.sync(b);
    }
    expect(await truth(s)).toMatchObject({ code: "fork" });
  });

  test("[LOG18, ENG12] another end without end is not read beyond 64 MiB", async () => {
    const { kit, a } = await scene();
    const frame = new Uint8Array(1 << 20);
    const hash = new Uint8Array(32);
    let reads = 0;
    const endless: Remote = {
      ...kit.remote(),
      read: async (after) => {
        reads++;
        const object = {
          kind: "page" as const,
          first: after + 1,
          prev: null,
          entries: [{ time: 1, frame }],
          hash,
        };
        return { kind: "ok", value: { objects: [object], head: 1e9 } };
      },
    };
    expect(await kit.time.until(a.replica.readAgain(endless))).toEqual({ kind: "none" });
    expect(reads).toBeLessThan(70);
  });

  test("[LOG18] objects that were cut otherwise are read from the beginning", async () => {
    const s = await deceived();
    const { kit } = s;
    const entries = kit.entries as readonly PageEntry[];
    const cut = (first: number, last: number): void =>
      kit.log.put(first, encodePage({ first, prev: null, entries: entries.slice(first - 1, last) }));
    // What b has signed ends at 5, now amid an object.
    cut(4, 4);
    cut(5, 6);
    kit.log.drop(6);
    expect(await truth(s)).toMatchObject({ kind: "live", head: 7 });
    await sameAsB(s);
  });
});

describe("own edits", () => {
  test("[ENG15] what waits goes on waiting, and what was sealed for the other end is sealed anew", async () => {
    const s = await deceived();
    const { kit, a } = s;
    const run = kit.write(a, "mine");
    // Sealed, and not placed: it names the end that is about to go.
    const [sealed] = a.replica.nextBatch(new Set());
    expect(parseFrame(sealed?.frame as Uint8Array)?.anchorSeq).toBe(6);
    expect(kit.heldNotes(a)).toEqual(["mine"]);
    expect(await truth(s)).toMatchObject({ kind: "live" });
    expect(await a.engine.verdict(run)).toMatchObject({ kind: "accepted" });
    expect(kit.notes(a)).toEqual(["a1", "b1", "b2", "b3", "b4", "mine"]);
    // The number of the first seal is used by nobody.
    for (const { frame } of kit.entries) if (frame !== undefined) expect(frame).not.toEqual(sealed?.frame);
    await sameAsB(s);
  });

  test("[ENG15] a frame that stands in both ends counts once, in the order of the second", async () => {
    const s = await scene();
    const { kit, a, b, lie } = s;
    kit.write(b, "b3");
    await kit.sync(b);
    kit.write(a, "a2");
    const [mine] = a.replica.nextBatch(new Set());
    // For a its own note came first; b has them the other way round.
    expect(await kit.sync(a)).toMatchObject({ kind: "live", head: 6 });
    lie.put(7, kit.pageBytes(7, null, [kit.frameAt(b, 6)]));
    expect(await kit.sync(a)).toMatchObject({ kind: "live", head: 7 });
    expect(kit.notes(a).slice(3)).toEqual(["a2", "b3"]);
    kit.place(b, mine?.frame as Uint8Array);
    await kit.sync(b);
    kit.write(b, "b4");
    await kit.sync(b);
    expect(await truth(s)).toMatchObject({ kind: "live", head: 8 });
    expect(kit.notes(a).slice(3)).toEqual(["b3", "a2", "b4"]);
    expect(a.replica.waiting()).toEqual({ pending: 0, parked: 0 });
    await sameAsB(s);
  });

  test("[ENG15] a frame that may still come is sent as the same bytes", async () => {
    const s = await scene();
    const { kit, a, b } = s;
    kit.write(a, "a2");
    const [mine] = a.replica.nextBatch(new Set());
    await kit.sync(a);
    expect(kit.notes(a)).toContain("a2");
    for (const note of ["b3", "b4"]) {
      kit.write(b, note);
      await kit.sync(b);
    }
    expect(await truth(s)).toMatchObject({ kind: "live", head: 8 });
    expect(kit.frameAt(a, 8)).toEqual(mine?.frame);
    await sameAsB(s);
  });

  test("[ENG15] several runs keep their order, before what was written since, and their ids", async () => {
    const s = await scene();
    const { kit, a, b } = s;
    const ids = [kit.write(a, "a2", "a3"), kit.write(a, "a4")];
    await kit.sync(a);
    ids.push(kit.write(a, "a5"));
    await kit.sync(a);
    for (const note of ["b3", "b4", "b5", "b6", "b7"]) {
      kit.write(b, note);
      await kit.sync(b);
    }
    ids.push(kit.write(a, "a6"));
    const shown = kit.remote();
    const seen: (readonly number[])[] = [];
    a.faults.replaced = (honest) => ({
      ...shown,
      append: (frames, at) => {
        seen.push(a.replica.read((tx) => runs(tx).map((r) => r.id)));
        return shown.append(frames, at);
      },
      close: honest.close,
    });
    expect(await kit.sync(a)).toMatchObject({ kind: "live" });
    expect(seen[0]).toEqual(ids);
    expect(kit.notes(a)).toEqual([
      "a1",
      "b1",
      "b2",
      "b3",
      "b4",
      "b5",
      "b6",
      "b7",
      "a2",
      "a3",
      "a4",
      "a5",
      "a6",
    ]);
    await sameAsB(s);
  });

  test("[ENG15] a run that was under way when the other end began is whole again", async () => {
    const s = await scene();
    const { kit, a, b, lie } = s;
    kit.write(a, "a2", "a3");
    const sealed = a.replica.nextBatch(new Set());
    // Its first frame stands before the ends part, its second only in a's.
    for (const log of [lie, kit.log])
      log.put(6, kit.pageBytes(6, kit.link(b, 5).hash, [sealed[0]?.frame as Uint8Array]));
    await kit.sync(b);
    lie.put(7, kit.pageBytes(7, null, [sealed[1]?.frame as Uint8Array]));
    expect(await kit.sync(a)).toMatchObject({ kind: "live" });
    expect(kit.notes(a)).toEqual(["a1", "b1", "b2", "a2", "a3"]);
    for (const note of ["b3", "b4"]) {
      kit.write(b, note);
      await kit.sync(b);
    }
    expect(parseFrame(sealed[1]?.frame as Uint8Array)?.flags).toBe(frameFlags.continues);
    expect(await truth(s)).toMatchObject({ kind: "live" });
    expect(kit.notes(a)).toEqual(["a1", "b1", "b2", "b3", "b4", "a2", "a3"]);
    await sameAsB(s);
  });

  test("[ENG5, ENG14] a parked edit stays parked, and out of the view", async () => {
    const s = await scene();
    const { kit, a, b, lie } = s;
    kit.write(a, "parked");
    const [sealed] = a.replica.nextBatch(new Set());
    const deviceSeq = sealed?.deviceSeq as number;
    kit.replaceSealed(a, deviceSeq, kit.frame(a, { deviceSeq, key: suite.random(32) }));
    await kit.sync(a);
    kit.log.put(6, lie.bytesAt(6) as Uint8Array);
    kit.write(b, "b3");
    await kit.sync(b);
    lie.put(7, kit.log.bytesAt(7) as Uint8Array);
    lie.alter(7, retimed);
    await kit.sync(a);
    kit.write(b, "b4");
    await kit.sync(b);
    expect(await truth(s)).toMatchObject({ kind: "live", head: 8 });
    expect(kit.parked(a)).toEqual(["sealed-wrong"]);
    expect(kit.heldNotes(a)).toEqual([]);
    expect(a.replica.digest()).toBe(b.replica.digest());
  });

  test("[ENG15] copies of own frames, membership too, count for nothing", async () => {
    const s = await scene();
    const { kit, a, b, lie } = s;
    for (const seq of [3, 1]) {
      const number = kit.place(b, kit.frameAt(b, seq));
      await kit.sync(b);
      lie.put(number, kit.log.bytesAt(number) as Uint8Array);
    }
    kit.write(a, "a2");
    expect(await kit.sync(a)).toMatchObject({ kind: "live", head: 8 });
    expect(kit.verdicts(a).slice(5)).toEqual(["replay", "member-race", ""]);
    for (const note of ["b3", "b4"]) {
      kit.write(b, note);
      await kit.sync(b);
    }
    expect(await truth(s)).toMatchObject({ kind: "live", head: 10 });
    expect(kit.notes(a)).toEqual(["a1", "b1", "b2", "b3", "b4", "a2"]);
    await sameAsB(s);
  });

  test("[ENG15] what was void in the first end alone, and sent again there, counts once", async () => {
    const s = await scene();
    const { kit, a, b, lie } = s;
    kit.write(a, "a2");
    kit.write(a, "a3");
    const sealed = a.replica.nextBatch(new Set()).map((f) => f.frame as Uint8Array);
    // The remote places the second before the first for a, and in their order for everybody else.
    lie.put(6, kit.pageBytes(6, null, [...sealed].reverse()));
    kit.log.put(6, kit.pageBytes(6, kit.link(b, 5).hash, sealed));
    expect(await kit.sync(a)).toMatchObject({ kind: "live" });
    expect(kit.verdicts(a).slice(5)).toEqual(["device-seq", "replay", "", ""]);
    await kit.sync(b);
    for (const note of ["b3", "b4", "b5"]) {
      kit.write(b, note);
      await kit.sync(b);
    }
    expect(await truth(s)).toMatchObject({ kind: "live" });
    expect(kit.notes(a)).toEqual(["a1", "b1", "b2", "a2", "a3", "b3", "b4", "b5"]);
    expect(a.replica.waiting()).toEqual({ pending: 0, parked: 0 });
    await sameAsB(s);
  });
});

describe("at any line", () => {
  test("[ENG14, ENG1] a crash before the commit leaves everything as it was; after it, everything as it will be", async () => {
    for (const where of ["rebuild.before-commit", "rebuild.after-commit"] as const) {
      let armed = false;
      const s = await deceived((name) => {
        if (armed && name === where) throw new Error("crash");
      });
      const { kit, a } = s;
      kit.write(a, "mine");
      const before = contents(s);
      armed = true;
      await truth(s);
      armed = false;
      if (where === "rebuild.before-commit") expect(contents(s)).toEqual(before);
      else expect(contents(s)).not.toEqual(before);
      const again = kit.restart(a);
      expect(await kit.sync(again)).toMatchObject({ kind: "live" });
      await sameAsB({ ...s, a: again });
      expect(kit.notes(again).at(-1)).toBe("mine");
    }
  });

  test("[ENG14, ENG2] a reducer that fails in the other end fails for its entry alone", async () => {
    const s = await scene();
    const { kit, a, b, lie } = s;
    kit.write(b, traps.apply);
    kit.write(b, "b3");
    await kit.sync(b);
    lie.put(6, kit.log.bytesAt(6) as Uint8Array);
    lie.alter(6, (entries) => entries.map((e) => ({ ...e, time: 5 })));
    await kit.sync(a);
    expect(a.replica.quarantined()).toBe(1);
    kit.write(b, "b4");
    await kit.sync(b);
    expect(await truth(s)).toMatchObject({ kind: "live" });
    expect(a.replica.quarantined()).toBe(1);
    expect(kit.restart(a).replica.quarantined()).toBe(1);
    await kit.converge(b, a);
    expect(kit.held(a)).toEqual(kit.held(b));
  });
});
