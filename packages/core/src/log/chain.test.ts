import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MapReplicaStore } from "../../../testkit/src/map-store.ts";
import { concat, equalBytes } from "../bytes/bytes.ts";
import { limits } from "../bytes/limits.ts";
import { Writer } from "../bytes/writer.ts";
import { createPortableSuite } from "../crypto/sodium-portable.ts";
import { genesisLink, isMembership, type Link, nextLink, nextLogTime } from "./chain.ts";
import { digestedSpaces, Tx } from "./tx.ts";

const suite = await createPortableSuite();
const vault = new Uint8Array(32).fill(7);
const DAY = 86_400_000;

interface Placed {
  readonly time: number;
  readonly frame: Uint8Array | undefined;
  readonly id: Uint8Array;
}
const entry = (time: number, frame: Uint8Array): Placed => ({ time, frame, id: suite.sha256(frame) });
const data = (n: number): Uint8Array => Uint8Array.of(1, 1, 1, n);
const membership = (n: number): Uint8Array => Uint8Array.of(1, 1, 2, n);
const chain = (entries: readonly Placed[]): Link =>
  entries.reduce((link, one, i) => nextLink(suite, link, i + 1, one), genesisLink(vault));

describe("the chain", () => {
  test("[LOG1] is what the formula says", () => {
    const one = entry(1_700_000_000_000, membership(1));
    const at = new Writer(14).u64(1).u48(one.time).done();
    const ctx = (label: string): Uint8Array =>
      concat(Uint8Array.of(label.length), new TextEncoder().encode(label));
    const members = suite.sha256(concat(ctx("tl1/member-chain"), vault, at, one.id));
    const hash = suite.sha256(concat(ctx("tl1/chain"), vault, members, at, one.id));
    expect(chain([one])).toEqual({ hash, members });
    expect(genesisLink(vault)).toEqual({ hash: vault, members: vault });
  });

  test("[LOG1] L3, L13: any other bytes, time, number or order give another hash", () => {
    const honest = [1, 2, 3, 4].map((n) => entry(1000 + n, n === 2 ? membership(n) : data(n)));
    const { hash } = chain(honest);
    const other = (entries: readonly Placed[]): void =>
      expect(equalBytes(chain(entries).hash, hash)).toBe(false);
    for (let i = 0; i < honest.length; i++) {
      const at = honest[i] as Placed;
      other(honest.with(i, { ...at, time: at.time + 1 }));
      other(honest.with(i, entry(at.time, data(99))));
      other(honest.toSpliced(i, 1));
      other(honest.toSpliced(i, 0, at));
      if (i > 0) other(honest.toSpliced(i - 1, 2, at, honest[i - 1] as Placed));
    }
    expect(chain(honest).hash).toEqual(hash);
  });

  test("[LOG3] M follows the membership entries alone, and h proves that none is missing", () => {
    const [a, b, c] = [entry(1, membership(1)), entry(2, data(2)), entry(3, membership(3))];
    expect(chain([a, b]).members).toEqual(chain([a]).members);
    expect(chain([a, b, c]).members).not.toEqual(chain([a]).members);
    // The number counts: the same two acts with something else before them are other acts.
    expect(chain([b, a]).members).not.toEqual(chain([a]).members);
    expect(chain([a, c]).members).not.toEqual(chain([a, b, c]).members);
  });

  test("[LOG3] membership is known by its kind byte and its size, without a verdict", () => {
    const of = (length: number): Uint8Array => new Uint8Array(length).fill(2);
    expect(isMembership(of(limits.membershipFrame))).toBe(true);
    expect(isMembership(of(limits.membershipFrame + 1))).toBe(false);
    expect(isMembership(of(3))).toBe(true);
    for (const frame of [of(2), of(0), data(1), undefined]) expect(isMembership(frame)).toBe(false);
    // Garbage that looks like one is one: M moves, so that all agree.
    expect(chain([entry(1, of(3))]).members).not.toEqual(vault);
  });

  test("[LOG4] garbage enters with the hash of its bytes, time 0 and M as it was", () => {
    const garbage = { time: 0, id: suite.sha256(membership(1)), frame: undefined };
    expect(chain([garbage]).members).toEqual(vault);
    expect(chain([garbage]).hash).not.toEqual(chain([{ ...garbage, frame: membership(1) }]).hash);
  });
});

describe("log time", () => {
  test("[LOG5] L15: follows the receive time, at most a day past the author's own clock, within 47 bits", () => {
    const at = 1_700_000_000;
    expect(nextLogTime(0, at * 1000, at)).toBe(at * 1000);
    expect(nextLogTime(0, at * 1000 + DAY, at)).toBe(at * 1000 + DAY);
    expect(nextLogTime(0, at * 1000 + DAY + 1, at)).toBe(at * 1000 + DAY);
    expect(nextLogTime(0, 4_294_967_295_000, at)).toBe(at * 1000 + DAY);
    expect(nextLogTime(0, 2 ** 48 - 1, Number.MAX_SAFE_INTEGER)).toBe(2 ** 47 - 1);
    expect(nextLogTime(0, 0, at)).toBe(0);
    expect(nextLogTime(0, at * 1000, 0)).toBe(DAY);
    // A clock behind: receive time counts, and never goes back.
    expect(nextLogTime(at * 1000, 5, at)).toBe(at * 1000);
  });

  test("[LOG5] never goes back, never passes what both its clocks allow", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(2 ** 48 - 1), fc.maxSafeNat())), (frames) => {
        let time = 0;
        let most = 0;
        for (const [received, sealedAt] of frames) {
          const next = nextLogTime(time, received, sealedAt);
          most = Math.max(most, Math.min(received, sealedAt * 1000 + DAY));
          expect(next).toBeGreaterThanOrEqual(time);
          expect(next).toBeLessThanOrEqual(most);
          expect(next).toBeLessThan(2 ** 47);
          time = next;
        }
      }),
    );
  });
});

describe("the state digest", () => {
  const spaces = [
    { name: "a", digested: true },
    { name: "ab", digested: true },
    { name: "local", digested: false },
  ];
  const open = (): { store: MapReplicaStore; tx: Tx } => {
    const store = new MapReplicaStore(spaces.map((s) => s.name));
    return { store, tx: new Tx(store, suite, digestedSpaces(spaces), 0n) };
  };
  const key = fc.uint8Array({ minLength: 1, maxLength: 2 });
  const step = fc.oneof(
    fc.record({
      kind: fc.constant("put" as const),
      space: fc.constantFrom("a", "ab", "local"),
      key,
      value: key,
    }),
    fc.record({ kind: fc.constant("delete" as const), space: fc.constantFrom("a", "ab", "local"), key }),
  );

  test("[LOG8] is that of the rows that are there, whatever the way to them", () => {
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const { store, tx } = open();
        for (const s of steps) {
          if (s.kind === "put") tx.put(s.space, s.key, s.value);
          else tx.delete(s.space, s.key);
        }
        const again = open();
        for (const { name } of [...spaces].reverse()) {
          for (const [k, v] of store.scan(name, new Uint8Array(0), undefined).reverse())
            if (name !== "local") again.tx.put(name, k, v);
        }
        expect(again.tx.digest).toBe(tx.digest);
      }),
    );
  });

  test("[LOG8] tells rows, keys, values and spaces apart, and leaves local spaces out", () => {
    const digests = new Set<bigint>();
    const one = (space: string, k: number[], v: number[]): bigint => {
      const { tx } = open();
      tx.put(space, Uint8Array.from(k), Uint8Array.from(v));
      return tx.digest;
    };
    const rows: [string, number[], number[]][] = [
      ["a", [1], [2]],
      ["a", [1], [3]],
      ["a", [2], [2]],
      ["ab", [1], [2]],
      ["a", [1, 2], []],
      ["a", [1], [2, 0]],
      ["a", [0x62, 1], [2]],
    ];
    for (const [space, k, v] of rows) digests.add(one(space, k, v));
    expect(digests.size).toBe(rows.length);
    expect(one("local", [1], [2])).toBe(0n);
    const { tx } = open();
    tx.put("a", Uint8Array.of(1), Uint8Array.of(2));
    tx.delete("a", Uint8Array.of(1));
    tx.delete("a", Uint8Array.of(9));
    expect(tx.digest).toBe(0n);
  });

  test("memory of a transaction is its own", () => {
    const { tx } = open();
    const made = tx.scratch("x", () => ({ n: 1 }));
    expect(tx.scratch("x", () => ({ n: 2 }))).toBe(made);
    expect(open().tx.scratch("x", () => ({ n: 3 }))).toEqual({ n: 3 });
  });
});
