/** Contents of many files into packs, and into the run that names them; what is held in memory is a few packs. */
import type { ContentPacker } from "@tidelock/core/engine/pack-content";
import type { FileChange } from "@tidelock/core/kinds/files/types";
import type { Content } from "@tidelock/core/log/content";
import type { Tx } from "@tidelock/core/log/tx";
import type { ReadFile } from "@tidelock/core/ports-fs";
import { DEFAULT_MAX_FILE_SIZE, packerOf } from "../vault/content.ts";
import { SPOOLED, submitIn, submitPacks } from "../vault/files-run.ts";
import type { FolderHost } from "./host.ts";

export class Packing {
  readonly #host: FolderHost;
  readonly #packer: ContentPacker;
  readonly #inline: boolean;
  bytes = 0;

  /** `inline`: small files stand in the changes themselves. */
  constructor(host: FolderHost, inline: boolean) {
    this.#host = host;
    this.#packer = packerOf(host, "a folder");
    this.#inline = inline;
  }

  async add(path: string): Promise<{ readonly content: Content; readonly file: ReadFile }> {
    const writer = this.#packer.open(true, this.#inline);
    const file = await this.#host.fs.readPieces(path, DEFAULT_MAX_FILE_SIZE, async (piece) => {
      writer.push(piece);
      this.bytes += piece.length;
      await this.#sendFull();
    });
    return { content: writer.done(), file };
  }

  /** Full packs are on their way while more is cut. */
  async #sendFull(): Promise<void> {
    const packs = this.#packer.take();
    if (packs.length === 0) return;
    const { engine, replica, remote } = this.#host;
    submitPacks(this.#host, packs);
    if (remote !== undefined && replica.spooledCount() >= SPOOLED) await engine.syncNow();
  }

  /** In a transaction: what is left of the packs, and the changes; answers the run. */
  submit(tx: Tx, changes: readonly FileChange[]): number {
    return submitIn(tx, this.#host, this.#packer.finish(), changes);
  }
}
