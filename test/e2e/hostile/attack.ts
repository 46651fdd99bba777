import { deriveStatus } from "@tidelock/core/engine/status";
import type { Device } from "@tidelock/testkit/vault-kit";
import { expect } from "vitest";
import type { Outcome, Scene } from "./scene.ts";

export interface Attack {
  /** As the threat model names it. */
  readonly ids: string;
  readonly what: string;
  /** The promise that it shows, by its row. */
  readonly shows?: string;
  /** Where it can be mounted; by default on both. */
  readonly on?: "server" | "folder";
  /** A device does not get out of it by itself: nothing follows in that scene. */
  readonly last?: true;
  /** Mounts it, holds the devices to what is promised, and says what they answered. */
  readonly run: (s: Scene) => Promise<string>;
}

/** An outcome in one word: the code of a halt or failure, or that an entry waits for a signature. */
export function told(outcome: Outcome): string {
  if (outcome.kind === "live") return "live";
  return outcome.why === "unsigned" ? "waits" : outcome.code;
}

/** Whatever comes of it, nothing of the replica, the outbox and the file is another than before. */
export async function unchanged<T>(s: Scene, device: Device, work: () => Promise<T>): Promise<T> {
  const before = s.state(device);
  const result = await work();
  expect(s.state(device)).toEqual(before);
  return result;
}

export async function halts(s: Scene, device: Device, code: string): Promise<string> {
  for (let i = 0; i < 2; i++)
    expect(await unchanged(s, device, async () => told(await s.sync(device)))).toBe(code);
  expect(deriveStatus(device.engine.facts())).toMatchObject({ code: "halted", exit: 17 });
  return code;
}

/** Everybody finds the same, and comes to one state. */
export async function together(s: Scene): Promise<void> {
  for (const device of [s.a, s.b, s.c, s.a, s.b]) expect(told(await s.sync(device))).toBe("live");
  expect(s.state(s.a)).toEqual(s.state(s.b));
  expect(s.status(s.a)).toBe("live");
}

/** The place tells the truth again: everybody comes to one state, and writes on. */
export async function goesOn(s: Scene): Promise<void> {
  await s.place.show(undefined);
  for (const device of [s.a, s.b, s.a]) expect(told(await s.sync(device))).toBe("live");
  await s.says(s.a, s.fresh());
  for (const device of [s.b, s.c, s.a]) expect(told(await s.sync(device))).toBe("live");
  expect(s.state(s.a)).toEqual(s.state(s.b));
  expect(s.status(s.a)).toBe("live");
}
