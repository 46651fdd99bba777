/** Who could read and write what, held against the membership records alone: no roster of the product is asked. */
import { equalBytes } from "@tidelock/core/bytes/bytes";
import { deviceId } from "@tidelock/core/crypto/identity";
import { decodeAct } from "@tidelock/core/engine/acts";
import { getEntry } from "@tidelock/core/engine/entries";
import { getFrame, runs } from "@tidelock/core/engine/outbox";
import type { Replica } from "@tidelock/core/engine/replica";
import { getVerdict } from "@tidelock/core/engine/verdicts";
import { type Frame, frameKinds, parseFrame } from "@tidelock/core/log/frame";
import { chainEnd, parseCertificate } from "@tidelock/core/vault/certificate";
import { openEnvelope, parseEnvelopePack } from "@tidelock/core/vault/epoch";
import { type MembershipRecord, parseBody, type Role } from "@tidelock/core/vault/records";
import type { Shelf } from "./log-server.ts";
import type { SimNode } from "./node.ts";
import type { World } from "./world.ts";

interface Seat {
  readonly id: Uint8Array;
  readonly sign: string;
  readonly by: number | undefined;
  readonly at: number;
  goneAt: number | undefined;
}

interface Walk {
  readonly seats: Seat[];
  /** By the person's public key, so that an index cannot be wrong in both. */
  readonly roles: Map<string, Role>;
  readonly epochs: { readonly n: number; readonly commit: Uint8Array; readonly seq: number }[];
  readonly persons: string[];
}

export function judgeMembers(world: World, shelf: Shelf, nodes: readonly SimNode[], auditor: Replica): void {
  const walk = auditor.read((tx) => {
    const { certificate } = auditor.genesis;
    const owner = text(certificate.person.sign);
    const { sign, box } = certificate.device;
    const walk: Walk = {
      seats: [{ id: deviceId(world.suite, sign, box), sign: owner, by: undefined, at: 0, goneAt: undefined }],
      roles: new Map([[owner, "owner"]]),
      epochs: [],
      persons: [owner],
    };
    const { applied } = auditor.cursor();
    for (let seq = 1; seq <= applied; seq++) {
      if (getVerdict(tx, seq)?.reason !== "") continue;
      const frame = parseFrame(getEntry(tx, seq)?.frame as Uint8Array) as Frame;
      judgeAuthor(world, walk, frame, seq);
      if (frame.kind === frameKinds.membership)
        for (const record of parseBody(frame.body)?.records ?? []) take(world, walk, record, frame, seq);
    }
    return walk;
  });
  judgeReaders(world, shelf, nodes, walk);
  judgeActs(world, nodes);
}

/** Accepted frames are of devices that were in, and data is of those who might write. */
function judgeAuthor(world: World, walk: Walk, frame: Frame, seq: number): void {
  const seat = walk.seats[frame.device];
  // A device that admits itself has no seat yet.
  if (seat === undefined) return;
  if (seat.goneAt !== undefined)
    world.fail("access", `seq ${seq} was accepted of device ${frame.device}, which went at ${seat.goneAt}`);
  if (frame.kind === frameKinds.data && walk.roles.get(seat.sign) === "viewer")
    world.fail("access", `seq ${seq} was accepted of device ${frame.device}, whose person only reads`);
}

function take(world: World, walk: Walk, record: MembershipRecord, frame: Frame, seq: number): void {
  const { suite } = world;
  const seat = (keys: { sign: Uint8Array; box: Uint8Array }, sign: string, by: number | undefined): void => {
    const id = deviceId(suite, keys.sign, keys.box);
    walk.seats.push({ id, sign, by, at: seq, goneAt: undefined });
  };
  const leave = (index: number, since: number): void => {
    const gone = walk.seats[index];
    if (gone === undefined || gone.goneAt !== undefined) return;
    gone.goneAt = seq;
    for (const [i, one] of walk.seats.entries()) if (one.by === index && one.at > since) leave(i, 0);
  };
  switch (record.type) {
    case "member-add": {
      const end = chainEnd(suite, record.certificates);
      if (end === null) return;
      const sign = text(end.person.sign);
      walk.roles.set(sign, record.role);
      if (!walk.persons.includes(sign)) walk.persons.push(sign);
      seat(end.device, sign, undefined);
      return;
    }
    case "device-add": {
      const certificate = parseCertificate(suite, record.certificate);
      if (certificate !== null) seat(certificate.device, text(certificate.person.sign), undefined);
      return;
    }
    case "device-admit":
      seat(record.device, walk.seats[frame.device]?.sign ?? "", frame.device);
      return;
    case "role":
      walk.roles.set(walk.persons[record.person] ?? "", record.role);
      return;
    case "member-remove":
      for (const [i, one] of walk.seats.entries())
        if (one.sign === walk.persons[record.person] && one.goneAt === undefined) leave(i, seq);
      return;
    case "device-revoke":
      leave(record.device, record.since);
      return;
    case "epoch":
      walk.epochs.push({ n: record.n, commit: record.commit, seq });
      return;
    case "envelope":
    case "invite":
    case "invite-cancel":
    case "owner-transfer":
    case "rename":
    case "rules":
    case "settings":
    case "suite":
      return;
  }
}

/** After everybody has settled: who went has no later key, and there is one that he has not. */
function judgeReaders(world: World, shelf: Shelf, nodes: readonly SimNode[], walk: Walk): void {
  const { suite } = world;
  const envelopes = [...shelf.blobs()].flatMap(
    (blob) => parseEnvelopePack(suite, suite.sha256(blob), blob) ?? [],
  );
  const newest = walk.epochs.at(-1)?.seq ?? 0;
  const admins = walk.seats.some((s) => s.goneAt === undefined && isAdmin(walk.roles.get(s.sign)));
  for (const node of nodes) {
    const id = deviceId(suite, node.home.keys.sign, node.home.keys.box);
    const seat = walk.seats.find((s) => equalBytes(s.id, id));
    const { replica } = node.life ?? {};
    const { goneAt } = seat ?? {};
    if (node.home.halt === "device-removed" && goneAt === undefined)
      world.fail("access", `${node.name} says that it was removed, and no record says so`);
    if (seat === undefined || replica === undefined || goneAt === undefined) continue;
    if (replica.cursor().applied > goneAt)
      world.fail(
        "access",
        `${node.name} was removed at ${goneAt} and went on to ${replica.cursor().applied}`,
      );
    if (newest < goneAt && admins && node.home.halt !== undefined && runsOn(world, nodes, walk))
      world.fail("access", `${node.name} was removed at ${goneAt}, and no new epoch came`);
    for (const epoch of walk.epochs) {
      if (epoch.seq < goneAt) continue;
      const { box, boxSecret } = node.home.keys;
      const pair = { publicKey: box, secretKey: boxSecret };
      const reads =
        replica.read((tx) => replica.ring.offered(tx, epoch.commit)) !== undefined ||
        envelopes.some(
          (e) => openEnvelope(suite, e, replica.vault, epoch, { kind: "device", id }, pair) !== null,
        );
      if (reads)
        world.fail("access", `${node.name}, removed at ${goneAt}, reads epoch ${epoch.n} of ${epoch.seq}`);
    }
  }
}

/** Whether a device of the owner or an admin is there to make it. */
function runsOn(world: World, nodes: readonly SimNode[], walk: Walk): boolean {
  return nodes.some((node) => {
    const id = deviceId(world.suite, node.home.keys.sign, node.home.keys.box);
    const seat = walk.seats.find((s) => equalBytes(s.id, id));
    return (
      seat !== undefined &&
      seat.goneAt === undefined &&
      isAdmin(walk.roles.get(seat.sign)) &&
      node.home.halt === undefined &&
      node.life?.engine !== undefined
    );
  });
}

/** Who lost a race is not told so: the act is made anew. */
function judgeActs(world: World, nodes: readonly SimNode[]): void {
  for (const { name, life } of nodes) {
    const replica = life?.engine?.replica;
    replica?.read((tx) => {
      for (const run of runs(tx)) {
        const lost = run.parked === "member-race" || run.parked === "epoch-stale";
        const frame = lost ? getFrame(tx, run.id, 0) : undefined;
        const act = frame?.act === true ? decodeAct(frame.changes)?.kind : undefined;
        // Who is in already, or was once, cannot be let in again.
        if (act !== undefined && act !== "add-member" && act !== "admit-device")
          world.fail("outbox", `${name} gave up an act that lost a race (${run.parked})`);
      }
    });
  }
}

const isAdmin = (role: Role | undefined): boolean => role === "owner" || role === "admin";
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
