import { describe, expect, test } from "vitest";
import { MapReplicaStore } from "../../../testkit/src/map-store.ts";
import { u64Key } from "../bytes/bytes.ts";
import { deviceKeys, drawDeviceSeeds, personKeys } from "../crypto/identity.ts";
import { createPortableSuite } from "../crypto/sodium-portable.ts";
import { createTablesKind } from "../kinds/tables/tables.ts";
import type { Kind } from "../log/kind.ts";
import { membershipSpaces } from "../vault/membership.ts";
import { LOG } from "./entries.ts";
import { foundVault, makeGenesis } from "./found.ts";
import { createReplica, engineSpaces, type Replica, replicaSpaces } from "./replica.ts";
import { VERDICTS } from "./verdicts.ts";
import { type Replay, recomputeDigest, replayAgain, verifyChain } from "./verify.ts";

const suite = await createPortableSuite();
const clock = { now: () => 1_700_000_000_000, mono: () => 0 };
const env = { suite, clock, point: () => undefined };

/** A vault with a few entries of its one device, applied. */
function vault(): {
  readonly store: MapReplicaStore;
  readonly replica: Replica;
  readonly kinds: readonly Kind[];
} {
  const kinds = [createTablesKind(suite) as Kind];
  const store = new MapReplicaStore(replicaSpaces(kinds));
  const keys = deviceKeys(suite, drawDeviceSeeds(suite));
  const genesis = makeGenesis(suite, clock, personKeys(suite, suite.random(32)), keys);
  const replica = createReplica(env, { store, genesis, keys, localKey: suite.random(32), kinds });
  foundVault(suite, clock, replica, { vault: "home", device: "laptop" });
  for (let n = 0; n < 5; n++) {
    const batch = replica.nextBatch(new Set());
    const { seq } = replica.head();
    const entries = batch.map(({ frame }) => ({ time: clock.now() + seq, frame }));
    replica.ingest(seq, {
      objects: [{ kind: "page", first: seq + 1, prev: null, entries, hash: suite.random(32) }],
      head: seq + entries.length,
    });
    replica.apply(4096, undefined);
    replica.write((tx) => replica.attest(tx));
  }
  return { store, replica, kinds };
}

function replayed(replica: Replica): Replay {
  const kinds = [createTablesKind(suite) as Kind];
  const scratch = createReplica(env, {
    store: new MapReplicaStore(replicaSpaces(kinds)),
    genesis: replica.genesis,
    keys: deviceKeys(suite, drawDeviceSeeds(suite)),
    localKey: suite.random(32),
    kinds,
  });
  const steps = replayAgain(replica, scratch, 2);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

describe("verify", () => {
  test("[IFC15] what is sound is found sound, in slices", () => {
    const { store, replica, kinds } = vault();
    const spaces = [...engineSpaces, ...membershipSpaces, ...kinds.flatMap((k) => k.spaces)];
    expect(replica.read((tx) => verifyChain(tx, suite, replica.vault))).toBeUndefined();
    expect(recomputeDigest(store, suite, spaces)).toBe(replica.digest());
    expect(replayed(replica)).toEqual({
      entries: 5,
      verdict: undefined,
      stopped: undefined,
      digest: replica.digest(),
    });
  });

  test("[IFC15] a changed, a missing and a reordered entry break the chain where they stand", () => {
    for (const [seq, spoil] of [
      [3, (bytes: Uint8Array) => bytes.with(bytes.length - 1, (bytes.at(-1) as number) ^ 1)],
      [2, () => undefined],
    ] as const) {
      const { store, replica } = vault();
      const key = u64Key(seq);
      const changed = spoil(store.get(LOG, key) as Uint8Array);
      if (changed === undefined) store.delete(LOG, key);
      else store.put(LOG, key, changed);
      expect(replica.read((tx) => verifyChain(tx, suite, replica.vault))?.seq).toBe(seq);
    }
    const { store, replica } = vault();
    const [second, third] = [store.get(LOG, u64Key(2)), store.get(LOG, u64Key(3))] as [
      Uint8Array,
      Uint8Array,
    ];
    store.put(LOG, u64Key(2), third);
    store.put(LOG, u64Key(3), second);
    expect(replica.read((tx) => verifyChain(tx, suite, replica.vault))).toEqual({ seq: 2, what: "link" });
  });

  test("[IFC15] a changed row shows in the digest, a changed verdict in the replay", () => {
    const { store, replica, kinds } = vault();
    const spaces = [...engineSpaces, ...membershipSpaces, ...kinds.flatMap((k) => k.spaces)];
    const verdict = store.get(VERDICTS, u64Key(4)) as Uint8Array;
    store.put(VERDICTS, u64Key(4), verdict.with(5, (verdict[5] as number) ^ 1));
    expect(replayed(replica).verdict).toBe(4);
    const [key, value] = store.scan("v.device", new Uint8Array(0), undefined, 1)[0] as [
      Uint8Array,
      Uint8Array,
    ];
    store.put("v.device", key, value.with(0, (value[0] as number) ^ 1));
    expect(recomputeDigest(store, suite, spaces)).not.toBe(replica.digest());
  });
});
