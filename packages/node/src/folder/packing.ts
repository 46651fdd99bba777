/** Contents of many files into packs, and into the run that names them; what is held in memory is a few packs. */
import type { ContentPacker } from "@tidelock/core/engine/pack-content";
import type { FileChange } from "@tidelock/core/kinds/files/types";
import type { Content } from "@tidelock/core/log/content";
import type { Pack } from "@tidelock/core/log/pack";
import type { Tx } from "@tidelock/core/log/tx";
import type { ReadFile } from "@tidelock/core/ports-fs";
import { packerOf } from "../vault/content.ts";
import { submitIn, submitPacks } from "../vault/files-run.ts";
import { drained, isFull, roomComes } from "../vault/outflow.ts";
import { Upload } from "../vault/upload.ts";
import type { FolderHost } from "./host.ts";

/** As much waits here to be sent as may: the file is read anew once some of it has left. */
export class NoRoom extends Error {}

export interface PackingWish {
  /** Small files stand in the changes themselves. */
  readonly inline: boolean;
  /** Bytes that a file may have. */
  readonly most: number;
  readonly stopped: () => boolean;
}

export class Packing {
  readonly #host: FolderHost;
  readonly #packer: ContentPacker;
  readonly #wish: PackingWish;
  readonly #upload: Upload | undefined;
  bytes = 0;

  /** `beside`: packs go to the remote as they are cut, and what it does not take ends the cutting. */
  constructor(host: FolderHost, wish: PackingWish, beside = false) {
    this.#host = host;
    this.#upload = beside ? new Upload(host, wish.stopped) : undefined;
    this.#packer = packerOf(host, "a folder");
    this.#wish = wish;
  }

  /** `moved` is told of what was read, and sent as far as it must be. */
  async add(
    path: string,
    moved: (bytes: number) => void = () => undefined,
  ): Promise<{ readonly content: Content; readonly file: ReadFile }> {
    const { inline, most } = this.#wish;
    const writer = this.#packer.open(true, inline);
    const file = await this.#host.fs.readPieces(path, most, async (piece) => {
      writer.push(piece);
      this.bytes += piece.length;
      await this.#sendFull();
      moved(piece.length);
    });
    return { content: writer.done(), file };
  }

  /** Full packs are on their way while more is cut. What was cut of a file is not cut in vain: it is known by its bytes. */
  async #sendFull(): Promise<void> {
    const packs = this.#packer.take();
    if (packs.length === 0) return;
    if (this.#upload !== undefined) return this.#giveUp(await this.#upload.take(packs));
    submitPacks(this.#host, packs);
    await drained(this.#host, this.#wish.stopped);
    if (isFull(this.#host) && !(await roomComes(this.#host, this.#wish.stopped))) throw new NoRoom();
  }

  /** All that was cut has arrived, and is recorded. */
  async sent(): Promise<void> {
    const left = (await this.#upload?.take(this.#packer.finish())) ?? [];
    this.#giveUp([...left, ...((await this.#upload?.end()) ?? [])]);
  }

  /** What the remote did not take waits here like any edit: it is tried again, and why it does not go is told. */
  #giveUp(left: readonly Pack[]): void {
    if (this.#wish.stopped()) throw new NoRoom();
    if (left.length === 0) return;
    submitPacks(this.#host, left);
    throw new NoRoom();
  }

  /** In a transaction: what is left of the packs, and the changes; answers the run. */
  submit(tx: Tx, changes: readonly FileChange[]): number {
    return submitIn(tx, this.#host, this.#packer.finish(), changes);
  }
}
