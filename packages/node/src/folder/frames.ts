/** Changes of files as frames of a run. */
import { limits } from "@tidelock/core/bytes/limits";
import type { RunFrame } from "@tidelock/core/engine/api";
import { encodeSection } from "@tidelock/core/kinds/files/codec";
import type { FileChange } from "@tidelock/core/kinds/files/types";

const FILES = 3;
/** Bytes of the changes of one frame, below `limits.frame` with what a seal adds. */
const FRAME = 512 << 10;

/** As few frames as hold them, in their order. */
export function changeFrames(label: string, changes: readonly FileChange[]): readonly RunFrame[] {
  const sections = (some: readonly FileChange[]): Uint8Array =>
    encodeSection({ label, approved: false, changes: some });
  const frames: RunFrame[] = [];
  let some: FileChange[] = [];
  let bytes = 0;
  const close = (): void => {
    if (some.length > 0) frames.push({ sections: new Map([[FILES, sections(some)]]) });
    [some, bytes] = [[], 0];
  };
  for (const change of changes) {
    const size = sections([change]).length;
    if (some.length >= limits.changesPerFrame || bytes + size > FRAME) close();
    some.push(change);
    bytes += size;
  }
  close();
  return frames;
}
