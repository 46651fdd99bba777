/**
 * Which row a number in the file means. The vault knows a minted row by its `born`; the file by
 * its row number. This index says what the file held when it was last read or written, and is
 * changed by nothing else, so a number read from the file is always understood as its writer
 * meant it, whatever the vault has renumbered since. Rule ATT21.
 */
import { Reader } from "@tidelock/core/bytes/reader";
import { Writer } from "@tidelock/core/bytes/writer";
import type { Born } from "@tidelock/core/kinds/tables/types";
import type { Tx } from "@tidelock/core/log/tx";

const NUM = "a.num";
const FORWARD = 1;
const BACK = 2;

export interface Holder {
  readonly born: Born;
  /** False once the row left the number: it is then only the last that stood there. */
  readonly live: boolean;
  /** The counter that covered the number last. */
  readonly gen: number;
}

export class Numbers {
  readonly #slot: number;
  constructor(slot: number) {
    this.#slot = slot;
  }

  /** Who stands, or stood last, at a number of the file. */
  at(tx: Tx, table: number, number: bigint): Holder | undefined {
    const bytes = tx.get(NUM, this.#forward(table, number));
    return bytes === undefined ? undefined : parse(bytes);
  }

  /** The number under which the file shows a row, or showed it last. */
  of(tx: Tx, table: number, born: Born): { readonly number: bigint; readonly live: boolean } | undefined {
    const bytes = tx.get(NUM, this.#back(table, born));
    if (bytes === undefined) return undefined;
    const r = new Reader(bytes);
    return { number: r.z(), live: r.u8() === 1 };
  }

  /** The file shows `born` at `number` now; undefined: it shows it no more. */
  put(tx: Tx, table: number, born: Born, number: bigint | undefined, gen: number): void {
    const old = this.of(tx, table, born);
    if (old !== undefined && old.number !== number) {
      const there = this.at(tx, table, old.number);
      if (there !== undefined && same(there.born, born))
        this.#putForward(tx, table, old.number, born, false, gen);
    }
    if (number === undefined) {
      if (old === undefined) return;
      tx.put(NUM, this.#back(table, born), new Writer(16).z(old.number).u8(0).done());
    } else {
      tx.put(NUM, this.#back(table, born), new Writer(16).z(number).u8(1).done());
      this.#putForward(tx, table, number, born, true, gen);
    }
  }

  coveredAfter(tx: Tx, table: number, counter: number): readonly { number: bigint; holder: Holder }[] {
    const from = this.#prefix(FORWARD, table);
    return tx.scan(NUM, from, this.#prefix(FORWARD, table + 1)).flatMap(([key, bytes]) => {
      const holder = parse(bytes);
      const number = BigInt.asIntN(
        64,
        new DataView(key.buffer, key.byteOffset + 9, 8).getBigUint64(0) ^ FLIP,
      );
      return holder.gen > counter ? [{ number, holder }] : [];
    });
  }

  copy(from: Tx, to: Tx, tables: readonly number[]): void {
    for (const table of tables) {
      for (const kind of [FORWARD, BACK]) {
        const rows = from.scan(NUM, this.#prefix(kind, table), this.#prefix(kind, table + 1));
        for (const [key, value] of rows) to.put(NUM, key, value);
      }
    }
  }

  isEmpty(tx: Tx, table: number): boolean {
    return tx.scan(NUM, this.#prefix(FORWARD, table), this.#prefix(FORWARD, table + 1), 1).length === 0;
  }

  forget(tx: Tx, tables: readonly number[]): void {
    for (const table of tables) {
      for (const kind of [FORWARD, BACK]) {
        for (const [key] of tx.scan(NUM, this.#prefix(kind, table), this.#prefix(kind, table + 1)))
          tx.delete(NUM, key);
      }
    }
  }

  #putForward(tx: Tx, table: number, number: bigint, born: Born, live: boolean, gen: number): void {
    tx.put(
      NUM,
      this.#forward(table, number),
      new Writer(24)
        .fixed(born)
        .u8(live ? 1 : 0)
        .v(gen)
        .done(),
    );
  }

  #prefix(kind: number, table: number): Uint8Array {
    return new Writer(9).u8(kind).u32(this.#slot).u32(table).done();
  }

  #forward(table: number, number: bigint): Uint8Array {
    const key = new Uint8Array(17);
    key.set(this.#prefix(FORWARD, table));
    // The sign bit flipped, so that bytes sort as numbers do.
    new DataView(key.buffer).setBigUint64(9, BigInt.asUintN(64, number) ^ FLIP);
    return key;
  }

  #back(table: number, born: Born): Uint8Array {
    return new Writer(24).fixed(this.#prefix(BACK, table)).fixed(born).done();
  }
}

const FLIP = 1n << 63n;

function parse(bytes: Uint8Array): Holder {
  const r = new Reader(bytes);
  return { born: r.fixed(8).slice() as Born, live: r.u8() === 1, gen: r.v() };
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}
