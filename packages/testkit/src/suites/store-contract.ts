import { compareBytes, encodeUtf8 } from "@tidelock/core/bytes/bytes";
import type { ReplicaStore } from "@tidelock/core/ports";
import fc from "fast-check";
import { expect } from "vitest";
import { type ContractCase, describeCases } from "./cases.ts";

export interface StoreFixture {
  readonly store: ReplicaStore;
  /** Leaves the store as it is, without closing it, and opens what is durable. */
  crash(): ReplicaStore;
  dispose(): void;
}

export type CreateStore = (spaces: readonly string[]) => StoreFixture;

/** The contract of `ReplicaStore`. What passes it may stand in for SQL in the simulated world. */
export function describeStore(name: string, create: CreateStore): void {
  describeCases(`ReplicaStore: ${name}`, storeCases, create);
}

const A = "t.row";
const B = `odd "name"; --`;
const FROM = new Uint8Array(0);
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const pairs = (found: readonly (readonly [Uint8Array, Uint8Array])[]): number[][] =>
  found.map(([key, value]) => [...key, ...value]);

function inStore(
  work: (store: ReplicaStore, crash: () => ReplicaStore) => void,
): (create: CreateStore) => void {
  return (create) => {
    const fixture = create([A, B]);
    try {
      work(fixture.store, () => fixture.crash());
    } finally {
      fixture.dispose();
    }
  };
}

function fails(work: () => void): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error("did not fail");
}

export const storeCases: readonly ContractCase<CreateStore>[] = [
  {
    title: "a value is found under its key until it is replaced or deleted",
    run: inStore((store) => {
      expect(store.get(A, bytes(1))).toBeUndefined();
      store.put(A, bytes(1), bytes(10));
      store.put(B, bytes(1), bytes(20));
      expect(store.get(A, bytes(1))).toEqual(bytes(10));
      store.put(A, bytes(1), bytes(11));
      expect(store.get(A, bytes(1))).toEqual(bytes(11));
      store.delete(A, bytes(1));
      store.delete(A, bytes(1));
      expect(store.get(A, bytes(1))).toBeUndefined();
      expect(store.get(B, bytes(1))).toEqual(bytes(20));
      expect([store.count(A), store.count(B)]).toEqual([0, 1]);
    }),
  },
  {
    title: "an empty key and an empty value are like any other",
    run: inStore((store) => {
      store.put(A, FROM, FROM);
      expect(store.get(A, FROM)).toEqual(FROM);
      expect(store.scan(A, FROM, undefined)).toEqual([[FROM, FROM]]);
      expect(store.last(A, FROM, undefined)).toEqual([FROM, FROM]);
      store.delete(A, FROM);
      expect(store.count(A)).toBe(0);
    }),
  },
  {
    title: "keys sort byte by byte, unsigned, the shorter first",
    run: inStore((store) => {
      const keys = [[0], [0, 0], [0, 255], [1], [127, 1], [128], [200, 0], [255], [255, 0], [255, 255]];
      for (const key of [...keys].reverse()) store.put(A, bytes(...key), FROM);
      expect(store.scan(A, FROM, undefined).map(([key]) => [...key])).toEqual(keys);
      expect(store.scan(A, bytes(0, 1), bytes(200, 0)).map(([key]) => [...key])).toEqual([
        [0, 255],
        [1],
        [127, 1],
        [128],
      ]);
    }),
  },
  {
    title: "a scan takes from its start up to before its end, at most its limit",
    run: inStore((store) => {
      for (const n of [1, 2, 3, 4, 5]) store.put(A, bytes(n), bytes(n));
      expect(pairs(store.scan(A, bytes(2), bytes(4)))).toEqual([
        [2, 2],
        [3, 3],
      ]);
      expect(pairs(store.scan(A, bytes(2), undefined, 2))).toEqual([
        [2, 2],
        [3, 3],
      ]);
      expect(store.scan(A, bytes(2), bytes(4), 0)).toEqual([]);
      expect(store.scan(A, bytes(4), bytes(2))).toEqual([]);
      expect(store.scan(A, bytes(6), undefined)).toEqual([]);
    }),
  },
  {
    title: "last finds the greatest key below its end and not below its start",
    run: inStore((store) => {
      for (const n of [1, 3, 5]) store.put(A, bytes(n), bytes(n));
      expect(store.last(A, FROM, undefined)).toEqual([bytes(5), bytes(5)]);
      expect(store.last(A, FROM, bytes(5))).toEqual([bytes(3), bytes(3)]);
      expect(store.last(A, bytes(3), bytes(5))).toEqual([bytes(3), bytes(3)]);
      expect(store.last(A, bytes(4), bytes(5))).toBeUndefined();
      expect(store.last(A, FROM, bytes(1))).toBeUndefined();
      store.delete(A, bytes(5));
      expect(store.last(A, FROM, undefined)).toEqual([bytes(3), bytes(3)]);
    }),
  },
  {
    title: "bytes are taken when they are put and never change once handed out",
    run: inStore((store) => {
      const key = bytes(1, 2);
      const value = bytes(3, 4);
      store.put(A, key, value);
      key.fill(9);
      value.fill(9);
      const got = store.get(A, bytes(1, 2)) as Uint8Array;
      const [[scannedKey, scanned]] = store.scan(A, FROM, undefined) as [[Uint8Array, Uint8Array]];
      store.put(A, bytes(1, 2), bytes(7, 7));
      for (let i = 0; i < 2000; i++) store.get(A, bytes(1, 2));
      expect([got, scanned, scannedKey]).toEqual([bytes(3, 4), bytes(3, 4), bytes(1, 2)]);
      // A Buffer would do almost everything alike, except that its slice shares memory.
      for (const out of [got, scanned, scannedKey])
        expect(Object.getPrototypeOf(out)).toBe(Uint8Array.prototype);
    }),
  },
  {
    title: "[P5] a throw undoes the whole transaction and comes out as it went in",
    run: inStore((store) => {
      store.put(A, bytes(1), bytes(1));
      const thrown = new Error("stop");
      const got = fails(() =>
        store.transaction(() => {
          store.put(A, bytes(1), bytes(2));
          store.put(A, bytes(2), bytes(2));
          store.delete(A, bytes(1));
          store.put(B, bytes(3), bytes(3));
          expect(store.get(A, bytes(2))).toEqual(bytes(2));
          expect(store.scan(A, FROM, undefined).length).toBe(1);
          throw thrown;
        }),
      );
      expect(got).toBe(thrown);
      expect(pairs(store.scan(A, FROM, undefined))).toEqual([[1, 1]]);
      expect(store.count(B)).toBe(0);
      expect(store.transaction(() => 7)).toBe(7);
    }),
  },
  {
    title:
      "[P5] a nested transaction joins the outer one, and a throw that the outer one catches still undoes all",
    run: inStore((store) => {
      store.transaction(() => {
        store.put(A, bytes(1), bytes(1));
        store.transaction(() => store.put(A, bytes(2), bytes(2)));
      });
      expect(store.count(A)).toBe(2);
      const inner = new Error("inner");
      const got = fails(() =>
        store.transaction(() => {
          store.put(A, bytes(3), bytes(3));
          fails(() =>
            store.transaction(() => {
              store.put(A, bytes(4), bytes(4));
              throw inner;
            }),
          );
          store.put(A, bytes(5), bytes(5));
        }),
      );
      expect(got).toBe(inner);
      expect(store.count(A)).toBe(2);
      store.transaction(() => store.put(A, bytes(6), bytes(6)));
      expect(store.count(A)).toBe(3);
    }),
  },
  {
    title: "asynchronous work is a fault, and leaves nothing behind",
    run: inStore((store) => {
      const work = (): unknown => {
        store.put(A, bytes(1), bytes(1));
        return Promise.resolve();
      };
      const error = fails(() => {
        store.transaction(work);
      });
      expect(error).toBeInstanceOf(TypeError);
      expect(store.count(A)).toBe(0);
    }),
  },
  {
    title: "a space that was not declared is a fault",
    run: inStore((store) => {
      for (const call of [
        () => store.get("other", FROM),
        () => store.put("other", FROM, FROM),
        () => store.delete("other", FROM),
        () => store.scan("other", FROM, undefined),
        () => store.last("other", FROM, undefined),
        () => store.count("other"),
      ]) {
        expect(fails(call)).toBeInstanceOf(RangeError);
      }
    }),
  },
  {
    title: "[P1] [P5] after a crash the committed transactions are there whole, an open one not at all",
    run: inStore((store, crash) => {
      store.put(A, bytes(1), bytes(1));
      store.transaction(() => {
        store.put(A, bytes(2), bytes(2));
        store.delete(A, bytes(1));
        store.put(B, bytes(3), encodeUtf8("x".repeat(9000)));
      });
      fails(() =>
        store.transaction(() => {
          store.put(A, bytes(4), bytes(4));
          const after = crash();
          expect(pairs(after.scan(A, FROM, undefined))).toEqual([[2, 2]]);
          expect(after.get(B, bytes(3))?.length).toBe(9000);
          throw new Error("crashed");
        }),
      );
    }),
  },
  {
    title: "any sequence of calls gives the answers of a sorted list",
    run: (create) => {
      fc.assert(
        fc.property(commands, (list) => compareWithModel(create, list)),
        { numRuns: 60 },
      );
    },
  },
];

type Command =
  | { readonly kind: "put"; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly kind: "delete"; readonly key: Uint8Array }
  | {
      readonly kind: "scan";
      readonly from: Uint8Array;
      readonly to: Uint8Array | undefined;
      readonly limit: number;
    }
  | { readonly kind: "transaction"; readonly ok: boolean; readonly inner: readonly Command[] };

const key = fc.uint8Array({ maxLength: 2, max: 3 });
const step: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant("put" as const), key, value: fc.uint8Array({ maxLength: 3 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), key }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("scan" as const),
      from: key,
      to: fc.option(key, { nil: undefined }),
      limit: fc.nat(5),
    }),
  },
);
const commands: fc.Arbitrary<Command[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: step },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("transaction" as const),
        ok: fc.boolean(),
        inner: fc.array(step, { maxLength: 8 }),
      }),
    },
  ),
  { maxLength: 40 },
);

function compareWithModel(create: CreateStore, list: readonly Command[]): void {
  inStore((store) => {
    let model: Pair[] = [];
    const check = (from: Uint8Array, to: Uint8Array | undefined, limit: number): void => {
      const within = model.filter(
        ([k]) => compareBytes(k, from) >= 0 && (to === undefined || compareBytes(k, to) < 0),
      );
      expect(store.scan(A, from, to, limit)).toEqual(within.slice(0, limit));
      expect(store.last(A, from, to)).toEqual(within.at(-1));
    };
    const run = (command: Command): void => {
      switch (command.kind) {
        case "put":
          store.put(A, command.key, command.value);
          model = [...without(model, command.key), [command.key, command.value] as Pair].sort(([a], [b]) =>
            compareBytes(a, b),
          );
          break;
        case "delete":
          store.delete(A, command.key);
          model = without(model, command.key);
          break;
        case "scan":
          check(command.from, command.to, command.limit);
          break;
        case "transaction": {
          const before = model;
          const work = (): void => {
            for (const one of command.inner) run(one);
            if (!command.ok) throw new Error("undo");
          };
          if (command.ok) store.transaction(work);
          else {
            fails(() => store.transaction(work));
            model = before;
          }
        }
      }
    };
    for (const command of list) run(command);
    expect(store.scan(A, FROM, undefined)).toEqual(model);
    expect(store.count(A)).toBe(model.length);
  })(create);
}

type Pair = [Uint8Array, Uint8Array];

function without(model: readonly Pair[], key: Uint8Array): Pair[] {
  return model.filter(([k]) => compareBytes(k, key) !== 0);
}
