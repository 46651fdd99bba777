import { toHex } from "@tidelock/core/bytes/bytes";
import type { ReplicaStore } from "@tidelock/core/ports";
import { expect, test } from "vitest";
import { MapReplicaStore } from "./map-store.ts";
import { firstFailing } from "./suites/cases.ts";
import { type CreateStore, describeStore, storeCases } from "./suites/store-contract.ts";

const inMemory =
  (Store: typeof MapReplicaStore): CreateStore =>
  (spaces) => {
    const store = new Store(spaces);
    return { store, crash: () => MapReplicaStore.fromImage(store.image()), dispose: () => {} };
  };

describeStore("memory", inMemory(MapReplicaStore));

/** Each breaks one line of the contract; the suite has to see it. */
const broken: Record<string, typeof MapReplicaStore> = {
  "keeps the caller's buffer": class extends MapReplicaStore {
    readonly #kept = new Map<string, Uint8Array>();
    override put(space: string, key: Uint8Array, value: Uint8Array): void {
      super.put(space, key, value);
      this.#kept.set(`${space}/${toHex(key)}`, value);
    }
    override get(space: string, key: Uint8Array): Uint8Array | undefined {
      return this.#kept.get(`${space}/${toHex(key)}`) ?? super.get(space, key);
    }
  },
  "undoes nothing": class extends MapReplicaStore {
    override transaction<T>(work: () => T): T {
      return work();
    }
  },
  "forgets what an inner level threw": class extends MapReplicaStore {
    #depth = 0;
    override transaction<T>(work: () => T): T {
      if (this.#depth > 0) return work();
      this.#depth++;
      try {
        return super.transaction(work);
      } finally {
        this.#depth--;
      }
    }
  },
  "scans its end too": class extends MapReplicaStore {
    override scan(...[space, from, to, limit]: Parameters<ReplicaStore["scan"]>): [Uint8Array, Uint8Array][] {
      const end = to === undefined ? undefined : this.get(space, to);
      const found = super.scan(space, from, to, limit);
      return to === undefined || end === undefined ? found : [...found, [to, end]];
    }
  },
  "knows no limit": class extends MapReplicaStore {
    override scan(space: string, from: Uint8Array, to: Uint8Array | undefined): [Uint8Array, Uint8Array][] {
      return super.scan(space, from, to);
    }
  },
  "looks below the start": class extends MapReplicaStore {
    override last(
      space: string,
      _from: Uint8Array,
      to: Uint8Array | undefined,
    ): [Uint8Array, Uint8Array] | undefined {
      return super.last(space, new Uint8Array(0), to);
    }
  },
};

test("the suite sees every broken store", async () => {
  expect(await firstFailing(storeCases, inMemory(MapReplicaStore))).toBeUndefined();
  for (const [what, Store] of Object.entries(broken)) {
    expect(await firstFailing(storeCases, inMemory(Store)), what).toBeDefined();
  }
});

test("an image is a state of its own", () => {
  const store = new MapReplicaStore(["a"]);
  const [one, two] = [Uint8Array.of(1), Uint8Array.of(2)];
  store.put("a", two, one);
  const image = store.image();
  store.put("a", one, one);
  store.delete("a", two);
  const [first, second] = [MapReplicaStore.fromImage(image), MapReplicaStore.fromImage(image)];
  first.put("a", one, two);
  expect(first.scan("a", new Uint8Array(0), undefined)).toEqual([
    [one, two],
    [two, one],
  ]);
  expect(second.scan("a", new Uint8Array(0), undefined)).toEqual([[two, one]]);
  expect(store.scan("a", new Uint8Array(0), undefined)).toEqual([[one, one]]);
});

test("keys come back in order however they came and went", () => {
  const store = new MapReplicaStore(["a"]);
  const key = (n: number): Uint8Array => Uint8Array.of(n >> 8, n & 255);
  const order = Array.from({ length: 3000 }, (_, i) => (i * 7919) % 3001);
  for (const [i, n] of order.entries()) {
    store.put("a", key(n), key(i));
    if (i % 3 === 0) store.delete("a", key(order[i >> 1] as number));
    if (i % 100 === 0) store.scan("a", key(0), undefined, 1);
    if (i % 7 === 0) store.put("a", key(order[i >> 2] as number), key(i));
  }
  const keys = store
    .scan("a", new Uint8Array(0), undefined)
    .map(([k]) => (k[0] as number) * 256 + (k[1] as number));
  expect(keys).toEqual([...new Set(keys)].sort((a, b) => a - b));
  expect(keys.length).toBe(store.count("a"));
});
