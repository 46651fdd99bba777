import { describe, expect, test } from "vitest";
import { MapReplicaStore } from "../../../testkit/src/map-store.ts";
import type { Sealed } from "../bytes/brand.ts";
import { concat } from "../bytes/bytes.ts";
import { decodeWith } from "../bytes/reader.ts";
import { deviceKeys, drawDeviceSeeds, personKeys } from "../crypto/identity.ts";
import { createPortableSuite } from "../crypto/sodium-portable.ts";
import type { Kind } from "../log/kind.ts";
import type { LogObject, Remote } from "../ports.ts";
import { createEngine } from "./engine.ts";
import { foundVault, makeGenesis } from "./found.ts";
import { findVault, joinVault } from "./join.ts";
import { createReplica, replicaSpaces } from "./replica.ts";

const suite = await createPortableSuite();
const clock = { now: () => Date.now(), mono: () => performance.now() };
const env = {
  suite,
  clock,
  scheduler: {
    after: (ms: number, work: () => void) => {
      const t = setTimeout(work, ms);
      return () => clearTimeout(t);
    },
  },
  log: { event: (name: string, fields?: object) => process.env["SMOKE"] && console.log(name, fields) },
  point: () => undefined,
};

/** One register: the last write in the log holds. */
const LAST = "x.last";
function register(): Kind<Uint8Array> {
  return {
    section: 2,
    name: "register",
    spaces: [{ name: LAST, digested: true }],
    decode: (section) => decodeWith(section, (r) => ({ changes: 1, value: r.fixed(r.left) })),
    apply: (tx, sections) => {
      for (const s of sections) tx.put(LAST, new Uint8Array([1]), s);
    },
    hold: () => undefined,
    release: () => undefined,
    settle: () => undefined,
  };
}

function sharedRemote(): () => Remote {
  const objects: LogObject[] = [];
  let genesis: Uint8Array | undefined;
  const blobs = new Map<string, Uint8Array>();
  const head = () => {
    const last = objects.at(-1);
    return last === undefined ? 0 : last.first + (last.kind === "page" ? last.entries.length : 1) - 1;
  };
  return () => ({
    caps: { wake: false, deletes: false, accounts: false, links: false },
    create: async (bytes) => {
      genesis ??= bytes;
      return { kind: "ok", value: "created" };
    },
    genesis: async () => ({ kind: "ok", value: genesis }),
    read: async (after) => ({
      kind: "ok",
      value: { objects: objects.filter((o) => o.first > after), head: head() },
    }),
    append: async (frames, seen) => {
      if (seen.seq !== head()) return { kind: "behind" };
      const entries = frames.map((frame) => ({ time: Date.now(), frame }));
      objects.push({
        kind: "page",
        first: seen.seq + 1,
        prev: seen.hash,
        entries,
        hash: suite.sha256(concat(...frames)),
      });
      return { kind: "committed", first: seen.seq + 1 };
    },
    putBlob: async (id, bytes) => {
      blobs.set(String(id), bytes);
      return { kind: "ok", value: "stored" };
    },
    getBlob: async (id) => ({ kind: "ok", value: blobs.get(String(id)) }),
    listBlobs: async () => ({ kind: "ok", value: { now: 0, blobs: [] } }),
    deleteBlobs: async (ids) => ({ kind: "ok", value: ids }),
    close: () => undefined,
  });
}

describe("engine", () => {
  test("a vault is founded, joined by the words, and both devices hold the same state", async () => {
    const remote = sharedRemote();
    const person = personKeys(suite, suite.random(32));
    const make = (
      genesis: Parameters<typeof createReplica>[1]["genesis"],
      keys = deviceKeys(suite, drawDeviceSeeds(suite)),
    ) =>
      createReplica(env, {
        store: new MapReplicaStore(replicaSpaces([register() as Kind])),
        genesis,
        keys,
        localKey: suite.random(32),
        kinds: [register() as Kind],
      });

    const keysA = deviceKeys(suite, drawDeviceSeeds(suite));
    const a = make(makeGenesis(suite, clock, person, keysA), keysA);
    foundVault(suite, clock, a, { vault: "home", device: "laptop" });
    const engineA = createEngine({ env, replica: a, remote: remote() });
    expect(await engineA.syncNow()).toEqual({ kind: "live", head: 1 });

    const b = make(await findVault(suite, remote(), person));
    await joinVault(suite, clock, b, remote(), person, "phone");
    const engineB = createEngine({ env, replica: b, remote: remote() });
    expect(engineB.device).toBe(1);

    const write = (engine: typeof engineA, text: string): Promise<unknown> => {
      const run = engine.write((tx) =>
        engine.submit(tx, {
          frames: Array.from(text, (c) => ({ sections: new Map([[2, new TextEncoder().encode(c)]]) })),
        }),
      );
      return engine.verdict(run);
    };
    const verdict = write(engineA, "hello");
    await engineA.syncNow();
    expect(await verdict).toMatchObject({ kind: "accepted" });
    await engineB.syncNow();
    const second = write(engineB, "y");
    await engineB.syncNow();
    expect(await second).toMatchObject({ kind: "accepted" });
    await engineA.syncNow();
    expect(a.digest()).toBe(b.digest());
    expect(a.cursor()).toEqual(b.cursor());
    expect(a.read((tx) => a.membership.deviceName(tx, 1))).toBe("phone");
    expect(b.read((tx) => b.membership.settings(tx)?.vaultName)).toBe("home");
    await engineA.stop();
    await engineB.stop();
  });
});

export type { Sealed };
