import { createPortableSuite } from "@tidelock/core/crypto/sodium-portable";
import type { Suite } from "@tidelock/core/crypto/suite";
import { nextLink } from "@tidelock/core/log/chain";
import { founderRoster, type Roster } from "@tidelock/core/vault/roster";
import {
  type LogPoint,
  NOON,
  newDevice,
  newPerson,
  type TestDevice,
  TestVault,
} from "@tidelock/testkit/vault-people";
import { beforeAll, expect, test } from "vitest";
import { noTerms } from "../auth/terms.ts";
import {
  type DeviceRow,
  type Level,
  type LogRow,
  type MemberRow,
  SPARED,
  type SparedRow,
  type VaultState,
} from "../store.ts";
import { accessRow } from "./access.ts";
import { type Appended, type AppendRequest, parseSent, planAppends } from "./plan.ts";
import { Rosters } from "./rosters.ts";

let suite: Suite;
beforeAll(async () => {
  suite = await createPortableSuite();
});

const PLENTY = Number.MAX_SAFE_INTEGER;
const TIME = NOON + 5000;

/** A vault's rows in memory, changed only by what plans say. */
class Scene {
  readonly vault = new TestVault(suite);
  readonly founder: TestDevice = this.vault.founder;
  roster: Roster;
  row: VaultState["row"];
  devices: DeviceRow[];
  members: MemberRow[];
  placed: readonly LogRow[] = [];
  spared: SparedRow[] = [];
  readonly audited: string[] = [];

  constructor() {
    const { genesis, id } = this.vault;
    this.roster = founderRoster(suite, genesis.owner, genesis.certificate.device);
    this.row = {
      vault: id,
      genesis: genesis.bytes,
      owner: this.founder.person.id,
      created: NOON,
      head: { seq: 0, hash: id, members: id, time: NOON },
      logBytes: 0,
      blobBytes: 0,
      deleted: undefined,
    };
    this.devices = [{ ...accessRow(this.roster, 0), lastSeq: 0 }];
    this.members = [{ person: this.founder.person.id, level: "owner", since: 0, ended: undefined }];
  }

  get at(): LogPoint {
    return { seq: this.row.head.seq, link: this.row.head };
  }

  request(device: TestDevice, ...frames: Uint8Array[]): AppendRequest {
    const sent = parseSent(suite, frames);
    if (sent === null) throw new Error("no frames of one device");
    return {
      sender: { device: device.id, person: device.person.id, address: "loopback" },
      terms: noTerms,
      frames: sent,
    };
  }

  /** Plans them as one batch and takes what was planned. */
  plan(requests: readonly AppendRequest[], quota = PLENTY): readonly Appended[] {
    const { write, answers, roster } = planAppends({ suite, quota }, this, this.roster, requests, TIME);
    if (write === undefined) return answers;
    this.roster = roster as Roster;
    expect(write.from).toBe(this.row.head.seq);
    this.row = { ...this.row, head: write.head };
    this.audited.push(...write.audit.map(({ action }) => action));
    this.placed = [...this.placed, ...write.entries];
    for (const one of write.access) {
      const rest = this.devices.filter(({ index }) => index !== one.index);
      this.devices = [...rest, { ...one, lastSeq: 0 }];
    }
    this.devices = this.devices.map((one) => ({
      ...one,
      lastSeq: write.used.find(({ device }) => suite.equal(device, one.device))?.lastSeq ?? one.lastSeq,
    }));
    return answers;
  }

  send(device: TestDevice, ...frames: Uint8Array[]): Appended {
    return this.plan([this.request(device, ...frames)])[0] as Appended;
  }

  level(level: Level, ended?: number): void {
    this.members = this.members.map((one) => ({ ...one, level, ended }));
  }
}

const brief = (one: Appended | undefined): unknown =>
  one?.kind === "placed" ? [one.first, one.again] : one?.code;

test("[P4] [SRV5] [SRV7] a batch is placed in the order of arrival, dense, with the server's time and the chain over it", () => {
  const scene = new Scene();
  const { vault, founder } = scene;
  const frames = [vault.first(), vault.data(founder, 0, 2, "a"), vault.data(founder, 0, 3, "b")];
  const answers = scene.plan([
    scene.request(founder, frames[0] as Uint8Array),
    scene.request(founder, ...frames.slice(1)),
  ]);
  expect(answers.map(brief)).toEqual([
    [1, false],
    [2, false],
  ]);
  let link = vault.start.link;
  for (const [i, frame] of frames.entries())
    link = nextLink(suite, link, i + 1, { time: TIME, id: suite.sha256(frame), frame });
  expect(scene.row.head).toEqual({ ...link, seq: 3, time: TIME });
  expect(answers[0]).toMatchObject({ head: { seq: 3 } });
});

test("[P3] [SRV3] Y-17: the same bytes have one position, however often they come, in one batch and after it", () => {
  const scene = new Scene();
  const { vault, founder } = scene;
  const [one, two] = [vault.data(founder, 0, 1, "one"), vault.data(founder, 0, 2, "two")];
  const again = scene.plan([
    scene.request(founder, one, two),
    scene.request(founder, one, two),
    scene.request(founder, two),
  ]);
  expect(again.map(brief)).toEqual([
    [1, false],
    [1, true],
    [2, true],
  ]);
  scene.send(founder, vault.data(founder, 0, 3, "three"));
  expect(brief(scene.send(founder, one, two))).toEqual([1, true]);
  expect(scene.row.head.seq).toBe(3);
});

test("[SRV3] Y-17: another frame under a used number is `op-reused`", () => {
  const scene = new Scene();
  const { vault, founder } = scene;
  scene.send(founder, vault.data(founder, 0, 1, "one"));
  expect(brief(scene.send(founder, vault.data(founder, 0, 1, "other")))).toBe("op-reused");
});

test("[SRV3] what stands there in part, elsewhere, or after a gap is told to read first", () => {
  const scene = new Scene();
  const { vault, founder } = scene;
  const one = vault.first();
  const [two, three] = [vault.data(founder, 0, 2, "2"), vault.data(founder, 0, 3, "3")];
  expect(brief(scene.send(founder, two))).toBe("behind");
  scene.send(founder, one);
  expect(brief(scene.send(founder, one, two))).toBe("behind");
  const other = admitted(scene);
  scene.send(other, vault.data(other, 1, 2, "between"));
  scene.send(founder, two);
  expect(brief(scene.send(founder, one, two))).toBe("behind");
  expect(brief(scene.send(founder, three))).toEqual([5, false]);
});

test("[SRV5] an append is refused alone: those beside it in the batch are placed", () => {
  const scene = new Scene();
  const { vault, founder } = scene;
  const stranger = newDevice(suite, newPerson(suite));
  const answers = scene.plan([
    scene.request(stranger, vault.data(stranger, 0, 1, "x")),
    scene.request(founder, vault.data(founder, 0, 1, "one")),
    scene.request(founder, vault.data(founder, 0, 1, "other")),
    scene.request(founder, vault.data(founder, 0, 2, "two")),
  ]);
  expect(answers.map(brief)).toEqual(["not-found", [1, false], "op-reused", [2, false]]);
});

test("[SRV5] all frames of an append are placed, or none and nothing they would have changed", () => {
  const scene = new Scene();
  const { vault, founder } = scene;
  const first = vault.first();
  const entry = { time: TIME, id: suite.sha256(first), frame: first };
  const afterFirst = { seq: 1, link: nextLink(suite, vault.start.link, 1, entry) };
  const frames = [
    first,
    vault.data(founder, 0, 2, "two"),
    // Announces what is known already: void, and no race.
    vault.say(founder, 0, 3, [{ type: "rules", section: 2, version: 1 }], afterFirst),
  ];
  expect(brief(scene.send(founder, ...frames))).toBe("rejected");
  expect(scene.row.head.seq).toBe(0);
  expect(brief(scene.send(founder, ...frames.slice(0, 2)))).toEqual([1, false]);
});

test("[SRV9] a full vault takes no more data, and still the small membership frames that a removal needs", () => {
  const scene = new Scene();
  const { vault, founder } = scene;
  const [first] = scene.plan([scene.request(founder, vault.first())], 10);
  expect(brief(first)).toEqual([1, false]);
  const [data] = scene.plan([scene.request(founder, vault.data(founder, 0, 2, "x"))], 10);
  expect(brief(data)).toBe("quota");
});

test("[SRV9] [SRV82] what is spared is bounded for each person, and nobody uses up another's", () => {
  const scene = new Scene();
  const { vault, founder } = scene;
  const frame = vault.first();
  const used = (bytes: number, since: number, person = founder.person.id): Appended | undefined => {
    scene.spared = [{ person, since, bytes }];
    const request = { ...scene.request(founder, frame), terms: { ...noTerms, covered: false } };
    const { answers, write } = planAppends({ suite, quota: PLENTY }, scene, scene.roster, [request], TIME);
    if (write !== undefined)
      expect(write.spared).toEqual([{ person: founder.person.id, bytes: frame.length }]);
    return answers[0];
  };
  expect(brief(used(SPARED.bytes - frame.length, TIME))).toEqual([1, false]);
  expect(brief(used(SPARED.bytes - frame.length + 1, TIME))).toBe("no-plan");
  expect(brief(used(SPARED.bytes, TIME - SPARED.window))).toEqual([1, false]);
  expect(brief(used(SPARED.bytes, TIME, new Uint8Array(32)))).toEqual([1, false]);
});

test("[SRV82] [SRV83] a plan is asked of data: its room is counted within a batch, and its end refuses", () => {
  const scene = new Scene();
  const { vault, founder } = scene;
  const frames = [1, 2, 3].map((n) => vault.data(founder, 0, n, "x"));
  const size = (frames[0] as Uint8Array).length;
  const requests = (over: object) =>
    frames.map((frame) => ({ ...scene.request(founder, frame), terms: { ...noTerms, ...over } }));
  const answers = scene.plan(requests({ room: 2 * size }));
  expect(answers.map(brief)).toEqual([[1, false], [2, false], "quota"]);
  const again = scene.plan(requests({ covered: false }));
  // What stands in the log already was paid for.
  expect(again.map(brief)).toEqual([[1, true], [2, true], "no-plan"]);
});

test("[SRV10] a device sends under its own index, and nobody in another one's place", () => {
  const scene = new Scene();
  const { vault, founder } = scene;
  expect(brief(scene.send(founder, vault.data(founder, 3, 1, "x")))).toBe("rejected");
  const sister = newDevice(suite, founder.person);
  expect(brief(scene.send(sister, vault.data(sister, 0, 1, "x")))).toBe("no-access");
});

test("[SRV10] a viewer reads and changes nothing; who is no member learns nothing", () => {
  const scene = new Scene();
  const { vault, founder } = scene;
  scene.level("viewer");
  expect(brief(scene.send(founder, vault.data(founder, 0, 1, "x")))).toBe("no-access");
  scene.level("editor");
  expect(brief(scene.send(founder, vault.data(founder, 0, 1, "x")))).toEqual([1, false]);
  scene.level("owner", 1);
  expect(brief(scene.send(founder, vault.data(founder, 0, 2, "y")))).toBe("device-removed");
});

test("[SRV10] what was sealed before its author became a viewer is placed, for devices to pass over; no newer anchor is", () => {
  const scene = new Scene();
  const { vault, founder } = scene;
  scene.send(founder, vault.first());
  const before = scene.at;
  scene.send(founder, vault.data(founder, 0, 2, "x"));
  scene.members = scene.members.map((one) => ({ ...one, level: "viewer", since: 2 }));
  expect(brief(scene.send(founder, vault.data(founder, 0, 3, "knew", scene.at)))).toBe("no-access");
  expect(brief(scene.send(founder, vault.data(founder, 0, 3, "did not", before)))).toEqual([3, false]);
  // Who was never more than a viewer has no such past.
  scene.devices = scene.devices.map((one) => ({ ...one, since: 2 }));
  expect(brief(scene.send(founder, vault.data(founder, 0, 4, "nor here", before)))).toBe("no-access");
});

/** Founds epoch 1 and lets a second device of the owner in. */
function admitted(scene: Scene): TestDevice {
  const { vault, founder } = scene;
  const device = newDevice(suite, founder.person);
  const answer = scene.send(device, vault.admission(device, 1, scene.at));
  expect(answer.kind).toBe("placed");
  return device;
}

test("[SRV11] [SRV13] a device certified by a member's words lets itself in, and sends in the same batch", () => {
  const scene = new Scene();
  const { vault, founder } = scene;
  scene.send(founder, vault.first());
  const device = newDevice(suite, founder.person);
  const frames = [vault.admission(device, 1, scene.at), vault.data(device, 1, 2, "hello")];
  expect(brief(scene.send(device, ...frames))).toEqual([2, false]);
  expect(scene.devices.at(-1)).toMatchObject({ device: device.id, index: 1, since: 2, lastSeq: 2 });
});

test("[SRV11] an admission that lost a race is not placed: its author draws its place anew", () => {
  const scene = new Scene();
  const { vault, founder } = scene;
  const [a, b] = [newDevice(suite, founder.person), newDevice(suite, founder.person)];
  scene.send(founder, vault.first());
  const late = scene.request(b, vault.admission(b, 1, scene.at));
  const [first, second] = scene.plan([scene.request(a, vault.admission(a, 1, scene.at)), late]);
  expect([brief(first), brief(second)]).toEqual([[2, false], "behind"]);
});

test("[SRV11] who is not let in by a member's words stays out", () => {
  const scene = new Scene();
  const { vault, founder } = scene;
  scene.send(founder, vault.first());
  const [mine, sister] = [newDevice(suite, founder.person), newDevice(suite, founder.person)];
  // Another device's admission under one's own session.
  expect(brief(scene.send(mine, vault.admission(sister, 1, scene.at)))).toBe("rejected");
  const stranger = newDevice(suite, newPerson(suite));
  expect(brief(scene.send(stranger, vault.admission(stranger, 1, scene.at)))).toBe("not-found");
  const torn = vault.admission(mine, 1, scene.at);
  torn[torn.length - 1] = (torn[torn.length - 1] as number) ^ 1;
  expect(brief(scene.send(mine, torn))).toBe("rejected");
  expect(brief(scene.send(mine, vault.admission(mine, 1, scene.at)))).toEqual([2, false]);
});

test("[SRV12] a membership frame that lost a race is placed and changes nothing; one no honest device sends is not", () => {
  const scene = new Scene();
  const { vault, founder } = scene;
  scene.send(founder, vault.first());
  const stale = vault.say(founder, 0, 2, [{ type: "rename" }], vault.start);
  expect(brief(scene.send(founder, stale))).toEqual([2, false]);
  const torn = vault.say(founder, 0, 3, [{ type: "rename" }], scene.at);
  torn[torn.length - 1] = (torn[torn.length - 1] as number) ^ 1;
  expect(brief(scene.send(founder, torn))).toBe("rejected");
});

test("[SRV12] an editor's ninth membership frame within an hour is placed and changes nothing", () => {
  const scene = new Scene();
  const { vault, founder } = scene;
  scene.send(founder, vault.first());
  scene.roster = {
    ...scene.roster,
    persons: scene.roster.persons.map((one) => ({ ...one, role: "editor", recent: Array(8).fill(NOON) })),
  };
  const rename = vault.say(founder, 0, 2, [{ type: "rename" }], scene.at);
  expect(brief(scene.send(founder, rename))).toEqual([2, false]);
  expect(scene.audited.at(-1)).not.toBe("rename");
});

test("[SRV13] a removal binds from the entry after it, in the batch that brings it", () => {
  const scene = new Scene();
  const { vault, founder } = scene;
  scene.send(founder, vault.first());
  const other = admitted(scene);
  const revoke = vault.say(
    founder,
    0,
    2,
    [{ type: "device-revoke", device: 1, since: 2, cutoff: 1 }],
    scene.at,
  );
  const answers = scene.plan([
    scene.request(other, vault.data(other, 1, 2, "before")),
    scene.request(founder, revoke),
    scene.request(other, vault.data(other, 1, 3, "after")),
    scene.request(founder, vault.data(founder, 0, 3, "goes on")),
  ]);
  expect(answers.map(brief)).toEqual([[3, false], [4, false], "device-removed", [5, false]]);
  expect(scene.devices.find(({ index }) => index === 1)?.ended).toBe(4);
});

test("[SRV14] rosters made anew from the log's membership entries are those that plans went by", async () => {
  const scene = new Scene();
  const { vault, founder } = scene;
  scene.send(founder, vault.first());
  const other = admitted(scene);
  scene.send(other, vault.data(other, 1, 2, "x"));
  const entries = scene.placed;
  const store = { membership: async () => entries.filter(({ frame }) => frame[2] === 2) };
  const rosters = new Rosters(suite, store as never);
  const roster = await rosters.at(scene.row);
  expect(roster.devices.map(({ id }) => id)).toEqual([founder.id, other.id]);
  expect(roster.epoch?.n).toBe(1);
  expect(await rosters.at(scene.row)).toBe(roster);
});

test("[SRV5] frames of several devices or with holes in their numbers are no append", () => {
  const { vault, founder } = new Scene();
  const data = (index: number, n: number): Uint8Array => vault.data(founder, index, n, "x");
  expect(parseSent(suite, [data(0, 1), data(0, 2)])).toHaveLength(2);
  for (const wrong of [
    [data(0, 1), data(1, 2)],
    [data(0, 1), data(0, 3)],
    [data(0, 2), data(0, 1)],
    [data(0, 1).subarray(1)],
  ])
    expect(parseSent(suite, wrong)).toBeNull();
});
