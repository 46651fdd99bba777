/**
 * What the replica knows of a synced folder: which folder of the disk it is, what disk and vault
 * last agreed on of each item, and what was begun and must be finished. Local state of this device
 * only; every entry is written in one replica transaction with what it belongs to.
 */
import { afterPrefix, concat, decodeUtf8, encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { Reader } from "@tidelock/core/bytes/reader";
import { Writer } from "@tidelock/core/bytes/writer";
import { readId, readOp } from "@tidelock/core/kinds/files/item";
import type { SelectionRule } from "@tidelock/core/kinds/files/plan/selection";
import type { Fingerprint, SyncedRow } from "@tidelock/core/kinds/files/plan/types";
import type { ItemId, ItemKind, Op } from "@tidelock/core/kinds/files/types";
import type { Space } from "@tidelock/core/log/kind";
import type { Tx } from "@tidelock/core/log/tx";
import type { RootIdentity } from "./root.ts";

const SPACE = "a.dir";

/** Spaces a replica's store must have for folders. None is confirmed state. */
export const folderSpaces: readonly Space[] = [{ name: SPACE, digested: false }];

/** First byte of a key. Never reused. */
const area = { record: 1, row: 2, staged: 3, run: 4, rule: 5 } as const;

export interface FolderRecord {
  /** 16 random bytes, also in the folder's marker. */
  readonly id: Uint8Array;
  /** A small number of this replica, prefix of the folder's keys. */
  readonly slot: number;
  readonly path: string;
  readonly identity: RootIdentity;
}

export interface FolderRow extends SyncedRow {
  /** When it was noted, ns since 1970: what changed just before could change again without a new stamp. */
  readonly noted: bigint;
}

/** Something of ours in the stage. */
export interface Staged {
  readonly name: string;
  /** `replaced`: a file that gave way to a newer one; `taken`: one that the vault or this device has no more. */
  readonly kind: "replaced" | "taken";
  readonly id: ItemId;
  /** The revision that its bytes are of. */
  readonly rev: Op;
  /** Where it stood. */
  readonly key: string;
  /** What it looked like with those bytes: `UNSURE` where a stamp proves nothing. */
  readonly print: Fingerprint;
  /** Of those bytes, where they are known. */
  readonly hash: Uint8Array | undefined;
  /** When it came there, or was last written to, ms. */
  readonly since: number;
}

const kinds: readonly ItemKind[] = ["dir", "file", "link"];
/** Of no file: its bytes are looked at. */
export const UNSURE: Fingerprint = { size: 0, mtimeNs: -1n, ctimeNs: -1n, ino: -1n, birthtimeNs: -1n };

const stagedKinds = ["replaced", "taken"] as const;
const has = { alias: 1, hash: 2, target: 4, executable: 8 } as const;
const ANY = Number.MAX_SAFE_INTEGER;

export function folderRecords(tx: Tx): readonly FolderRecord[] {
  return tx
    .scan(SPACE, Uint8Array.of(area.record), Uint8Array.of(area.record + 1))
    .map(([, bytes]) => decodeRecord(bytes));
}

export function putFolderRecord(tx: Tx, { id, slot, path, identity }: FolderRecord): void {
  const w = new Writer(256).u8(1).fixed(id).u32(slot).bytes(encodeUtf8(path));
  w.z(identity.ino);
  w.z(identity.born);
  tx.put(SPACE, new Writer(5).u8(area.record).u32(slot).done(), w.done());
}

function decodeRecord(bytes: Uint8Array): FolderRecord {
  const r = new Reader(bytes);
  if (r.u8() !== 1) throw new RangeError("a folder's record of another version");
  const [id, slot] = [r.fixed(16).slice(), r.u32()];
  const path = decodeUtf8(r.bytes(ANY)) ?? "";
  return { id, slot, path, identity: { ino: r.z(), born: r.z() } };
}

/** The part of the replica that belongs to one folder. */
export class FolderRows {
  readonly #slot: number;

  constructor(slot: number) {
    this.#slot = slot;
  }

  all(tx: Tx): FolderRow[] {
    const at = this.#key(area.row);
    return tx
      .scan(SPACE, at, afterPrefix(at))
      .map(([key, bytes]) => decodeRow(key.slice(at.length) as ItemId, bytes));
  }

  row(tx: Tx, id: ItemId): FolderRow | undefined {
    const bytes = tx.get(SPACE, this.#key(area.row, id));
    return bytes === undefined ? undefined : decodeRow(id, bytes);
  }

  put(tx: Tx, row: FolderRow): void {
    tx.put(SPACE, this.#key(area.row, row.id), encodeRow(row));
  }

  drop(tx: Tx, id: ItemId): void {
    tx.delete(SPACE, this.#key(area.row, id));
  }

  staged(tx: Tx): readonly Staged[] {
    const at = this.#key(area.staged);
    return tx
      .scan(SPACE, at, afterPrefix(at))
      .map(([key, bytes]) => decodeStaged(decodeUtf8(key.subarray(at.length)) ?? "", bytes));
  }

  putStaged(tx: Tx, one: Staged): void {
    const w = new Writer(256).u8(stagedKinds.indexOf(one.kind)).fixed(one.id).fixed(one.rev);
    w.bytes(encodeUtf8(one.key)).u48(one.since);
    putPrint(w, one.print);
    if (one.hash !== undefined) w.fixed(one.hash);
    tx.put(SPACE, this.#key(area.staged, encodeUtf8(one.name)), w.done());
  }

  dropStaged(tx: Tx, name: string): void {
    tx.delete(SPACE, this.#key(area.staged, encodeUtf8(name)));
  }

  /** Runs that were given to the engine, with the items whose rows rely on them. */
  runs(tx: Tx): readonly { readonly run: number; readonly ids: readonly ItemId[] }[] {
    const at = this.#key(area.run);
    return tx.scan(SPACE, at, afterPrefix(at)).map(([key, bytes]) => {
      const r = new Reader(bytes);
      return {
        run: new Reader(key.subarray(at.length)).u64(),
        ids: Array.from({ length: r.v() }, () => readId(r)),
      };
    });
  }

  putRun(tx: Tx, run: number, ids: readonly ItemId[]): void {
    const w = new Writer(16 * ids.length + 8).v(ids.length);
    for (const id of ids) w.fixed(id);
    tx.put(SPACE, this.#key(area.run, new Writer(8).u64(run).done()), w.done());
  }

  renumber(tx: Tx, run: number, now: number): void {
    const rested = this.runs(tx).find((one) => one.run === run);
    if (rested === undefined) return;
    this.putRun(tx, now, rested.ids);
    this.dropRun(tx, run);
  }

  dropRun(tx: Tx, run: number): void {
    tx.delete(SPACE, this.#key(area.run, new Writer(8).u64(run).done()));
  }

  /** What of the vault this folder shows. */
  rules(tx: Tx): readonly SelectionRule[] {
    const at = this.#key(area.rule);
    return tx
      .scan(SPACE, at, afterPrefix(at))
      .map(([key, bytes]) => ({ id: key.slice(at.length) as ItemId, selected: bytes[0] === 1 }));
  }

  putRule(tx: Tx, { id, selected }: SelectionRule): void {
    tx.put(SPACE, this.#key(area.rule, id), Uint8Array.of(selected ? 1 : 0));
  }

  dropRule(tx: Tx, id: ItemId): void {
    tx.delete(SPACE, this.#key(area.rule, id));
  }

  /** What disk and vault agreed on, not what is to be shown. */
  forgetAgreed(tx: Tx): void {
    this.#forget(tx, [area.row, area.staged, area.run]);
  }

  forgetAll(tx: Tx): void {
    this.#forget(tx, Object.values(area));
  }

  #forget(tx: Tx, areas: readonly number[]): void {
    for (const one of areas) {
      const at = this.#key(one);
      for (const [key] of tx.scan(SPACE, at, afterPrefix(at))) tx.delete(SPACE, key);
    }
  }

  #key(one: number, more: Uint8Array = new Uint8Array(0)): Uint8Array {
    return concat(new Writer(5).u8(one).u32(this.#slot).done(), more);
  }
}

function encodeRow(row: FolderRow): Uint8Array {
  const { alias, hash, target } = row;
  const w = new Writer(256).u8(kinds.indexOf(row.kind));
  w.u8(
    (alias === undefined ? 0 : has.alias) |
      (hash === undefined ? 0 : has.hash) |
      (target === undefined ? 0 : has.target) |
      (row.executable ? has.executable : 0),
  );
  w.fixed(row.parent).bytes(encodeUtf8(row.name)).fixed(row.place).fixed(row.rev).v(row.others);
  putPrint(w, row.print);
  w.z(row.noted);
  if (alias !== undefined) w.bytes(alias);
  if (hash !== undefined) w.fixed(hash);
  if (target !== undefined) w.bytes(target);
  return w.done();
}

function decodeRow(id: ItemId, bytes: Uint8Array): FolderRow {
  const r = new Reader(bytes);
  const [kind, flags] = [kinds[r.u8()] as ItemKind, r.u8()];
  const parent = readId(r);
  const name = decodeUtf8(r.bytes(ANY)) ?? "";
  const [place, rev, others] = [readOp(r), readOp(r), r.v()];
  const [print, noted] = [readPrint(r), r.z()];
  return {
    id,
    kind,
    parent,
    name,
    place,
    rev,
    others,
    print,
    noted,
    executable: (flags & has.executable) !== 0,
    alias: (flags & has.alias) === 0 ? undefined : r.bytes(ANY).slice(),
    hash: (flags & has.hash) === 0 ? undefined : r.fixed(32).slice(),
    target: (flags & has.target) === 0 ? undefined : r.bytes(ANY).slice(),
  };
}

function decodeStaged(name: string, bytes: Uint8Array): Staged {
  const r = new Reader(bytes);
  const [kind, id, rev] = [stagedKinds[r.u8()] ?? "replaced", readId(r), readOp(r)];
  const [key, since] = [decodeUtf8(r.bytes(ANY)) ?? "", r.u48()];
  const print = readPrint(r);
  return { name, kind, id, rev, key, since, print, hash: r.left === 0 ? undefined : r.fixed(32).slice() };
}

function putPrint(w: Writer, { size, mtimeNs, ctimeNs, ino, birthtimeNs }: Fingerprint): void {
  w.v(size);
  for (const one of [mtimeNs, ctimeNs, ino, birthtimeNs]) w.z(one);
}

function readPrint(r: Reader): Fingerprint {
  const size = r.v();
  const [mtimeNs, ctimeNs, ino, birthtimeNs] = [r.z(), r.z(), r.z(), r.z()];
  return { size, mtimeNs, ctimeNs, ino, birthtimeNs };
}
