/**
 * Content between a disk and the vault, a piece at a time: what is held in memory is a few packs,
 * whatever a file's size.
 */
import { type FileHandle, link, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { concat } from "@tidelock/core/bytes/bytes";
import { contentSecret } from "@tidelock/core/engine/content-secret";
import { failureCode } from "@tidelock/core/engine/failure";
import {
  type FetchDeps,
  type Range,
  readContent,
  streamContent,
  type Take,
  type Taken,
} from "@tidelock/core/engine/fetch-content";
import { ContentPacker } from "@tidelock/core/engine/pack-content";
import type { Replica } from "@tidelock/core/engine/replica";
import { TidelockError } from "@tidelock/core/errors";
import type { Content } from "@tidelock/core/log/content";
import { heldPackWith, packWith } from "@tidelock/core/log/locations";
import type { Pack } from "@tidelock/core/log/pack";
import type { Tx } from "@tidelock/core/log/tx";
import { errnoOf, explained, syncFolder } from "../home/files.ts";
import { submitPacks } from "./files-run.ts";
import type { Move } from "./moving.ts";
import { isFull } from "./outflow.ts";
import type { Session } from "./session.ts";

/** Bytes of a file that the format holds, and what a vault takes where its settings are not here. */
export const MOST_FILE_SIZE: number = 48 * 2 ** 30;
const DEFAULT_MAX_FILE_SIZE = 10 * 2 ** 30;

/** Read at once. */
const PIECE = 4 << 20;
/** Packs that are spooled in one transaction, before the change that names them. */
const AT_ONCE = 2;
/** ms of log time: below what a pack that nothing names is kept for. */
const LATELY = 6 * 86_400_000;
/** A file that changes while it is read is read so often. */
const TRIES = 5;

/** Of one file, as the vault's settings say: judged when it is taken, never when it is applied. */
export function maxFileSize({ membership, read }: Pick<Replica, "membership" | "read">): number {
  const most = read((tx) => membership.settings(tx)?.maxFileSize) ?? DEFAULT_MAX_FILE_SIZE;
  return Math.min(most, MOST_FILE_SIZE);
}

export interface Packed {
  readonly content: Content;
  /** Those that no transaction has spooled yet: they go with the change. */
  readonly packs: readonly Pack[];
}

export function packBytes(session: Session, path: string, bytes: Uint8Array): Packed {
  const packer = packerOf(session, path);
  const content = packer.add(bytes);
  return { content, packs: packer.finish() };
}

/** A file of this machine as it stands at one moment. */
export async function packFile(
  session: Session,
  from: string,
  path: string,
  move?: Pick<Move, "moved" | "again">,
): Promise<Packed & Stamp> {
  const most = maxFileSize(session.replica);
  for (let attempt = 1; ; attempt++) {
    const file = await open(from, "r");
    try {
      const before = stampOf(await file.stat({ bigint: true }));
      if (before.size > most) throw tooLarge(from, { size: before.size, most });
      move?.again();
      const packed = await packPieces(session, path, file, move);
      const after = stampOf(await file.stat({ bigint: true }));
      if (before.print === after.print && packed.content.size === after.size) return { ...packed, ...after };
    } finally {
      await file.close();
    }
    if (attempt === TRIES)
      throw new TidelockError("in-use", {
        why: `${from} keeps changing while it is read`,
        next: "try again when the program that writes it has ended",
      });
  }
}

export interface Stamp {
  readonly size: number;
  /** ms since 1970. */
  readonly mtimeMs: number;
  readonly executable: boolean;
}

function stampOf(stat: {
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly mode: bigint;
}): Stamp & { readonly print: string } {
  return {
    size: Number(stat.size),
    mtimeMs: Number(stat.mtimeNs / 1000n) / 1000,
    executable: process.platform !== "win32" && (stat.mode & 0o100n) !== 0n,
    print: `${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`,
  };
}

async function packPieces(
  session: Session,
  path: string,
  file: FileHandle,
  move: Pick<Move, "moved"> | undefined,
): Promise<Packed> {
  const packer = packerOf(session, path);
  const writer = packer.open();
  const sender = new Sender(session);
  const buffer = new Uint8Array(PIECE);
  let filled: Pack[] = [];
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, PIECE, null);
    if (bytesRead === 0) break;
    writer.push(buffer.subarray(0, bytesRead));
    move?.moved(bytesRead);
    filled.push(...packer.take());
    if (filled.length < AT_ONCE) continue;
    await sender.take(filled);
    filled = [];
  }
  const content = writer.done();
  return { content, packs: [...filled, ...packer.finish()] };
}

/** Full packs on their way while more is cut. */
class Sender {
  readonly #session: Session;
  #under: Promise<void> | undefined;
  #failure: unknown;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Durable here when it resolves. Throws what keeps them here once too many wait. */
  async take(packs: readonly Pack[]): Promise<void> {
    submitPacks(this.#session, packs);
    if (this.#session.remote === undefined) return;
    this.#send();
    while (isFull(this.#session)) {
      await this.#under;
      if (this.#failure !== undefined) throw this.#failure;
      this.#send();
    }
  }

  #send(): void {
    if (this.#under !== undefined) return;
    const end = (failure?: unknown): void => {
      this.#failure = failure;
      this.#under = undefined;
    };
    this.#under = this.#session.sync().then(() => end(), end);
  }
}

/** `path`: what the content is of, for the error. */
export function packerOf(
  { suite, replica }: Pick<Session, "suite" | "replica">,
  path: string,
): ContentPacker {
  const secrets = replica.read((tx) => contentSecret(suite, replica, tx));
  if (secrets === undefined)
    throw new TidelockError("key-missing", {
      why: `nothing can seal ${path} before the vault's key is here`,
    });
  // Also what waits here: its run is sent before any that names it.
  const packOf = (id: Uint8Array): Uint8Array | undefined =>
    replica.read((tx) => packWith(tx, id, ownLately(replica, tx)) ?? heldPackWith(tx, id));
  return new ContentPacker({ suite, ...secrets, packOf });
}

/** An upload that was broken off goes on with what it has stored. */
function ownLately(
  { ownDevice, cursor }: Session["replica"],
  tx: Tx,
): { device: number; since: number } | undefined {
  const device = ownDevice(tx);
  return device === undefined ? undefined : { device, since: cursor().time - LATELY };
}

/** What a content is read with. */
export function fetchDeps({ suite, replica, remote, cache }: Session): FetchDeps {
  return { suite, vault: replica.vault, read: replica.read, spooled: replica.spooledBlob, remote, cache };
}

/** Throws where a content could not be had. */
export function needed(taken: Taken, path: string): void {
  if (taken.kind === "ok") return;
  if (taken.kind === "damaged")
    throw new TidelockError("blob-damaged", { why: `${path} is in one piece nowhere on the remote` });
  throw new TidelockError(failureCode(taken), {
    why: `${path} is not here, and the remote does not give it`,
  });
}

/** Checked, in memory: for what is known to be small enough. A range is checked by the pieces it lies in. */
export async function contentBytes(
  session: Session,
  content: Content,
  path: string,
  range?: Range,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  const take: Take = (bytes) => void pieces.push(bytes);
  const deps = fetchDeps(session);
  const taken =
    range === undefined ? streamContent(deps, content, take) : readContent(deps, content, range, take);
  needed(await taken, path);
  return concat(...pieces);
}

/** Into a new file: whole, checked and flushed before it has its name, and never over another. */
export async function writeContent(
  session: Session,
  content: Content,
  path: string,
  { to, mode, mtime }: { readonly to: string; readonly mode: number; readonly mtime: Date },
): Promise<void> {
  const temporary = `${to}.${process.pid}.tmp`;
  const move = session.moving.begin({ name: path, direction: "down", total: content.size });
  await rm(temporary, { force: true });
  try {
    const file = await open(temporary, "wx", mode);
    try {
      const take: Take = async (bytes) => {
        move.moved(bytes.length);
        for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
      };
      const deps = { ...fetchDeps(session), cache: session.cache.reading };
      needed(await streamContent(deps, content, take), path);
      await file.utimes(mtime, mtime);
      await file.sync();
    } finally {
      await file.close();
    }
    await publish(temporary, to);
  } catch (error) {
    throw explained(to, error);
  } finally {
    move.end();
    await rm(temporary, { force: true });
  }
  syncFolder(dirname(to));
}

async function publish(temporary: string, to: string): Promise<void> {
  try {
    await link(temporary, to);
  } catch (error) {
    if (errnoOf(error) === "EEXIST") throw occupied(to);
    // A disk without hard links: then it is renamed, with the moment between that a look and a rename have.
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(errnoOf(error) ?? "")) throw error;
    await rename(temporary, to);
  }
}

export function occupied(path: string): TidelockError {
  return new TidelockError("exists", { why: `${path} is there already`, next: "name another" });
}

export function tooLarge(
  path: string,
  { size, most }: { readonly size: number; readonly most: number },
): TidelockError {
  return new TidelockError("too-large", {
    why: `${path} has ${sizeText(size)}, and at most ${sizeText(most)} are taken`,
  });
}

/** As people write it: to three digits, and to the byte where that hides a difference. */
export function sizeText(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const at = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  return `${Number((bytes / 1000 ** at).toPrecision(3))} ${units[at] as string}`;
}
