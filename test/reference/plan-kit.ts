/** Short words for tests of the planner: two devices, paths, and what a pass did. */
import { ROOT } from "@tidelock/core/kinds/files/names";
import type { DiskProfile, Plan } from "@tidelock/core/kinds/files/plan/types";
import type { Item } from "@tidelock/core/kinds/files/types";
import { Device, Log } from "./plan-device.ts";
import { profiles, type Thing } from "./plan-disk.ts";

export class Two {
  readonly a: Device;
  readonly b: Device;
  readonly log = new Log();
  #runs = 0;

  constructor(a: DiskProfile = profiles.ext4, b: DiskProfile = profiles.ext4) {
    this.a = new Device(1, a);
    this.b = new Device(2, b);
  }

  /** What one pass does to the log and the disk, in its order. */
  pass(device: Device): string[] {
    const steps = device.pass(++this.#runs)?.steps ?? [];
    return steps.map((step) => step.do).filter((what) => !["adopt", "forget", "hash"].includes(what));
  }

  /** Everything it has goes into the log. */
  place(device: Device): void {
    while (this.log.place(device));
  }

  read(device: Device): void {
    this.log.read(device);
  }

  /** Until there is nothing to do any more. */
  settle(): void {
    for (let round = 0; round < 30; round++) {
      const both = [this.a, this.b];
      const plans = both.map((device) => device.pass(++this.#runs)).filter((plan) => plan !== undefined);
      for (const device of both) this.place(device);
      const runs = both.flatMap((device) => this.log.read(device));
      if (plans.length === 0 && runs.length === 0) return;
    }
    throw new Error("no rest");
  }

  /** What a device would do now. */
  plan(device: Device): Plan {
    return device.plan(device.scan());
  }
}

export function split(path: string): { readonly above: string; readonly name: string } {
  const at = path.lastIndexOf("/");
  return { above: at < 0 ? "" : path.slice(0, at), name: path.slice(at + 1) };
}

export function thing({ disk }: Device, path: string): Thing {
  let found = disk.top;
  for (const name of path === "" ? [] : path.split("/")) {
    const next = disk.at(found, name);
    if (next === undefined) throw new Error(`no ${path}`);
    found = next;
  }
  return found;
}

export function dir(device: Device, path: string): Thing {
  const { above, name } = split(path);
  return device.disk.make(thing(device, above), name, "dir");
}

/** A new file, or new bytes in the one that is there. */
export function file(device: Device, path: string, text: string): Thing {
  const { above, name } = split(path);
  const there = device.disk.at(thing(device, above), name);
  if (there === undefined) return device.disk.make(thing(device, above), name, "file", text);
  device.disk.write(there, text);
  return there;
}

export function remove(device: Device, path: string): Thing {
  const { above, name } = split(path);
  return device.disk.take(thing(device, above), name);
}

export function move(device: Device, from: string, to: string): void {
  const one = remove(device, from);
  const { above, name } = split(to);
  device.disk.put(thing(device, above), name, one);
}

/** By path, in what a device shows. */
export function item({ replica }: Device, path: string): Item {
  let found: Item | undefined;
  for (const name of path.split("/")) {
    const folder = found?.id ?? ROOT;
    found = replica.tx((tx) => replica.kind.child(tx, folder, name));
  }
  if (found === undefined) throw new Error(`no ${path} in the view`);
  return found;
}
