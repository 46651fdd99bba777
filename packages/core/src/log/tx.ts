import { encodeUtf8 } from "../bytes/bytes.ts";
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
    this.#digest ??= this.#before();
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
      if (old !== undefined) this.#sum(name, key, old, -1n);
      this.#sum(name, key, value, 1n);
    }
    this.#store.put(space, key, value);
  }

  delete(space: string, key: Uint8Array): void {
    const name = this.#digested.get(space);
    if (name !== undefined) {
      const old = this.#store.get(space, key);
      if (old === undefined) return;
      this.#sum(name, key, old, -1n);
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

  #sum(name: Uint8Array, key: Uint8Array, value: Uint8Array, sign: bigint): void {
    this.moved = true;
    this.#digest = BigInt.asUintN(128, this.digest + sign * rowSum(this.#suite, name, key, value));
  }
}

/** The digested spaces by name, each with its encoded name: what `Tx` wants. */
export function digestedSpaces(spaces: readonly Space[]): ReadonlyMap<string, Uint8Array> {
  return new Map(spaces.filter((s) => s.digested).map((s) => [s.name, encodeUtf8(s.name)]));
}

/** One row's part of the digest: BLAKE2b-128(length-prefixed space ‖ key ‖ value), as an integer. */
export function rowSum(suite: Suite, name: Uint8Array, key: Uint8Array, value: Uint8Array): bigint {
  const head = 3 + name.length;
  const length = head + key.length + value.length;
  const input = length <= scratch.length ? scratch.subarray(0, length) : new Uint8Array(length);
  input[0] = name.length;
  input[1] = key.length >> 8;
  input[2] = key.length;
  input.set(name, 3);
  input.set(key, head);
  input.set(value, head + key.length);
  const hash = suite.hash(input, 16);
  const view = new DataView(hash.buffer, hash.byteOffset, 16);
  return (view.getBigUint64(0) << 64n) | view.getBigUint64(8);
}

/** What is hashed is put together here, row after row. */
const scratch = new Uint8Array(4096);
