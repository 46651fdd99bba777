import { encodeUtf8, readU32 } from "../bytes/bytes.ts";
import type { Suite } from "../crypto/suite.ts";
import type { ReplicaStore } from "../ports.ts";
import type { Space } from "./kind.ts";

/**
 * The view of the replica inside one transaction. Keeps the running state digest (rule LOG8):
 * a sum modulo 2^128 over the rows of digested spaces, so that its cost is that of the rows
 * touched and it is known at every seq.
 */
export class Tx {
  readonly #store: ReplicaStore;
  readonly #suite: Suite;
  readonly #digested: ReadonlyMap<string, Uint8Array>;
  #scratch: Map<string, unknown> | undefined;
  readonly #before: () => bigint;
  #digest: bigint | undefined;
  /** What rows have added since that was known. */
  readonly #sums = new RowSums();
  /** Whether this transaction changed confirmed state. */
  moved = false;

  /** `digest` is what the sum was before: told, or read from the replica when it is first needed. */
  constructor(
    store: ReplicaStore,
    suite: Suite,
    digested: ReadonlyMap<string, Uint8Array>,
    digest: bigint | (() => bigint),
  ) {
    this.#store = store;
    this.#suite = suite;
    this.#digested = digested;
    this.#before = typeof digest === "bigint" ? () => digest : digest;
  }

  /** The state digest now. Read from the replica only when somebody asks. */
  get digest(): bigint {
    this.#digest = BigInt.asUintN(128, (this.#digest ?? this.#before()) + this.#sums.take());
    return this.#digest;
  }

  get(space: string, key: Uint8Array): Uint8Array | undefined {
    return this.#store.get(space, key);
  }

  /** `known` is what stands there now, where the caller has just read it. */
  put(
    space: string,
    key: Uint8Array,
    value: Uint8Array,
    known?: { readonly bytes: Uint8Array | undefined },
  ): void {
    const name = this.#digested.get(space);
    if (name !== undefined) {
      const old = known === undefined ? this.#store.get(space, key) : known.bytes;
      if (old !== undefined) this.#sum(name, key, old, -1);
      this.#sum(name, key, value, 1);
    }
    this.#store.put(space, key, value);
  }

  delete(space: string, key: Uint8Array): void {
    const name = this.#digested.get(space);
    if (name !== undefined) {
      const old = this.#store.get(space, key);
      if (old === undefined) return;
      this.#sum(name, key, old, -1);
    }
    this.#store.delete(space, key);
  }

  scan(
    space: string,
    from: Uint8Array,
    to: Uint8Array | undefined,
    limit?: number,
  ): [Uint8Array, Uint8Array][] {
    return this.#store.scan(space, from, to, limit);
  }

  last(space: string, from: Uint8Array, to: Uint8Array | undefined): [Uint8Array, Uint8Array] | undefined {
    return this.#store.last(space, from, to);
  }

  /** Memory of one kind that lives as long as this transaction, e.g. the keys it touched. */
  scratch<T>(kind: string, make: () => T): T {
    this.#scratch ??= new Map();
    let value = this.#scratch.get(kind) as T | undefined;
    if (value === undefined) {
      value = make();
      this.#scratch.set(kind, value);
    }
    return value;
  }

  /** That memory if the kind has any: a transaction that never met it costs nothing. */
  known<T>(kind: string): T | undefined {
    return this.#scratch?.get(kind) as T | undefined;
  }

  #sum(name: Uint8Array, key: Uint8Array, value: Uint8Array, sign: 1 | -1): void {
    this.moved = true;
    this.#sums.add(rowHash(this.#suite, name, key, value), sign);
  }
}

/** The digested spaces by name, each with its encoded name: what `Tx` wants. */
export function digestedSpaces(spaces: readonly Space[]): ReadonlyMap<string, Uint8Array> {
  return new Map(spaces.filter((s) => s.digested).map((s) => [s.name, encodeUtf8(s.name)]));
}

/** Hashes of rows, added up modulo 2^128: four numbers, because a BigInt for each row would cost as much as its hash. */
export class RowSums {
  readonly #words = [0, 0, 0, 0];
  #sum = 0n;
  #rows = 0;

  add(hash: Uint8Array, sign: 1 | -1): void {
    for (let i = 0; i < 4; i++) (this.#words[i] as number) += sign * readU32(hash, 4 * i);
    if (++this.#rows === EXACT) this.#carry();
  }

  /** The sum so far; it begins anew at 0. */
  take(): bigint {
    this.#carry();
    const sum = BigInt.asUintN(128, this.#sum);
    this.#sum = 0n;
    return sum;
  }

  #carry(): void {
    if (this.#rows === 0) return;
    for (const [i, n] of this.#words.entries()) this.#sum += BigInt(n) << BigInt(96 - 32 * i);
    this.#words.fill(0);
    this.#rows = 0;
  }
}

/** So many numbers below 2^32 add up exactly in a double. */
const EXACT = 2 ** 20;

/** One row's part of the digest: BLAKE2b-128(length-prefixed space ‖ key ‖ value), an integer, big-endian. */
export function rowHash(suite: Suite, name: Uint8Array, key: Uint8Array, value: Uint8Array): Uint8Array {
  const head = 3 + name.length;
  const length = head + key.length + value.length;
  const input = inputOf(length);
  input[0] = name.length;
  input[1] = key.length >> 8;
  input[2] = key.length;
  input.set(name, 3);
  input.set(key, head);
  input.set(value, head + key.length);
  return suite.hash(input, 16);
}

/** What is hashed is put together here, row after row. */
const scratch = new Uint8Array(4096);
/** Its beginnings by their length, made when they are first needed: most rows are as long as many others. */
const beginnings: Uint8Array[] = [];

function inputOf(length: number): Uint8Array {
  if (length > scratch.length) return new Uint8Array(length);
  beginnings[length] ??= scratch.subarray(0, length);
  return beginnings[length];
}
