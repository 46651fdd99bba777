import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "b08-no-directory-fsync",
  bug: "the folder remote does not sync the directory it published in",
  oracle: "acked",
  file: "packages/node/src/remote-folder/place.ts",
  find: "  const synced = await settled(fs.syncDir(home));",
  replace: '  const synced: Put = { kind: "placed" };',
  profile: "folder",
  seed: 153,
};
