import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toHex } from "@tidelock/core/bytes/bytes";
import type { Clock, Remote } from "@tidelock/core/ports";
import type { Fs } from "@tidelock/core/ports-fs";
import { firstFailing } from "@tidelock/testkit/suites/cases";
import { survivePowerCuts } from "@tidelock/testkit/suites/remote/durability";
import {
  type CreateRemote,
  describeRemote,
  type FaultPoint,
  remoteCases,
} from "@tidelock/testkit/suites/remote-contract";
import { draws } from "@tidelock/testkit/suites/seeds";
import { hookedFs } from "@tidelock/testkit/world/hooked-fs";
import { type DiskCall, SimDisk } from "@tidelock/testkit/world/sim-disk";
import { expect, test } from "vitest";
import { createNodeFs } from "../fs/node-fs.ts";
import { createFolderRemote } from "./folder.ts";
import { discard, type Mode, publish, stage } from "./place.ts";

const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash("sha256").update(bytes).digest());

/** What a fixture needs of the disk it lies on. */
interface Disk {
  readonly fs: Fs;
  readonly root: string;
  readonly clock: Clock;
  readonly random: (n: number) => Uint8Array;
  /** Another process on it. */
  readonly mount: () => Fs;
  readonly cutPower?: (afterCalls: number) => Promise<void>;
  readonly cutSoon?: () => void;
  readonly dispose: () => Promise<void>;
}

/** The contract's fixture on any disk. `spoil` turns each device's file system into a broken one. */
function onDisk(
  makeDisk: (seed: number) => Promise<Disk>,
  mode: Mode,
  spoil: (fs: Fs) => Fs = (fs) => fs,
): CreateRemote {
  return async (seed) => {
    const disk = await makeDisk(seed);
    const { fs, root, clock, random } = disk;
    let fault: FaultPoint | undefined;
    let readOnly = false;
    const take = (at: FaultPoint, wanted: boolean): string | undefined => {
      if (fault !== at || !wanted) return undefined;
      fault = undefined;
      return "EIO";
    };
    const hooks = {
      before(call: DiskCall): string | undefined {
        const changes = !["readFile", "readdir", "stat", "syncFile", "syncDir"].includes(call.op);
        if (readOnly && changes) return "EROFS";
        return take("send", call.op === "writeFileNew" && /tmp\/[0-9a-f]{32}(\/data)?$/.test(call.path));
      },
      after(call: DiskCall): string | undefined {
        const published = call.to?.includes("/log/") ?? false;
        return (
          take("commit", published) ?? take("reply", call.op === "syncDir" && call.path.endsWith("/log"))
        );
      },
    };
    /** What was there when time passed, by its path. */
    const ages = new Map<string, number>();
    const aged = (one: Fs): Fs => ({
      ...one,
      unlink: async (path) => {
        await one.unlink(path);
        ages.delete(path);
      },
      stat: async (path) => {
        const stat = await one.stat(path);
        return { ...stat, mtime: stat.mtime - (ages.get(path) ?? 0) };
      },
    });
    const age = async (ms: number): Promise<void> => {
      const blob = `${root}/vault/blob`;
      for (const home of [`${root}/vault/log`, ...(await fs.readdir(blob)).map((name) => `${blob}/${name}`)])
        for (const name of await fs.readdir(home)) {
          const path = `${home}/${name}`;
          ages.set(path, (ages.get(path) ?? 0) + ms);
        }
    };
    const device = async (directory = `${root}/vault`): Promise<Remote> =>
      createFolderRemote({
        directory,
        fs: spoil(aged(hookedFs(disk.mount(), hooks))),
        clock,
        random,
        sha256,
        modes: [mode],
      });
    const at = (number: number): string => `${root}/vault/log/${String(number).padStart(12, "0")}`;
    const drop = async (number: number): Promise<void> => discard(fs, mode, at(number));
    return {
      sha256,
      device: () => device(),
      neighbour: () => device(`${root}/other`),
      tamper: {
        drop,
        async put(number, bytes) {
          await drop(number);
          await stage(fs, mode, `${root}/planted`, bytes);
          await publish(fs, mode, `${root}/planted`, at(number));
          await discard(fs, mode, `${root}/planted`);
        },
        async damageBlob(id) {
          const path = `${root}/vault/blob/${toHex(id).slice(0, 2)}/${toHex(id)}`;
          const bytes = await fs.readFile(path, 1 << 20);
          await fs.unlink(path);
          await fs.writeFileNew(path, bytes.slice(1));
        },
      },
      age,
      failNextAppend: (point) => {
        fault = point;
      },
      // As a volume that is not mounted: an empty directory, which must stay one.
      async reachable(now) {
        if (now) {
          expect(await fs.readdir(`${root}/vault`)).toEqual([]);
          await fs.rmdir(`${root}/vault`);
          await fs.rename(`${root}/away`, `${root}/vault`);
        } else {
          await fs.rename(`${root}/vault`, `${root}/away`);
          await fs.mkdir(`${root}/vault`);
        }
      },
      readOnly: (now) => {
        readOnly = now;
      },
      ...(disk.cutPower === undefined ? {} : { cutPower: disk.cutPower }),
      ...(disk.cutSoon === undefined ? {} : { cutSoon: disk.cutSoon }),
      dispose: disk.dispose,
    };
  };
}

async function realDisk(): Promise<Disk> {
  const root = mkdtempSync(join(tmpdir(), "tidelock-folder-"));
  const fs = createNodeFs();
  return {
    fs,
    root,
    clock: { now: () => Date.now(), mono: () => performance.now() },
    random: (n) => new Uint8Array(randomBytes(n)),
    mount: () => fs,
    dispose: async () => rmSync(root, { recursive: true, force: true }),
  };
}

/** A simulated disk whose calls come to their turn at random, one a millisecond. */
async function simDisk(seed: number): Promise<Disk> {
  const random = draws(seed);
  let time = 0;
  const clock: Clock = { now: () => 1_700_000_000_000 + time, mono: () => time };
  const disk = new SimDisk({ now: () => clock.now() });
  let steps: { readonly run: () => void; readonly process: number }[] = [];
  let turning = false;
  let processes = 0;
  // One process at a time may be held up for long between two of its calls.
  let stalled = { process: -1, until: 0 };
  let left = Number.POSITIVE_INFINITY;
  let cut = (): void => {};
  // Every third seed has errors too, until the power goes.
  let storm = false;
  const error = ({ op }: DiskCall): string | undefined => {
    if (!storm || random() > (op === "syncFile" ? 0.04 : 0.002)) return undefined;
    return random() < 0.5 ? "EIO" : "ENOSPC";
  };
  const turn = (): void => {
    time++;
    if (--left === 0) {
      steps = [];
      turning = false;
      processes = 0;
      storm = false;
      disk.powerCut(random);
      left = Number.POSITIVE_INFINITY;
      cut();
      return;
    }
    if (time > stalled.until && random() < 0.02) {
      stalled = { process: Math.floor(random() * processes), until: time + Math.floor(random() * 200) };
    }
    const ready = steps.filter(({ process }) => process !== stalled.process || time > stalled.until);
    const among = ready.length === 0 ? steps : ready;
    const next = among[Math.floor(random() * among.length)];
    steps = steps.filter((one) => one !== next);
    next?.run();
    turning = steps.length > 0;
    if (turning) queueMicrotask(turn);
  };
  const mount = (): Fs => {
    const process = processes++;
    return disk.mount({
      before: error,
      after: error,
      schedule(run) {
        steps.push({ run, process });
        if (!turning) queueMicrotask(turn);
        turning = true;
      },
    });
  };
  return {
    fs: disk.mount(),
    root: "",
    clock,
    random: (n) => Uint8Array.from({ length: n }, () => random() * 256),
    mount,
    cutPower(afterCalls) {
      left = afterCalls;
      storm = seed % 3 === 0;
      return new Promise((resolve) => {
        cut = resolve;
      });
    },
    cutSoon() {
      if (left !== Number.POSITIVE_INFINITY) left = 1;
    },
    dispose: async () => {},
  };
}

describeRemote("folder on a real disk, by link", onDisk(realDisk, "link"));
describeRemote("folder on a real disk, by rename", onDisk(realDisk, "rename-dir"));
describeRemote("folder on a simulated disk, by link", onDisk(simDisk, "link"));
describeRemote("folder on a simulated disk, by rename", onDisk(simDisk, "rename-dir"));

/** Each leaves out or weakens one call; power cuts have to show it. */
const broken: Record<string, (fs: Fs) => Fs> = {
  "syncs no directory": (fs) => ({ ...fs, syncDir: async () => {} }),
  "syncs no file": (fs) => ({ ...fs, syncFile: async () => {} }),
  "hands out what it did not sync": (fs) => {
    let published = false;
    return {
      ...fs,
      link: async (from, to) => {
        await fs.link(from, to);
        published = to.includes("/log/");
      },
      syncDir: async (path) => {
        if (!path.endsWith("/log") || published) await fs.syncDir(path);
        published = false;
      },
    };
  },
  "syncs the log alone": (fs) => ({
    ...fs,
    syncDir: async (path) => void (path.endsWith("/log") && (await fs.syncDir(path))),
  }),
  "syncs no directory of blobs": (fs) => ({
    ...fs,
    syncDir: async (path) => void (/\/blob\/..$/.test(path) || (await fs.syncDir(path))),
  }),
  "tries a failed sync again": (fs) => ({
    ...fs,
    syncFile: (path) => fs.syncFile(path).catch(() => fs.syncFile(path)),
  }),
};

test.for(Object.entries(broken))(
  "power cuts show a folder that %s",
  { timeout: 120_000 },
  async ([, spoil]) => {
    const create = onDisk(simDisk, "link", spoil);
    const survived = (seed: number): Promise<boolean> =>
      survivePowerCuts(create, seed).then(
        () => true,
        () => false,
      );
    let seed = 1;
    while (seed < 1000 && (await survived(seed))) seed++;
    expect(seed).toBeLessThan(1000);
  },
);

test("the suite sees a folder that publishes over what stands there", async () => {
  const spoil = (fs: Fs): Fs => ({
    ...fs,
    link: async (from, to) => {
      await fs.unlink(to).catch(() => {});
      await fs.link(from, to);
    },
  });
  expect(await firstFailing(remoteCases, onDisk(simDisk, "link", spoil))).toBeDefined();
});
