import { describe, expect, test } from "vitest";
import { Members } from "../../../testkit/src/members-kit.ts";
import { type Device, fastKit, type Kit } from "../../../testkit/src/vault-kit.ts";
import type { Verdict } from "./api.ts";
import { runs } from "./outbox.ts";
import { type RunState, stateOfRun } from "./queue.ts";

interface Scene {
  readonly kit: Kit;
  readonly a: Device;
  readonly b: Device;
}

async function pair(seed: number): Promise<Scene> {
  const kit = fastKit(seed);
  const a = await kit.found();
  const b = await kit.join("b");
  await kit.sync(a);
  return { kit, a, b };
}

/** An edit that replay has refused; its run. */
async function refused(scene: Scene, ...notes: readonly string[]): Promise<number> {
  const run = scene.kit.write(scene.a, ...notes);
  await refuse(scene, notes.length);
  return run;
}

/** What waits alone is sealed as a frame that the vault's rules refuse. */
async function refuse({ kit, a }: Scene, frames: number): Promise<void> {
  const [first] = a.replica.nextBatch(new Set());
  const deviceSeq = first?.deviceSeq ?? 0;
  kit.replaceSealed(a, deviceSeq, kit.frame(a, { deviceSeq, flags: frames > 1 ? 1 : 0, note: "*257" }));
  await kit.sync(a);
  expect(states(a)).toEqual(["rejected"]);
}

const states = (device: Device): readonly RunState[] =>
  device.replica.read((tx) => runs(tx).map((run) => stateOfRun(tx, run)));

function heard(device: Device, run: number): Verdict[] {
  const told: Verdict[] = [];
  void device.engine.verdict(run).then((verdict) => told.push(verdict));
  return told;
}

const retry = (device: Device, run: number): number =>
  device.engine.write((tx) => device.replica.retry(tx, run));
const discard = (device: Device, run: number): void =>
  device.engine.write((tx) => device.replica.discard(tx, run));

describe("an edit that the log did not take", () => {
  test("[ENG16] M-9 goes out again as a new one behind those that wait, and is shown meanwhile", async () => {
    const scene = await pair(1);
    const { kit, a, b } = scene;
    const run = await refused(scene, "one", "two");
    kit.write(a, "later");
    const again = retry(a, run);
    const told = heard(a, again);
    expect(kit.heldNotes(a)).toEqual(["later", "one\ntwo"]);
    expect(a.replica.waiting()).toEqual({ pending: 2, parked: 0 });
    // Also where the program ends right after: it is durable.
    const restarted = kit.restart(a);
    expect(kit.heldNotes(restarted)).toEqual(["later", "one\ntwo"]);
    await kit.converge(restarted, b);
    expect(kit.notes(b)).toEqual(["later", "one", "two"]);
    expect(kit.held(restarted)).toEqual(kit.held(b));
    expect(states(restarted)).toEqual([]);
    expect(told).toEqual([]);
  });

  test("[ENG16] between two batches of a long transaction it waits for the end of that", async () => {
    const scene = await pair(2);
    const { kit, a, b } = scene;
    const run = await refused(scene, "refused");
    const long = Array.from({ length: 260 }, (_, i) => `n${i}`);
    kit.write(a, ...long);
    const [first] = a.replica.nextBatch(new Set());
    expect(first).toBeDefined();
    retry(a, run);
    await kit.converge(a, b);
    expect(kit.verdicts(a).filter((reason) => reason !== "")).toEqual(["limit"]);
    expect(kit.notes(b)).toEqual([...long, "refused"]);
  });

  test("[ENG16, ENG5] refused once more it is parked once more, and the verdict is its own", async () => {
    const scene = await pair(3);
    const { kit, a } = scene;
    const run = await refused(scene, "one");
    const again = retry(a, run);
    const told = heard(a, again);
    expect(kit.heldNotes(a)).toEqual(["one"]);
    await refuse(scene, 1);
    expect(told).toMatchObject([{ kind: "void", reason: "limit" }]);
    expect(kit.heldNotes(a)).toEqual([]);
    expect(() => retry(a, run)).toThrow(expect.objectContaining({ code: "not-found" }));
  });

  test("[ENG16] a viewer's goes nowhere, and neither does that of who was removed", async () => {
    const kit = fastKit(4);
    const owner = await kit.found("owner");
    const members = new Members(kit);
    const anna = await members.add(owner, "anna", "editor");
    anna.engine.pause();
    const run = kit.write(anna, "mine");
    await members.does(owner, members.roleAct(anna, "viewer"));
    anna.engine.resume();
    await kit.sync(anna);
    expect(kit.parked(anna)).toEqual(["role"]);
    expect(() => retry(anna, run)).toThrow(expect.objectContaining({ code: "no-access" }));
    await members.does(owner, members.roleAct(anna, "editor"));
    await kit.sync(anna);
    retry(anna, run);
    await kit.converge(anna, owner);
    expect(kit.notes(owner)).toEqual(["mine"]);
    anna.engine.pause();
    const other = kit.write(anna, "more");
    await members.does(owner, members.roleAct(anna, "viewer"));
    anna.engine.resume();
    await kit.sync(anna);
    expect(kit.parked(anna)).toEqual(["role"]);
    await members.does(owner, members.removeAct(anna));
    await kit.sync(anna);
    expect(() => retry(anna, other)).toThrow(expect.objectContaining({ code: "device-removed" }));
    expect(kit.parked(anna)).toEqual(["role"]);
  });

  test("[ENG16, ENG17] what is not there, and what waits by itself, is said so", async () => {
    const { kit, a } = await pair(5);
    const run = kit.write(a, "waits");
    expect(() => retry(a, run)).toThrow(expect.objectContaining({ code: "usage" }));
    for (const decide of [retry, discard])
      expect(() => decide(a, 999)).toThrow(expect.objectContaining({ code: "not-found" }));
    expect(kit.heldNotes(a)).toEqual(["waits"]);
  });
});

describe("given up", () => {
  test("[ENG17] S-16 an edit that was refused is gone, here and after a restart", async () => {
    const scene = await pair(6);
    const { kit, a, b } = scene;
    const run = await refused(scene, "one");
    discard(a, run);
    expect(states(a)).toEqual([]);
    expect(a.replica.waiting()).toEqual({ pending: 0, parked: 0 });
    const again = kit.restart(a);
    await kit.converge(again, b);
    expect(kit.notes(b)).toEqual([]);
    expect(again.replica.waiting()).toEqual({ pending: 0, parked: 0 });
  });

  test("[ENG17] one that was never sent leaves the view, and those behind it go", async () => {
    const { kit, a, b } = await pair(7);
    const run = kit.write(a, "one");
    const told = heard(a, run);
    kit.write(a, "two");
    discard(a, run);
    expect(kit.heldNotes(a)).toEqual(["two"]);
    await kit.converge(a, b);
    expect(kit.notes(b)).toEqual(["two"]);
    expect(told).toMatchObject([{ kind: "void", reason: "discarded" }]);
  });

  test("[ENG17] one that is under way stays, and goes on", async () => {
    const { kit, a, b } = await pair(8);
    const run = kit.write(a, "one");
    a.replica.nextBatch(new Set());
    expect(() => discard(a, run)).toThrow(expect.objectContaining({ code: "usage" }));
    await kit.converge(a, b);
    expect(kit.notes(b)).toEqual(["one"]);
  });
});
