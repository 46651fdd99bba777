/** The oracles of a history's end: the log is read once more by a device that took part in nothing. */
import { equalBytes, u64Key } from "@tidelock/core/bytes/bytes";
import { deviceKeys, drawDeviceSeeds } from "@tidelock/core/crypto/identity";
import type { Suite } from "@tidelock/core/crypto/suite";
import { getEntry, linkAt } from "@tidelock/core/engine/entries";
import { getRun } from "@tidelock/core/engine/outbox";
import { beginReplica, createReplica, type Replica, replicaSpaces } from "@tidelock/core/engine/replica";
import { getVerdict } from "@tidelock/core/engine/verdicts";
import {
  type Frame,
  frameFlags,
  frameKinds,
  openFrame,
  parseFrame,
  verifyFrame,
} from "@tidelock/core/log/frame";
import { decodePlaintext, decodeSections } from "@tidelock/core/log/plaintext";
import { digestedSpaces, Tx } from "@tidelock/core/log/tx";
import { parseGenesis } from "@tidelock/core/vault/genesis";
import { MapReplicaStore } from "../map-store.ts";
import { type App, type AppliedRun, CANARY } from "./app.ts";
import { ChainWalk } from "./chain.ts";
import { type RunRecord, short, text } from "./ledger.ts";
import type { Shelf } from "./log-server.ts";
import { judgeMembers } from "./members-verdict.ts";
import type { Home, SimNode } from "./node.ts";
import { Stream } from "./random.ts";
import type { World } from "./world.ts";

export function judgeHistory(
  world: World,
  shelf: Shelf,
  nodes: readonly SimNode[],
  createApp: (suite: Suite) => App,
): void {
  judgeSealed(world, shelf);
  const genesis = shelf.genesis === undefined ? null : parseGenesis(world.suite, shelf.genesis);
  if (genesis === null) return;
  judgeChain(world, shelf, nodes, genesis.vault);
  if (world.ledger.rewritten) judgeSurvivors(world, shelf, nodes);
  const auditor = replay(world, shelf, nodes, createApp);
  if (auditor === undefined || world.failure !== undefined) return;
  const accepted = judgeEntries(world, auditor.replica, auditor.app);
  if (world.ledger.rewritten) return;
  judgeAcks(world, auditor.replica);
  judgeViews(world, nodes);
  judgeRuns(world, nodes, accepted, createApp);
  if (world.plan.persons !== undefined) judgeMembers(world, shelf, nodes, auditor.replica);
}

/** No plaintext anywhere in what the remote holds. */
function judgeSealed(world: World, shelf: Shelf): void {
  const canary = text(CANARY);
  for (const object of shelf.objects) {
    if (object.kind !== "page") continue;
    for (const { frame } of object.entries)
      if (text(frame).includes(canary))
        world.fail("sealed", `plaintext in a frame of the page at ${object.first}`);
  }
  for (const blob of shelf.blobs())
    if (text(blob).includes(canary)) world.fail("sealed", "plaintext in a blob");
}

/** Dense numbers, and one chain hash for all. */
function judgeChain(world: World, shelf: Shelf, nodes: readonly SimNode[], vault: Uint8Array): void {
  if (world.ledger.rewritten) return;
  const walk = new ChainWalk(world.suite, vault);
  for (const object of shelf.objects) {
    if (object.first !== walk.seq + 1) {
      world.fail("chain", `the remote's objects are not dense at ${object.first}`);
      return;
    }
    if (object.kind === "page" && !walk.joins(object) && !world.ledger.planted.has(object.first))
      world.fail("chain", `the page at ${object.first} was written for another history`);
    walk.add(object);
  }
  for (const { name, life } of nodes) {
    const replica = life?.replica;
    if (replica === undefined) continue;
    const { applied } = replica.cursor();
    const link = replica.read((tx) => linkAt(tx, vault, applied));
    const expected = walk.links[applied];
    if (link === undefined || expected === undefined || !equalBytes(link.hash, expected))
      world.fail("chain", `${name} holds another chain hash at seq ${applied}`);
  }
}

/** From genesis, one entry at a time: the digest after each is what every device had there. */
function replay(
  world: World,
  shelf: Shelf,
  nodes: readonly SimNode[],
  createApp: (suite: Suite) => App,
): { readonly replica: Replica; readonly app: App } | undefined {
  const random = new Stream(world.seed, "auditor");
  const suite = world.parts.suite((n) => random.bytes(n));
  const genesis = parseGenesis(suite, shelf.genesis as Uint8Array);
  const keys = epochKeys(nodes);
  if (genesis === null || keys.size === 0) return undefined;
  const app = createApp(suite);
  const replica = createReplica(
    { suite, clock: { now: () => 0, mono: () => 0 }, point: () => undefined },
    {
      store: new MapReplicaStore(replicaSpaces([app.kind])),
      genesis,
      keys: deviceKeys(suite, drawDeviceSeeds(suite)),
      localKey: suite.random(32),
      kinds: [app.kind],
    },
  );
  replica.write((tx) => {
    beginReplica(replica, tx, true);
    for (const [n, key] of keys) replica.ring.put(tx, n, key);
  });
  const { ledger } = world;
  const last = Math.max(0, ...nodes.map((node) => node.applied));
  while (replica.cursor().read < last) {
    const { read } = replica.cursor();
    const ingested = replica.ingest(read, shelf.read(read, Number.POSITIVE_INFINITY));
    if (ingested.kind === "halt" || replica.cursor().read === read) {
      if (!ledger.rewritten)
        world.fail("chain", `a reader from genesis stops at ${read}: ${JSON.stringify(ingested)}`);
      break;
    }
  }
  while (replica.cursor().applied < last) {
    const seq = replica.cursor().applied + 1;
    const applied = replica.apply(1, seq);
    if (applied.kind !== "ok" || replica.cursor().applied < seq) {
      if (!ledger.rewritten) world.fail("chain", `a replay from genesis stops at ${seq}: ${applied.kind}`);
      break;
    }
    const seen = ledger.digests.get(seq);
    if (seen !== undefined && seen !== replica.digest() && !ledger.rewritten)
      world.fail(
        "digest",
        `a replay from genesis holds another state at seq ${seq} than the first device there`,
      );
    const id = ledger.ids[seq];
    const here = replica.read((tx) => getEntry(tx, seq)?.id) as Uint8Array;
    if (id !== undefined && !equalBytes(id, here) && !ledger.rewritten)
      world.fail("ghost", `a device applied seq ${seq} = ${short(id)}, the log holds ${short(here)}`);
  }
  return { replica, app };
}

/** What the devices have together. */
function epochKeys(nodes: readonly SimNode[]): ReadonlyMap<number, Uint8Array> {
  const keys = new Map<number, Uint8Array>();
  for (const { life } of nodes)
    life?.replica?.read((tx) => {
      const newest = life.replica?.membership.newestEpoch(tx)?.n ?? 0;
      for (let n = 1; n <= newest; n++) {
        const key = life.replica?.ring.epochKey(tx, n);
        if (key !== undefined) keys.set(n, key.slice());
      }
    });
  return keys;
}

/** Frames by their changes, with the seqs at which each was accepted. */
type Accepted = ReadonlyMap<RunRecord, readonly number[]>;

/** Nothing accepted that nobody wrote, and nothing twice. */
function judgeEntries(world: World, auditor: Replica, app: App): Accepted {
  const { ledger, suite } = world;
  const runs: AppliedRun[] = [];
  const open = new Map<number, ReadonlyMap<number, Uint8Array>[]>();
  const accepted = new Map<RunRecord, number[]>();
  const claimed = new Map<string, number>();
  auditor.read((tx) => {
    const { applied } = auditor.cursor();
    for (let seq = 1; seq <= applied; seq++) {
      const judged = getVerdict(tx, seq);
      if (judged?.reason !== "") continue;
      const bytes = getEntry(tx, seq)?.frame as Uint8Array;
      if (!ledger.wasSent(bytes)) world.fail("intent", `seq ${seq} was accepted, and no device sent it`);
      const frame = parseFrame(bytes) as Frame;
      if (frame.kind !== frameKinds.data) continue;
      const author = auditor.membership.device(tx, frame.device);
      const key =
        author === undefined ? undefined : auditor.ring.frameKey(tx, frame.epoch, author.id, frame.device);
      const plain = key === undefined ? null : openFrame(suite, auditor.vault, frame, key);
      const opened = plain === null ? undefined : decodePlaintext(suite, plain);
      if (opened?.kind !== "ok") {
        world.fail("intent", `seq ${seq} was accepted and does not open`);
        continue;
      }
      const frames = (frame.flags & frameFlags.continues) === 0 ? [] : (open.get(frame.device) ?? []);
      frames.push(decodeSections(opened.changes) ?? new Map());
      open.set(frame.device, frames);
      if ((frame.flags & frameFlags.more) === 0)
        runs.push({ seq, time: judged.time, device: frame.device, frames: [...frames] });
      if (isAttestation(opened.changes)) continue;
      const run = ledger.find(opened.changes);
      const name = text(opened.changes);
      const twice = claimed.get(name);
      if (run === undefined) world.fail("intent", `seq ${seq} holds changes that no app made`);
      else if (!run.committed) world.fail("intent", `seq ${seq} holds an edit that was never committed`);
      else if (twice !== undefined)
        world.fail("intent", `the edit at seq ${twice} was accepted again at ${seq}`);
      else accepted.set(run, [...(accepted.get(run) ?? []), seq]);
      claimed.set(name, seq);
    }
    const difference = app.compare?.(tx, runs);
    if (difference !== undefined)
      world.fail("digest", `the log means something else to the reference: ${difference}`);
  });
  return accepted;
}

/** What waits for nothing any more looks the same on every device. */
function judgeViews(world: World, nodes: readonly SimNode[]): void {
  const first = new Map<number, { readonly name: string; readonly state: string }>();
  for (const { life, name } of nodes) {
    const replica = life?.engine?.replica;
    if (life === undefined || replica === undefined) continue;
    const { pending } = replica.waiting();
    if (pending > 0) continue;
    const { applied } = replica.cursor();
    const state = replica.read((tx) => life.app.state(tx));
    const other = first.get(applied);
    if (other === undefined) first.set(applied, { name, state });
    else if (other.state !== state)
      world.fail("reads", `${name} and ${other.name} show different rows at seq ${applied}`);
  }
}

function isAttestation(changes: Uint8Array): boolean {
  return changes.length === 2 && changes[0] === 1 && changes[1] === 0;
}

/** After a history was rewritten, devices that still go on hold one state, or could not know better. */
function judgeSurvivors(world: World, shelf: Shelf, nodes: readonly SimNode[]): void {
  const first = new Map<number, { readonly name: string; readonly replica: Replica }>();
  for (const { life, name, home } of nodes) {
    if (home.halt !== undefined || life?.engine === undefined) continue;
    // Who waits to be let in has nothing to go on with.
    if (life.engine.device === undefined) continue;
    const { replica } = life.engine;
    const { applied } = replica.cursor();
    if (applied > shelf.head)
      world.fail("ghost", `${name} goes on at seq ${applied}, and the remote ends at ${shelf.head}`);
    const other = first.get(applied);
    if (other === undefined) first.set(applied, { name, replica });
    else if (
      other.replica.digest() !== replica.digest() &&
      [other.replica, replica].some((one) => holdsProof(world, one))
    )
      world.fail("ghost", `${name} and ${other.name} go on with different histories up to seq ${applied}`);
  }
}

/**
 * Whether the log that a device has read proves to it that somebody goes on with another history: a
 * frame of a device that may write there, anchored elsewhere. Two devices that were told of each
 * other by nothing but altered entries hold no proof, and nobody can (docs/threat-model.md).
 */
function holdsProof({ suite }: World, { membership, read, cursor, vault }: Replica): boolean {
  return read((tx) => {
    for (let seq = 1; seq <= cursor().read; seq++) {
      const bytes = getEntry(tx, seq)?.frame;
      const frame = bytes === undefined ? null : parseFrame(bytes);
      const author = frame === null ? undefined : membership.device(tx, frame.device);
      if (frame === null || author === undefined || author.admittedAt >= seq) continue;
      if (membership.standing(tx, author) !== "writer") continue;
      if (!verifyFrame(suite, vault, frame, author.sign)) continue;
      const ours = linkAt(tx, vault, frame.anchorSeq);
      if (ours !== undefined && !equalBytes(ours.hash, frame.anchor)) return true;
    }
    return false;
  });
}

/** What a remote acknowledged is where it said. */
function judgeAcks(world: World, auditor: Replica): void {
  auditor.read((tx) => {
    for (const { node, first, ids } of world.ledger.acks) {
      for (const [i, id] of ids.entries()) {
        const entry = getEntry(tx, first + i);
        if (entry === undefined || !equalBytes(entry.id, id))
          world.fail(
            "acked",
            `${node} was told that its frame ${short(id)} stands at ${first + i}, and it does not`,
          );
      }
    }
  });
}

/** Every edit that was committed is in the log once, or still with its author. */
function judgeRuns(
  world: World,
  nodes: readonly SimNode[],
  accepted: Accepted,
  createApp: (suite: Suite) => App,
): void {
  const outboxes = new Map<Home, (id: number) => "waiting" | "parked" | undefined>();
  for (const node of nodes)
    for (const home of [...node.left, node.home]) outboxes.set(home, outboxOf(world, node, home, createApp));
  for (const run of world.ledger.runs) {
    const seqs = accepted.get(run) ?? [];
    const whole = seqs.length === run.texts.length;
    const there = outboxes.get(run.home)?.(run.id);
    const name = `edit ${run.id} of ${run.home.name}`;
    // Of a run in several batches, a disk that went back takes the rest along: it stays open, and shows nowhere.
    if (seqs.length > 0 && !whole && !run.undone)
      world.fail("outbox", `${name}: ${seqs.length} of ${run.texts.length} frames were accepted`);
    if (run.verdict?.kind === "accepted" && !(whole && seqs.includes(run.verdict.seq)))
      world.fail(
        "outbox",
        `${name} was confirmed at seq ${run.verdict.seq}, and the log did not accept it there`,
      );
    if (whole || run.undone) continue;
    if (there === undefined) world.fail("outbox", `${name} is neither in the log nor with its author`);
  }
}

function outboxOf(
  world: World,
  node: SimNode,
  home: Home,
  createApp: (suite: Suite) => App,
): (id: number) => "waiting" | "parked" | undefined {
  const disk = home === node.home ? node.life?.store.image() : home.disk;
  if (disk === undefined) return () => undefined;
  const { store } = disk.open();
  const digested = digestedSpaces(createApp(world.suite).kind.spaces);
  const tx = new Tx(store, world.suite, digested, 0n);
  return (id) => {
    if (store.get("o.run", u64Key(id)) === undefined) return undefined;
    return getRun(tx, id)?.parked === undefined ? "waiting" : "parked";
  };
}
