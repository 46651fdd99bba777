/** Files with content on the devices of a scripted vault: the shipped kinds, packs and remotes, in virtual time. */
import { concat } from "@tidelock/core/bytes/bytes";
import { contentSecret } from "@tidelock/core/engine/content-secret";
import { type FetchDeps, streamContent } from "@tidelock/core/engine/fetch-content";
import { type GivenUp, giveUpBlobs } from "@tidelock/core/engine/give-up";
import { ContentPacker } from "@tidelock/core/engine/pack-content";
import { encodeSection } from "@tidelock/core/kinds/files/codec";
import type { FilesKind } from "@tidelock/core/kinds/files/files";
import { createFilesKind } from "@tidelock/core/kinds/files/files";
import { ROOT } from "@tidelock/core/kinds/files/names";
import type { FileChange, Item, ItemId, Op } from "@tidelock/core/kinds/files/types";
import type { Content } from "@tidelock/core/log/content";
import { encodeHousekeeping, HOUSEKEEPING } from "@tidelock/core/log/housekeeping";
import type { Kind } from "@tidelock/core/log/kind";
import { heldPackWith, packWith } from "@tidelock/core/log/locations";
import type { Pack } from "@tidelock/core/log/pack";
import { type Device, Kit, type KitOptions } from "./vault-kit.ts";

export const DAY = 86_400_000;
const FILES = 3;

export class ContentKit extends Kit {
  constructor(options: KitOptions) {
    super({ ...options, kinds: () => [createFilesKind(options.suite) as Kind] });
  }

  /** Nobody is at work meanwhile. */
  later(ms: number): void {
    this.time.offset += ms;
  }

  filesOf(device: Device): FilesKind {
    return device.kinds[0] as Kind as FilesKind;
  }

  /** Cut and sealed, and laid into packs that nothing has yet. */
  pack(
    { replica }: Device,
    bytes: Uint8Array,
    many = false,
  ): { readonly content: Content; readonly packs: readonly Pack[] } {
    const secrets = replica.read((tx) => contentSecret(this.suite, replica, tx));
    if (secrets === undefined) throw new Error("no key for content");
    const packOf = (id: Uint8Array): Uint8Array | undefined =>
      replica.read((tx) => {
        const device = replica.ownDevice(tx) as number;
        const own = { device, since: replica.cursor().time - DAY };
        return packWith(tx, id, own) ?? heldPackWith(tx, id);
      });
    // Cuts as soon as it may: many chunks of little content.
    const gear = many ? new Uint32Array(256) : secrets.gear;
    const packer = new ContentPacker({ suite: this.suite, ...secrets, gear, packOf });
    const content = packer.add(bytes, false, false);
    return { content, packs: packer.finish() };
  }

  /** Packs and changes as one run of this device. */
  submit(device: Device, packs: readonly Pack[], ...changes: readonly FileChange[]): number {
    const { engine, replica } = device;
    const frames = packs.map(({ stored }) => ({
      sections: new Map([[HOUSEKEEPING, encodeHousekeeping([{ kind: "stored", stored }])]]),
    }));
    if (changes.length > 0)
      frames.push({
        sections: new Map([[FILES, encodeSection({ label: device.name, approved: false, changes })]]),
      });
    return engine.write((tx) => {
      for (const { stored, bytes } of packs) replica.spool(tx, stored.pack, bytes);
      return engine.submit(tx, { frames });
    });
  }

  /** The record alone, whatever anybody thinks of it. */
  condemn({ engine }: Device, ...packs: readonly Uint8Array[]): void {
    const section = encodeHousekeeping([{ kind: "condemned", packs }]);
    engine.write((tx) => engine.submit(tx, { frames: [{ sections: new Map([[HOUSEKEEPING, section]]) }] }));
  }

  said(device: Device): { readonly op: Op; readonly base: number; readonly time: number } {
    const { applied } = device.replica.cursor();
    return { op: this.suite.random(16) as Op, base: applied, time: Math.max(0, this.time.now()) };
  }

  creation(device: Device, name: string, content: Content): FileChange {
    const meta = { mtime: 0, executable: false };
    return { do: "create", ...this.said(device), parent: ROOT, name, content, meta };
  }

  mkdir(device: Device, name: string): FileChange {
    return { do: "mkdir", ...this.said(device), parent: ROOT, name };
  }

  /** A new file with its content; what it became is `child`'s to say. */
  put(device: Device, name: string, bytes: Uint8Array): ItemId {
    const { content, packs } = this.pack(device, bytes);
    const change = this.creation(device, name, content);
    this.submit(device, packs, change);
    return change.op as Uint8Array as ItemId;
  }

  child(device: Device, name: string): Item | undefined {
    return device.replica.read((tx) => this.filesOf(device).child(tx, ROOT, name));
  }

  /** Its bytes, from the remote or from what waits here; or why not. */
  async read(device: Device, { content }: Item): Promise<Uint8Array | string> {
    if (content === undefined) return "no file";
    const pieces: Uint8Array[] = [];
    const taken = await this.time.until(
      streamContent(this.fetchDeps(device), content, (bytes) => void pieces.push(bytes.slice())),
    );
    return taken.kind === "ok" ? concat(...pieces) : taken.kind;
  }

  fetchDeps({ replica, faults }: Device): FetchDeps {
    const { suite } = this;
    const remote = this.remote(this.log, faults);
    return { suite, vault: replica.vault, read: replica.read, spooled: replica.spooledBlob, remote };
  }

  giveUp({ replica, engine, faults }: Device): Promise<GivenUp> {
    const remote = this.remote(this.log, faults);
    return this.time.until(giveUpBlobs({ replica, engine, remote, scheduler: this.time }));
  }
}
