import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "halt-leaves-half",
  bug: "an entry that stops the engine leaves a part of its effects",
  oracle: "digest",
  file: "packages/core/src/engine/apply.ts",
  find: `  const code = deps.refuses(tx, entry, signed);
  if (code !== undefined) return { kind: "halt", code };
  const fresh = frame.deviceSeq > getTrack(tx, frame.device).seq;
  useUpDeviceSeq(tx, entry, frame, judged.kind === "ok", author);`,
  replace: `  const code = deps.refuses(tx, entry, signed);
  const fresh = frame.deviceSeq > getTrack(tx, frame.device).seq;
  useUpDeviceSeq(tx, entry, frame, judged.kind === "ok", author);
  if (code !== undefined) return { kind: "halt", code };`,
  seed: 12,
};
