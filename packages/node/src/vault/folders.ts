/** The synced folders of one vault on this device: which there are, and that each is kept in step. */
import { basename, dirname, join, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { equalBytes } from "@tidelock/core/bytes/bytes";
import { type ErrorCode, errorKinds, TidelockError } from "@tidelock/core/errors";
import { ROOT } from "@tidelock/core/kinds/files/names";
import type { Item, ItemId } from "@tidelock/core/kinds/files/types";
import type { Tx } from "@tidelock/core/log/tx";
import { SyncedFolder } from "../folder/folder.ts";
import type { FolderHost } from "../folder/host.ts";
import type { FolderIssue } from "../folder/issues.ts";
import {
  attachedAbove,
  leavePlace,
  makeRooms,
  placeIn,
  readMarker,
  whyNot,
  writeMarker,
} from "../folder/root.ts";
import { type FolderRecord, FolderRows, folderRecords, putFolderRecord } from "../folder/rows.ts";
import { errnoOf } from "../home/files.ts";
import type { HomePaths } from "../home/paths.ts";
import { copiedError } from "./copied.ts";
import { partsOf } from "./drive-path.ts";
import type { Matter } from "./issues.ts";
import { isServer } from "./remote.ts";
import { optional } from "./status.ts";
import { createWatchdog } from "./watchdog.ts";

export interface FolderInfo {
  readonly path: string;
  readonly state: "live" | "paused" | "removed";
  /** Why it is paused: one of the codes in docs/guide/troubleshooting.md, and in words. */
  readonly code?: string;
  readonly why?: string;
  /** What then to do. */
  readonly next?: string;
  /** Files, folders and links of which disk and vault agree. */
  readonly items: number;
  /** Changes that the disk does not show yet. */
  readonly waiting: number;
  /** Deletions that wait for a person's word. */
  readonly withheld: number;
  /** Parts of the drive that are not shown here, and parts of those that are: what was said of them, by their paths. */
  readonly excluded: readonly string[];
  readonly selected: readonly string[];
  /** What is left as it is, a code and a count each. */
  readonly aside: readonly FolderIssue[];
}

export interface Folders {
  /** Opens all that are attached; `watch`: from then on they work by themselves. */
  resume(watch: boolean): Promise<void>;
  /** `force`: also where its marker names another attachment, whose device or home is given up. */
  add(path: string, force: boolean): Promise<FolderInfo>;
  remove(path: string): Promise<FolderInfo>;
  /** Looks at everything in one, or in all. */
  scan(path: string | undefined): Promise<readonly FolderInfo[]>;
  approve(path: string): Promise<{ readonly approved: number }>;
  /** What was withheld comes back. */
  bringBack(path: string): Promise<{ readonly restored: number }>;
  /** `at`: an absolute path of the disk. In a synced folder it means what lies there; else `path` is one of the drive, in all folders. */
  select(path: string, at: string | undefined, selected: boolean): Promise<readonly FolderInfo[]>;
  /** Inside a transaction: whether there are folders here, and none of them shows an item. */
  exclusion(tx: Tx): (item: Item) => boolean;
  list(): readonly FolderInfo[];
  count(): number;
  /** What a wait can end for. */
  due(): number;
  /** Files that are on their way, or wait for room here. */
  held(): number;
  /** Both ways. `anew`: first everything is looked at, whatever hints there were. */
  settle(anew: boolean): Promise<void>;
  facts(): {
    readonly withheldDeletions: number;
    readonly pausedFolders: number;
    readonly unprojected: number;
  };
  /** An edit that was refused goes out under another number: what rests on it rests on that. */
  renumber(tx: Tx, run: number, now: number): void;
  /** Without a change of anything: what would be sent. */
  look(): Promise<number>;
  issues(): readonly Matter[];
  stalled(): number;
  close(): Promise<void>;
}

export interface FoldersDeps {
  readonly host: FolderHost;
  readonly paths: HomePaths;
  readonly remote: string | undefined;
  /** False in a copied home: its folders belong to the device it was copied from. */
  readonly enabled: boolean;
}

export function createFolders(d: FoldersDeps): Folders {
  const { host } = d;
  const openByPath = new Map<string, SyncedFolder>();
  const dog = createWatchdog(() => host.clock.mono());
  const dueByPath = new Map<string, number>();
  let watching = false;
  let closed = false;
  const known = (): readonly FolderRecord[] => host.engine.read((tx) => folderRecords(tx));
  const all = (): readonly SyncedFolder[] => [...openByPath.values()];

  function open(record: FolderRecord): SyncedFolder {
    const folder = openByPath.get(record.path) ?? new SyncedFolder(host, record, watching);
    openByPath.set(record.path, folder);
    return folder;
  }

  async function resume(watch: boolean): Promise<void> {
    if (!d.enabled || closed) return;
    watching ||= watch;
    for (const record of known()) open(record);
  }

  async function add(path: string, force: boolean): Promise<FolderInfo> {
    if (!d.enabled) throw copiedError();
    const root = await realFolder(path);
    const old = known().find((record) => record.path === root);
    if (old === undefined) await checkPlace(root, force);
    if (old === undefined || (await why(old)) !== undefined) {
      await openByPath.get(root)?.close();
      openByPath.delete(root);
      await attach(root, old);
    }
    // A marker may stand there since a flush of it failed: its name must be durable before anybody relies on it.
    for (const folder of [placeIn(root).mark, root]) await host.fs.syncDir(folder);
    const record = known().find((one) => one.path === root);
    if (record === undefined) throw new TidelockError("internal", { why: "a folder without a record" });
    const folder = open(record);
    await folder.pump();
    return infoOf(folder);
  }

  function why({ path, id, identity }: FolderRecord): Promise<string | undefined> {
    return whyNot(host.fs, placeIn(path), { vault: host.engine.vault, attachment: id, identity });
  }

  async function realFolder(path: string): Promise<string> {
    try {
      const real = await host.fs.realPath(resolve(path));
      if ((await host.fs.look(real)).kind === "dir") return real.split("\\").join("/").replace(/\/+$/, "");
    } catch (error) {
      if (errnoOf(error) === "") throw error;
    }
    throw new TidelockError("not-found", { why: `there is no folder ${path}`, next: "make it first" });
  }

  /** Not where our own files lie, and not in another synced folder. */
  async function checkPlace(root: string, force: boolean): Promise<void> {
    const { remote, paths } = d;
    const own = [paths.root, paths.data, paths.config];
    if (remote !== undefined && !isServer(remote)) own.push(fileURLToPath(remote));
    for (const one of own)
      if (isIn(root, one) || isIn(one, root))
        throw new TidelockError("nested-vault", {
          why: `${root} and ${one}, where Tidelock keeps its own files, lie in each other`,
        });
    const above = await attachedAbove(host.fs, root);
    const other = known().find((record) => isIn(record.path, root) || isIn(root, record.path));
    const at = above === root ? other?.path : (above ?? other?.path);
    if (at !== undefined)
      throw new TidelockError("nested-vault", { why: `${at} is a synced folder already` });
    if (above === root && !force)
      throw new TidelockError("attached-elsewhere", {
        why: `${root} is synced by another home or was`,
        next: `tidelock drive rm ${root} there; if that home is gone: tidelock drive add ${root} --force`,
      });
  }

  /** Nothing is known of what lies there: what the vault has alike is agreed, and all else is new on either side. */
  async function attach(root: string, old: FolderRecord | undefined): Promise<void> {
    const place = placeIn(root);
    const id = host.suite.random(16);
    const { ino, birthtimeNs } = await host.fs.look(root);
    await makeRooms(host.fs, place);
    host.engine.write((tx) => {
      const slot = old?.slot ?? folderRecords(tx).reduce((most, one) => Math.max(most, one.slot), 0) + 1;
      new FolderRows(slot).forgetAgreed(tx);
      putFolderRecord(tx, { id, slot, path: root, identity: { ino, born: birthtimeNs } });
    });
    // Last: a folder whose record has no marker is paused, and attached anew by the same command.
    await writeMarker(host.fs, place, { vault: host.engine.vault, attachment: id });
  }

  async function remove(path: string): Promise<FolderInfo> {
    const root = await host.fs.realPath(resolve(path)).catch(() => resolve(path));
    const record = known().find((one) => one.path === root || one.path === resolve(path));
    if (record === undefined) throw noFolder();
    await openByPath.get(record.path)?.close();
    openByPath.delete(record.path);
    const place = placeIn(record.path);
    const marker = await readMarker(host.fs, place).catch(() => undefined);
    // Another folder may stand there by now, with a marker of its own.
    if (marker !== undefined && equalBytes(marker.attachment, record.id)) await leavePlace(host.fs, place);
    host.engine.write((tx) => new FolderRows(record.slot).forgetAll(tx));
    const nothing = { items: 0, waiting: 0, withheld: 0, excluded: [], selected: [], aside: [] };
    return { path: record.path, state: "removed", ...nothing };
  }

  async function one(path: string): Promise<SyncedFolder> {
    const root = await host.fs.realPath(resolve(path)).catch(() => resolve(path));
    const record = known().find((r) => r.path === root || r.path === resolve(path));
    if (record === undefined) throw noFolder();
    return open(record);
  }

  async function select(
    path: string,
    at: string | undefined,
    selected: boolean,
  ): Promise<readonly FolderInfo[]> {
    if (!d.enabled) throw copiedError();
    const here = at === undefined ? undefined : await realPlace(at);
    const inside = known().find((record) => here !== undefined && isIn(record.path, here));
    const names = partsOf(inside === undefined ? path : (here ?? "").slice(inside.path.length));
    const some = inside === undefined ? known().map(open) : [open(inside)];
    if (some.length === 0)
      throw new TidelockError("not-found", {
        why: "no folder of this machine is kept equal with the drive",
        next: "tidelock drive add DIR",
      });
    const id = host.engine.read((tx) => folderAt(tx, names));
    for (const folder of some) {
      const unsent = await folder.select({ id, selected });
      if (unsent > 0)
        throw new TidelockError("not-uploaded", {
          why: `${unsent} of what lies in ${names.join("/") || "the drive"} is not in the vault yet`,
        });
    }
    return some.map(infoOf);
  }

  /** What is not selected does not lie there, but what is above it does. */
  async function realPlace(at: string): Promise<string> {
    const names: string[] = [];
    for (let above = resolve(at); ; above = dirname(above)) {
      const real = await host.fs.realPath(above).catch(() => undefined);
      if (real !== undefined || above === dirname(above))
        return join(real ?? above, ...names)
          .split(sep)
          .join("/");
      names.unshift(basename(above));
    }
  }

  function folderAt(tx: Tx, names: readonly string[]): ItemId {
    let id: ItemId = ROOT;
    for (const name of names) {
      const item = host.files.child(tx, id, name);
      if (item?.kind !== "dir")
        throw new TidelockError("not-found", {
          why: `there is no folder ${names.join("/")} in the drive`,
          next: "tidelock drive ls",
        });
      id = item.id;
    }
    return id;
  }

  return {
    resume,
    add,
    remove,
    scan: async (path) => {
      await resume(watching);
      const some = path === undefined ? all() : [await one(path)];
      for (const folder of some) await folder.retry();
      return some.map(infoOf);
    },
    approve: async (path) => ({ approved: await (await one(path)).approve() }),
    bringBack: async (path) => ({ restored: await (await one(path)).bringBack() }),
    select,
    exclusion: (tx) => {
      const some = folderRecords(tx).map((record) => open(record).selection(tx));
      return (item) => some.length > 0 && some.every((selection) => !selection.shows(item));
    },
    list: () => known().map((record) => infoOf(open(record))),
    count: () => known().length,
    due: () => all().reduce((sum, folder) => sum + folder.due, 0),
    held: () => all().reduce((sum, folder) => sum + folder.held, 0),
    settle: async (anew) => {
      for (const folder of all()) await (anew ? folder.scan() : folder.pump());
    },
    renumber: (tx, run, now) => {
      for (const { slot } of folderRecords(tx)) new FolderRows(slot).renumber(tx, run, now);
    },
    look: async () => {
      await resume(false);
      let up = 0;
      for (const folder of all()) up += (await folder.look()).up;
      return up;
    },
    facts: () => ({
      withheldDeletions: all().reduce((sum, folder) => sum + folder.withheld, 0),
      pausedFolders: all().filter((folder) => folder.paused !== undefined).length,
      unprojected: all().reduce((sum, folder) => sum + folder.undone, 0),
    }),
    issues: () => matters(all()),
    stalled: () =>
      all().filter((folder) => {
        const due = folder.owed;
        if (dueByPath.get(folder.path) !== due) dog.moved(folder.path);
        dueByPath.set(folder.path, due);
        return dog.stalled(folder.path, due > 0);
      }).length,
    close: async () => {
      closed = true;
      await Promise.all(all().map((folder) => folder.close()));
      openByPath.clear();
    },
  };
}

function infoOf(folder: SyncedFolder): FolderInfo {
  const { paused } = folder;
  const chosen = folder.chosen();
  return {
    path: folder.path,
    state: paused === undefined ? "live" : "paused",
    ...optional("code", paused?.code),
    ...optional("why", paused?.why),
    ...optional("next", paused === undefined ? undefined : nextFor(paused.code, folder.path)),
    items: folder.items,
    waiting: folder.undone,
    withheld: folder.withheld,
    excluded: chosen.filter(({ selected }) => !selected).map((one) => one.path),
    selected: chosen.filter(({ selected }) => selected).map((one) => one.path),
    aside: folder.issues().filter(({ code }) => code !== paused?.code && code !== "guard-deletion"),
  };
}

function nextFor(code: string, path: string): string {
  if (code === "rejected") return `tidelock queue ls, then tidelock drive scan ${path}`;
  if (code === "folder-missing")
    return `mount it or put it back; if it is given up: tidelock drive rm ${path}`;
  return code in errorKinds ? errorKinds[code as ErrorCode].next : "tidelock status --verbose";
}

/** Codes and counts alone: a status names no path. */
function matters(folders: readonly SyncedFolder[]): Matter[] {
  const countByCode = new Map<string, number>();
  for (const { code, count } of folders.flatMap((folder) => folder.issues()))
    countByCode.set(code, (countByCode.get(code) ?? 0) + count);
  const paused = new Set(folders.flatMap((folder) => folder.paused?.code ?? []));
  return [...countByCode].map(([code, count]) => {
    if (code === "guard-deletion")
      return {
        code,
        count,
        why: `${count} deletions wait for your word`,
        next: "tidelock drive approve DIR, or tidelock drive undo DIR",
      };
    if (paused.has(code))
      return { code, count, why: "a synced folder is paused", next: "tidelock drive folders" };
    if (code === "watching-limited")
      return {
        code,
        count,
        why: "the system gives no more hints, so folders are looked through every minute",
        next: "raise fs.inotify.max_user_watches",
      };
    if (code === "rejected")
      return {
        code,
        count,
        why: `${count} changes in a synced folder stay on this device: it only reads this vault`,
        next: "ask the vault's owner for another role, and they go by themselves",
      };
    if (code === "too-large")
      return {
        code,
        count,
        why: `${count} files are larger than the vault takes`,
        next: "tidelock drive folders; tidelock vault set maxFileSize SIZE",
      };
    return {
      code,
      count,
      why: `${count} files or folders are left as they are`,
      next: "tidelock drive folders",
    };
  });
}

function noFolder(): TidelockError {
  return new TidelockError("not-found", { why: "no folder is synced there", next: "tidelock drive folders" });
}

function isIn(outer: string, inner: string): boolean {
  return inner === outer || inner.startsWith(outer.endsWith("/") ? outer : `${outer}/`);
}
