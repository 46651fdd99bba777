import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "b16-no-poll-beside-hints",
  bug: "where a remote gives hints there is no poll, and a lost hint is lost",
  oracle: "quiet",
  file: "packages/core/src/engine/sync.ts",
  find: '        timer = scheduler.after(hasNews() ? 0 : nextPoll(), () => back("due"));',
  replace:
    '        if (!remote.caps.wake || hasNews()) timer = scheduler.after(hasNews() ? 0 : nextPoll(), () => back("due"));',
  seed: 6,
};
