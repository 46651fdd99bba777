/**
 * What the holder of a remote can show to one device alone: an end of the log that nobody else has
 * signed, with other times, without the others' newest entries, or with that device's own entries in
 * other places than everybody else sees them.
 */
import type { Suite } from "@tidelock/core/crypto/suite";
import { parseFrame } from "@tidelock/core/log/frame";
import type { AppendResult, LogObject } from "@tidelock/core/ports";
import { LogServer } from "./log-server.ts";
import type { Stream } from "./random.ts";

const modes = ["retimed", "hidden", "moved"] as const;

export class Lie {
  readonly mode: (typeof modes)[number];
  /** The last seq that is the same for everybody. */
  readonly from: number;
  readonly #server: LogServer;
  readonly #shown: LogServer;
  readonly #shift: number;
  /** How many of the true objects it has shown or kept back. */
  #passed: number;

  constructor(suite: Suite, server: LogServer, random: Stream) {
    this.mode = random.pick(modes);
    this.from = server.head;
    this.#server = server;
    this.#shown = new LogServer(suite, false);
    this.#shown.genesis = server.genesis;
    this.#shown.objects.push(...server.objects);
    this.#passed = server.objects.length;
    this.#shift = random.pick([-3_600_000, 60_000, 3_600_000, 86_400_000]);
  }

  read(after: number, bytes: number): ReturnType<LogServer["read"]> {
    this.#follow();
    return this.#shown.read(after, bytes);
  }

  append(
    frames: readonly Uint8Array[],
    seen: { readonly seq: number; readonly hash: Uint8Array },
    time: number,
  ): AppendResult {
    this.#follow();
    const result = this.#shown.append(frames, seen, time);
    // Everybody sees them too, after what this device is not shown. What names its own end would show the lie.
    const common = (frame: Uint8Array): boolean => (parseFrame(frame)?.anchorSeq ?? 0) <= this.from;
    if (this.mode === "moved" && result.kind === "committed" && frames.every(common))
      this.#server.place(null, frames, time);
    return result;
  }

  #follow(): void {
    const { objects } = this.#server;
    for (; this.#passed < objects.length; this.#passed++) {
      const object = objects[this.#passed] as LogObject;
      if (this.mode !== "retimed" || object.kind === "garbage") continue;
      const [first] = object.entries;
      const frames = object.entries.map((entry) => entry.frame);
      if (object.prev === null || this.#shown.head === object.first - 1)
        this.#shown.place(null, frames, Math.max(0, (first?.time ?? 0) + this.#shift));
    }
  }
}
