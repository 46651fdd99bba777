/**
 * Devices that save, stay away for days, give room back and condemn what they like: whatever anybody saved is a file's
 * somewhere, with its bytes on the remote, or its author is told that it is not.
 */
import { expect, test } from "vitest";
import { ContentKit, DAY } from "../../../testkit/src/content-kit.ts";
import { forSeeds } from "../../../testkit/src/suites/seeds.ts";
import type { Device } from "../../../testkit/src/vault-kit.ts";
import { createFastSuite } from "../../../testkit/src/world/fast-suite.ts";
import { Stream } from "../../../testkit/src/world/random.ts";
import { equalBytes, fromHex, toHex } from "../bytes/bytes.ts";
import { ROOT } from "../kinds/files/names.ts";
import type { Item } from "../kinds/files/types.ts";
import { type Content, sameContent } from "../log/content.ts";
import { isStored, locate } from "../log/locations.ts";

/** Few, so that what one brings another names too. */
const CONTENTS = 6;
const STEPS = 40;

class Scene {
  readonly kit: ContentKit;
  readonly random: Stream;
  readonly devices: Device[] = [];
  /** Everything that was saved, and the run that said so. */
  readonly saved: {
    readonly content: Content;
    readonly bytes: Uint8Array;
    readonly by: number;
    readonly run: number;
  }[] = [];
  /** Somebody has condemned what he had no reason to. */
  hostile = false;

  constructor(seed: number) {
    const draws = new Stream(BigInt(seed), "suite");
    this.kit = new ContentKit({ suite: createFastSuite((n) => draws.bytes(n)) });
    this.random = new Stream(BigInt(seed), "room");
  }

  pick(): number {
    return this.random.int(0, this.devices.length - 1);
  }

  async step(hostile: boolean): Promise<string> {
    const { kit, random } = this;
    const index = this.pick();
    const device = this.devices[index] as Device;
    switch (random.int(0, hostile ? 10 : 9)) {
      case 0:
      case 1:
        this.save(index, device);
        return `${device.name} saves`;
      case 2:
        this.store(device);
        return `${device.name} stores and names nothing`;
      case 3: {
        const stray = random.bytes(50) as never;
        await kit.remote().putBlob(kit.suite.sha256(stray), stray);
        return "a stray";
      }
      case 4:
      case 5:
        kit.later((1 + random.int(0, 8)) * DAY);
        return "days pass";
      case 6: {
        const holds = random.int(0, 2);
        device.faults.hooks = {
          before: ({ op }) =>
            holds === 2 || (holds === 1 && op === "append")
              ? { kind: "unreachable", why: "away" }
              : undefined,
        };
        return `${device.name} sends ${["all", "no frames", "nothing"][holds] as string}`;
      }
      case 7:
        this.devices[index] = kit.restart(device);
        return `${device.name} starts again`;
      case 8:
        return `${device.name} gives up: ${JSON.stringify(await kit.giveUp(device))}`;
      case 9:
        await kit.sync(device);
        return `${device.name} syncs`;
      default: {
        const names = [...kit.log.blobs.keys()].map((name) => fromHex(name) as Uint8Array);
        this.hostile = true;
        kit.condemn(device, ...names.filter(() => random.int(0, 1) === 0), random.bytes(32));
        return `${device.name} condemns at random`;
      }
    }
  }

  draw(): Uint8Array {
    return new Uint8Array(20_000).fill(this.random.int(0, CONTENTS - 1));
  }

  store(device: Device): void {
    const { packs } = this.kit.pack(device, this.draw());
    if (packs.length > 0) this.kit.submit(device, packs);
  }

  save(by: number, device: Device): void {
    const { kit, random } = this;
    const bytes = this.draw();
    const { content, packs } = kit.pack(device, bytes);
    const files = this.live(device).filter((item) => item.kind === "file");
    const target = files[random.int(0, files.length)];
    const said = kit.said(device);
    const run =
      target === undefined
        ? kit.submit(device, packs, kit.creation(device, `file ${random.int(0, 8)}`, content))
        : kit.submit(device, packs, {
            do: "write",
            ...said,
            id: target.id,
            rev: target.rev,
            content,
            mtime: 0,
          });
    this.saved.push({ content, bytes, by, run });
  }

  live(device: Device): readonly Item[] {
    return device.replica.read((tx) => this.kit.filesOf(device).list(tx, ROOT, undefined, 1000));
  }

  /** Of files and of what they replaced. */
  contents(device: Device): readonly Content[] {
    const files = this.kit.filesOf(device);
    return device.replica.read((tx) =>
      this.live(device)
        .concat(files.trash(tx))
        .flatMap((item) => [item.content, ...files.history(tx, item.id).map((one) => one.content)])
        .filter((one) => one !== undefined),
    );
  }

  /** Nothing that the log holds names what it has nowhere. */
  check(device: Device): void {
    if (device.replica.waiting().pending > 0) return;
    const lost = device.replica.read((tx) => this.contents(device).filter((one) => !isStored(tx, one)));
    expect(lost).toEqual([]);
  }

  async end(): Promise<void> {
    const { kit } = this;
    for (const device of this.devices) device.faults.hooks = {};
    for (let i = 0; i < 3; i++) await kit.converge(...this.devices);
    const [a] = this.devices as [Device];
    for (const device of this.devices) {
      expect(device.replica.waiting().pending).toBe(0);
      expect(device.replica.digest()).toBe(a.replica.digest());
      this.check(device);
    }
    const there = this.contents(a);
    for (const one of there)
      for (const address of one.body.kind === "chunks" ? one.body.addresses : []) {
        const places = a.replica.read((tx) => locate(tx, address));
        expect(places.some(({ pack }) => kit.log.blobs.has(toHex(pack)))).toBe(true);
      }
    for (const { content, bytes, by } of this.saved) {
      if (there.some((one) => sameContent(one, content))) {
        const read = await kit.read(a, { content } as Item);
        expect(typeof read === "string" ? read : equalBytes(read, bytes)).toBe(true);
        continue;
      }
      // Only where somebody took it away: then who saved it has it among what was refused.
      expect(this.hostile).toBe(true);
      expect(kit.parked(this.devices[by] as Device)).toContain("content");
    }
    if (!this.hostile) for (const device of this.devices) expect(kit.parked(device)).toEqual([]);
  }
}

for (const hostile of [false, true])
  test(`[CNT11, CNT12, CNT13, CNT15, CNT16] what is saved stays, ${hostile ? "whatever is condemned" : "or is packed anew"}`, {
    timeout: 600_000,
  }, async () => {
    await forSeeds(12, async (seed) => {
      const scene = new Scene(seed);
      const { kit, devices } = scene;
      devices.push(await kit.found("a"), await kit.join("b"), await kit.join("c"));
      await kit.converge(...devices);
      const steps: string[] = [];
      try {
        for (let i = 0; i < STEPS; i++) {
          steps.push(await scene.step(hostile));
          for (const device of devices) scene.check(device);
        }
        await scene.end();
      } catch (error) {
        throw new Error(`${error instanceof Error ? error.message : String(error)}\n${steps.join("\n")}`, {
          cause: error,
        });
      }
    });
  });
