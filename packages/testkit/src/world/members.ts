/** What devices of several persons do to the membership, and what a thief tries with keys that were taken out. */
import type { Sealed } from "@tidelock/core/bytes/brand";
import { equalBytes } from "@tidelock/core/bytes/bytes";
import { deviceId, personId } from "@tidelock/core/crypto/identity";
import type { MemberAct } from "@tidelock/core/engine/acts";
import { linkAt } from "@tidelock/core/engine/entries";
import { getTrack } from "@tidelock/core/engine/judge";
import type { Replica } from "@tidelock/core/engine/replica";
import { TidelockError } from "@tidelock/core/errors";
import type { Link } from "@tidelock/core/log/chain";
import { frameKinds, sealFrame } from "@tidelock/core/log/frame";
import { encodePlaintext, encodeSections } from "@tidelock/core/log/plaintext";
import type { Tx } from "@tidelock/core/log/tx";
import { NO_INVITE, roles } from "@tidelock/core/vault/records";
import { isAdmin, type Roster } from "@tidelock/core/vault/roster";
import type { Shelf } from "./log-server.ts";
import type { SimNode } from "./node.ts";
import { Stream } from "./random.ts";
import type { World } from "./world.ts";

/** Lets somebody in who asks; else changes roles, takes somebody out, or renews the keys. */
export function actOn(world: World, node: SimNode, step: number): void {
  const engine = node.life?.engine;
  if (engine === undefined || engine.device === undefined || node.asleepUntil > world.timeline.now) return;
  const random = new Stream(world.seed, `act:${step}`);
  const roster = engine.read((tx) => engine.replica.membership.roster(tx));
  const welcome = letIn(world, node, roster);
  const act = welcome.length > 0 && random.chance(0.8) ? random.pick(welcome) : drawAct(random, roster, node);
  queue(world, engine.replica, act, node);
}

/** A person with the right to it lets in whoever still asks. */
export function letAllIn(world: World, nodes: readonly SimNode[]): void {
  for (const node of nodes) {
    const engine = node.life?.engine;
    if (engine === undefined || engine.device === undefined || node.home.halt !== undefined) continue;
    const roster = engine.read((tx) => engine.replica.membership.roster(tx));
    for (const act of letIn(world, node, roster)) queue(world, engine.replica, act, node);
  }
}

function isViewer({ life }: SimNode): boolean {
  const engine = life?.engine;
  return engine !== undefined && engine.read((tx) => engine.replica.ownStanding(tx)) === "reader";
}

/** Whether somebody left, and this device is the owner's or an admin's. */
export function owesRotation(replica: Replica): boolean {
  return replica.read((tx) => {
    const { membership } = replica;
    const own = replica.ownDevice(tx);
    const device = own === undefined ? undefined : membership.device(tx, own);
    if (device === undefined || device.removedAt !== undefined || !membership.rotationDue(tx)) return false;
    return isAdmin(membership.person(tx, device.person)?.role ?? "viewer");
  });
}

function queue(world: World, replica: Replica, act: MemberAct, node: SimNode): void {
  try {
    world.say(() => `${node.name}  act ${act.kind}`);
    replica.write((tx) => replica.submitAct(tx, act));
    node.life?.engine?.sync?.dispatch("edit");
  } catch (error) {
    const known = error instanceof TidelockError && ["disk-full", "device-removed"].includes(error.code);
    if (!known) throw error;
  }
}

function letIn(world: World, node: SimNode, roster: Roster): MemberAct[] {
  const { suite } = world;
  const acts: MemberAct[] = [];
  for (const [name, asks] of world.asking) {
    const id = deviceId(suite, asks.device.sign, asks.device.box);
    if (roster.devices.some((d) => equalBytes(d.id, id))) continue;
    const keys = world.personOf(asks.person);
    const person = roster.persons.find((p) => equalBytes(p.id, personId(suite, keys.sign, keys.box)));
    const { device, joinSignature } = asks;
    if (asks.person === node.home.person) acts.push({ kind: "admit-device", device, joinSignature, name });
    else if (person === undefined || person.removedAt !== undefined)
      acts.push({
        kind: "add-member",
        certificates: [asks.certificate],
        joinSignature,
        role: asks.person === 1 ? "admin" : asks.person === 2 ? "editor" : "viewer",
        invite: NO_INVITE,
        name: `p${asks.person}`,
        deviceName: name,
      });
  }
  return acts;
}

function drawAct(random: Stream, roster: Roster, node: SimNode): MemberAct {
  const person = (): number => random.int(0, roster.persons.length - 1);
  const die = random.float();
  if (die < 0.3) return { kind: "set-role", person: person(), role: random.pick(roles) };
  if (die < 0.5) {
    const device = random.int(0, roster.devices.length - 1);
    return { kind: "revoke-device", device, since: random.int(0, roster.devices[device]?.admittedAt ?? 0) };
  }
  if (die < 0.65) return { kind: "remove-member", person: person() };
  if (die < 0.8) return { kind: "rotate", after: roster.epoch?.n ?? 0 };
  return { kind: "rename", name: `${node.name}, renamed` };
}

/** Signs in the name of a device that was taken out, or may only read, with all that it has; placed where the log is now. */
export function thief(world: World, shelf: Shelf, nodes: readonly SimNode[], step: number): void {
  const random = new Stream(world.seed, `thief:${step}`);
  const { suite, ledger } = world;
  // Where the log was cut his removal may be gone with it.
  if (ledger.rewritten) return;
  const gone = nodes.filter((n) => n.home.halt === "device-removed" || isViewer(n));
  const readers = nodes.filter((n) => n.home.halt === undefined && n.life?.engine !== undefined);
  if (gone.length === 0 || readers.length === 0) return;
  const { home, life } = random.pick(gone);
  if (life?.replica === undefined) return;
  // Somebody who is in tells him how far the log is.
  const reader = random.pick(readers).life?.engine?.replica as Replica;
  const own = life.replica;
  const frame = reader.read((tx) => forge(tx));
  if (frame === undefined) return;
  // A program that does this is another one than the device's own, which will find its number used.
  home.doubled = true;
  if (shelf.place === undefined) {
    // Only the server places: he has to ask it, and it has to know better.
    const head = reader.head();
    const { notBefore } = life;
    // What he is told to wait for, the device's own program was not told.
    void life.remote.append([frame as Sealed], head).then(() => {
      life.notBefore = notBefore;
    });
    world.say(() => `thief  asks as ${home.name}, head ${head.seq}`);
    return;
  }
  shelf.place(null, [frame], Math.floor(world.plan.knobs.epoch + world.timeline.now));
  // Whether it may count is for the end: his role, as he knew it, may have been another one by then.
  ledger.sending([frame]);
  ledger.planted.add(shelf.head);
  world.say(() => `thief  writes as ${home.name}, head ${shelf.head}`);

  function forge(tx: Tx): Uint8Array | undefined {
    const { applied } = reader.cursor();
    const index = own.read((mine) => own.ownDevice(mine));
    const epoch = reader.membership.newestEpoch(tx)?.n;
    if (index === undefined || epoch === undefined) return undefined;
    const known = own.read((mine) => own.membership.newestEpoch(mine)?.n ?? 0);
    const n = Math.min(epoch, known);
    const key = own.read((mine) => own.ring.frameKey(mine, n, own.ownId, index));
    if (key === undefined) return undefined;
    const link = linkAt(tx, reader.vault, applied) as Link;
    return sealFrame(
      suite,
      reader.vault,
      {
        suite: suite.id,
        kind: frameKinds.data,
        flags: 0,
        epoch: n,
        device: index,
        deviceSeq: getTrack(tx, index).seq + 1,
        anchorSeq: applied,
        anchor: link.hash,
        sealedAt: Math.floor((world.plan.knobs.epoch + world.timeline.now) / 1000),
        nonce: random.bytes(24),
      },
      encodePlaintext(suite, encodeSections(new Map([[1, new Uint8Array(0)]])), false),
      key,
      home.keys.signSecret,
    );
  }
}
