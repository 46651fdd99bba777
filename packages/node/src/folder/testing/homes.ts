/** Devices of one vault with a folder each, in this process: real replicas, a real folder remote, real disks. */
import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createScheduler } from "../../env.ts";
import { createNodeFolderFs } from "../../fs/node-folder-fs.ts";
import { homePaths } from "../../home/paths.ts";
import { openVault } from "../../vault/open.ts";
import { openSession, type Session } from "../../vault/session.ts";
import { SyncedFolder } from "../folder.ts";
import type { FolderHost } from "../host.ts";
import { folderRecords } from "../rows.ts";

export interface TestHome {
  readonly session: Session;
  /** Its folder of the disk. */
  readonly folder: string;
  /** Both ways, and the disk in step; adds nothing that a person would have to. */
  sync(): Promise<void>;
  /** As after a crash or a restart of the process. */
  again(): Promise<TestHome>;
}

/** Its folder once more, with another disk or clock under it: the one that the session has must be at rest. */
export function folderOver(home: TestHome, more: Partial<FolderHost> = {}, watch = false): SyncedFolder {
  const { engine, replica, suite, remote, clock, kinds } = home.session;
  const log = { event: () => undefined };
  const host: FolderHost = {
    engine,
    replica,
    files: kinds.files,
    suite,
    remote,
    clock,
    scheduler: createScheduler(),
    log,
    fs: createNodeFolderFs(),
    deviceName: () => home.session.deviceName(),
    ...more,
  };
  const [record] = replica.read((tx) => folderRecords(tx));
  if (record === undefined) throw new Error("no folder is attached");
  return new SyncedFolder(host, record, watch);
}

export interface TestHomes {
  readonly root: string;
  readonly homes: readonly TestHome[];
  remove(): Promise<void>;
}

export async function createHomes(names: readonly string[], add = true): Promise<TestHomes> {
  const root = mkdtempSync(join(tmpdir(), "tidelock-folder-"));
  const open = new Set<Session>();
  const homes: TestHome[] = [];
  let words: string | undefined;

  async function start(name: string): Promise<TestHome> {
    const paths = await homePaths({ home: join(root, name) });
    const session = await openSession({ paths, keys: { insecureKeyFile: true } });
    open.add(session);
    await session.folders.resume(false);
    const folder = join(root, `folder-${name}`);
    return {
      session,
      folder,
      sync: async () => void (await session.sync({ wait: true })),
      again: async () => {
        await session.close();
        open.delete(session);
        return start(name);
      },
    };
  }

  for (const name of names) {
    const vault = await openVault({
      home: join(root, name),
      remote: join(root, "remote"),
      insecureKeyFile: true,
      device: { name },
      onPrompt: async (prompt) => {
        if (prompt.kind === "phrase") words = prompt.words.join(" ");
        return words;
      },
    });
    await vault.close();
    mkdirSync(join(root, `folder-${name}`));
    const home = await start(name);
    if (add) await home.session.folders.add(home.folder, false);
    homes.push(home);
  }
  return {
    root,
    homes,
    remove: async () => {
      for (const session of open) await session.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** Every entry: kind, size, hash or text, executable bit, time of change; without our own place. */
export function treeOf(root: string, under = ""): Record<string, string> {
  const out: Record<string, string> = {};
  for (const name of readdirSync(join(root, under)).sort()) {
    if (under === "" && name === ".tidelock") continue;
    const path = under === "" ? name : `${under}/${name}`;
    const at = join(root, path);
    const stat = lstatSync(at, { bigint: true });
    if (stat.isDirectory()) Object.assign(out, { [path]: "dir" }, treeOf(root, path));
    else if (stat.isSymbolicLink()) out[path] = `-> ${readlinkSync(at)}`;
    else {
      const hash = createHash("sha256").update(readFileSync(at)).digest("hex").slice(0, 16);
      out[path] = `${stat.size} ${hash} ${(stat.mode & 0o111n) === 0n ? "-" : "x"} ${stat.mtimeNs / 1000n}`;
    }
  }
  return out;
}

/** How many files that left the tree are kept beside it. */
export function keptAside(root: string): number {
  const rooms = ["stage", "trash"].map((room) => join(root, ".tidelock", room));
  return rooms.flatMap((room) =>
    readdirSync(room, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()),
  ).length;
}
