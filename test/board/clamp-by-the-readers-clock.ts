import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "clamp-by-the-readers-clock",
  bug: "log time is bound by the clock of the device that replays",
  oracle: "digest",
  file: "packages/core/src/engine/apply.ts",
  find: "  const accepted = nextLogTime(before, entry.time, frame.sealedAt);",
  replace:
    "  const accepted = nextLogTime(before, Math.min(entry.time, (deps as unknown as { now: () => number }).now()), frame.sealedAt);",
  also: [
    {
      file: "packages/core/src/engine/replica.ts",
      find: "    return { ...judging, ownDevice, point, attested, onVerdict, onApplied, refuses };",
      replace:
        "    return { ...judging, ownDevice, point, attested, onVerdict, onApplied, refuses, now: () => env.clock.now() } as never;",
    },
  ],
  seed: 2,
};
