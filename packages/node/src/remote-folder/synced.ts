/**
 * Folders that a program mirrors between machines. Every machine's own copy takes a write, so no
 * race on one of them shows what the others did: they cannot order writes, and only their names
 * and markers tell. Rule REM22.
 */
import type { Fs } from "@tidelock/core/ports-fs";
import { errnoOf } from "./errno.ts";

interface Mirror {
  readonly name: string;
  /** A directory of the path that such a program makes by itself. */
  readonly segment?: RegExp;
  /** What such a program leaves in the folders it mirrors. */
  readonly marker?: RegExp;
}

const mirrors: readonly Mirror[] = [
  { name: "Dropbox", segment: /^Dropbox( \(.+\))?$/i, marker: /^\.dropbox(\.cache|\.device)?$/ },
  {
    name: "iCloud Drive",
    segment: /^(Mobile Documents|iCloud ?Drive|com~apple~CloudDocs)$/i,
    marker: /^\.icloud$|\.icloud$/,
  },
  {
    name: "OneDrive",
    segment: /^OneDrive( - .+|-.+)?$/i,
    marker: /^\.849C9593-D756-4E56-8D6E-42412F2A707B$/i,
  },
  {
    name: "Google Drive",
    segment: /^(Google ?Drive(-.+)?|My Drive|DriveFS)$/i,
    marker: /^\.tmp\.drive(down|up)load$/,
  },
  {
    name: "Nextcloud",
    segment: /^(Nextcloud|ownCloud)$/i,
    marker: /^\._?sync_[0-9a-f]+\.db$|^\.(nextcloud|owncloud)sync\.log$/,
  },
  { name: "Syncthing", marker: /^\.stfolder$/ },
  // Where macOS keeps what its file providers mirror, whoever they are.
  { name: "a cloud drive", segment: /^CloudStorage$/ },
];

/** The program that mirrors `directory` or a folder above it; undefined when none is known to. */
export async function mirrorOf(fs: Fs, directory: string): Promise<string | undefined> {
  const segments = directory.split(/[\\/]/).filter((one) => one !== "");
  for (const { name, segment } of mirrors) if (segments.some((one) => segment?.test(one))) return name;
  for (let path = directory; path !== ""; path = path.slice(0, path.lastIndexOf("/"))) {
    const names = await namesIn(fs, path);
    for (const { name, marker } of mirrors) if (names.some((one) => marker?.test(one))) return name;
    if (!path.includes("/")) break;
  }
  return undefined;
}

async function namesIn(fs: Fs, path: string): Promise<readonly string[]> {
  try {
    return await fs.readdir(path);
  } catch (error) {
    // Not there yet, or a parent we may not list: the other signs have to do.
    if (errnoOf(error) === undefined) throw error;
    return [];
  }
}
