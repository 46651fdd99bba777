/**
 * Synced folders in the simulated world: the folders that ship, on disks that people share with them.
 * The person's bytes are counted: what somebody saved and nobody destroyed is on a disk or in the vault.
 */
import { toHex } from "@tidelock/core/bytes/bytes";
import type { Suite } from "@tidelock/core/crypto/suite";
import { fold } from "@tidelock/core/kinds/files/fold";
import { decodeItem } from "@tidelock/core/kinds/files/item";
import { ROOT } from "@tidelock/core/kinds/files/names";
import { confirmed } from "@tidelock/core/kinds/files/spaces";
import type { Item, ItemId } from "@tidelock/core/kinds/files/types";
import type { Kind } from "@tidelock/core/log/kind";
import type { Tx } from "@tidelock/core/log/tx";
import { folderSpaces } from "@tidelock/node/folder/rows";
import type { HomePaths } from "@tidelock/node/home/paths";
import { createFolders, type Folders } from "@tidelock/node/vault/folders";
import type { App } from "@tidelock/testkit/world/app";
import type { Beside } from "@tidelock/testkit/world/beside";
import type { FaultKind } from "@tidelock/testkit/world/faults";
import { createFilesApp } from "@tidelock/testkit/world/files-app";
import { type FolderMount, mountFolder } from "@tidelock/testkit/world/folder-disk";
import { FolderImage, volumes } from "@tidelock/testkit/world/folder-image";
import type { Life, SimNode } from "@tidelock/testkit/world/node";
import { Stream } from "@tidelock/testkit/world/random";
import type { World } from "@tidelock/testkit/world/world";
import { type Owed, Person, treeOf } from "./drive-person.ts";
import { chooseSome, type Files, judgeDeletions } from "./drive-select.ts";

export const DRIVE = "/drive";
const CALL: readonly FaultKind[] = ["kill", "power-cut", "disk-full", "corrupt"];
const HINT: readonly FaultKind[] = ["no-hint"];
const PAGE = 1000;

/** The files kind, and what the replica keeps of folders. */
export function createDriveApp(
  suite: Suite,
): App & { readonly files: ReturnType<typeof createFilesApp>["files"] } {
  const app = createFilesApp(suite);
  const spaces = [...app.kind.spaces, ...folderSpaces.map((space) => ({ ...space, kept: true }))];
  return { ...app, kind: { ...app.kind, spaces } as Kind };
}

interface Machine {
  readonly image: FolderImage;
  readonly person: Person;
  mount: FolderMount | undefined;
  folders: Folders | undefined;
  attached: boolean;
}

export function driveBeside(world: World): Beside {
  const machines = new Map<SimNode, Machine>();
  const hashOf = (bytes: Uint8Array): string => toHex(world.suite.sha256(bytes));
  const owed = new Map<string, Owed>();
  /** In every second history programs save at the very calls of the product. */
  const isCrowded = new Stream(world.seed, "crowd").chance(0.5);

  function machineOf(node: SimNode): Machine {
    let machine = machines.get(node);
    if (machine === undefined) {
      const volume = volumes[(Number(world.seed % 7n) + node.index) % volumes.length] ?? volumes[0];
      if (volume === undefined) throw new RangeError("no volume");
      const image = new FolderImage(volume, () => node.wall());
      image.mkdir(DRIVE);
      image.syncAll();
      const person = new Person({
        image,
        root: DRIVE,
        owed,
        hashOf,
        name: node.name,
        now: () => world.timeline.now,
        after: (ms, work) => world.timeline.after(ms, work),
        shaken: () => node.asleep + node.jump,
        isRestless: () => world.chaos,
        say: (line) => world.say(line),
      });
      machine = { image, person, mount: undefined, folders: undefined, attached: false };
      machines.set(node, machine);
    }
    return machine;
  }

  function mountOf(life: Life, { image, person }: Machine): FolderMount {
    const { node } = life;
    const random = new Stream(world.seed, `disk:${node.name}:${world.timeline.now}`);
    const hint = world.site(`${node.name}/disk.hint`, HINT);
    return mountFolder(image, {
      point: (call, when, path, from) => {
        world.say(
          () => `${node.name}  disk ${call} ${when} ${from === undefined ? "" : `${from} > `}${path}`,
        );
        if (when === "after") person.looked();
        else if (call === "rename") person.isReplaced(path);
        else if (isCrowded && world.chaos && random.chance(0.01)) person.saveNow(path, random);
        if (when === "before" && call === "look") person.isLookedAt(path);
        const decision = life.alive
          ? world.decide(world.site(`${node.name}/disk.${call}/${when}`, CALL))
          : undefined;
        if (decision === undefined) return undefined;
        if (decision.fault === "disk-full") return when === "before" ? "ENOSPC" : undefined;
        if (decision.fault === "corrupt") return "EIO";
        node.crash(decision.ms, decision.fault === "power-cut");
        return undefined;
      },
      schedule: (step) => node.deliver(life, random.int(0, 2), step),
      hint: () => world.decide(hint) === undefined,
    });
  }

  function begin(life: Life): void {
    const { node, engine, env } = life;
    if (engine === undefined) return;
    const machine = machineOf(node);
    machine.mount = mountOf(life, machine);
    const { files } = life.app as ReturnType<typeof createDriveApp>;
    const tracked = Object.create(engine, {
      submit: {
        value: (tx: Tx, run: Parameters<typeof engine.submit>[1]): number => {
          if (machine.folders !== undefined)
            judgeDeletions(world, life, tx, machine.folders, files, run.frames);
          const id = engine.submit(tx, run);
          const record = world.ledger.tried(node.home, id, run.frames);
          life.store.onCommit(() => world.ledger.committed(node, life, record));
          return id;
        },
      },
    }) as typeof engine;
    const folders = createFolders({
      host: {
        engine: tracked,
        replica: engine.replica,
        files,
        suite: node.suite,
        remote: engine.remote,
        clock: env.clock,
        scheduler: env.scheduler,
        log: env.log,
        fs: machine.mount,
        deviceName: () => node.name,
        point: (name) => life.pass(node.pointSite(name)),
      },
      paths: { root: "/home/tidelock", data: "/home/tidelock", config: "/home/tidelock" } as HomePaths,
      remote: undefined,
      enabled: true,
    });
    machine.folders = folders;
    const attach = async (): Promise<void> => {
      await folders.resume(true);
      if (machine.attached) return;
      const { person } = machine;
      const { departures } = person;
      if (person.isAway) throw new Error("the folder is away");
      await folders.add(DRIVE, true);
      // A command that was cut short is given again, and one that met an empty place where the folder had been.
      if (person.departures !== departures) throw new Error("the folder went away");
      machine.attached = true;
    };
    const again = (): void => {
      attach().catch((error: unknown) => {
        if (!life.alive) return;
        world.say(() => `${node.name}  cannot attach: ${String(error)}`);
        life.after(2000, again);
      });
    };
    again();
  }

  function judgeTree(life: Life, machine: Machine): string | undefined {
    const { node, app, engine } = life;
    const { folders } = machine;
    const [info] = folders?.list() ?? [];
    if (folders === undefined || info === undefined || engine === undefined) return undefined;
    // What a disk cannot hold, or a person is asked about, is left alone and said.
    if (info.aside.length > 0 || info.withheld > 0) return undefined;
    const { files } = app as ReturnType<typeof createDriveApp>;
    const { shown, excluded } = engine.replica.read((tx) => viewOf(files, tx, folders));
    const here = new Map(
      [...treeOf(machine.image, DRIVE)].map(([path, entry]) => [
        path.normalize("NFC"),
        entry.kind === "file" ? hashOf(entry.bytes) : entry.kind,
      ]),
    );
    // A name that programs give to what they are still writing waits for its last one.
    // While it is empty, a folder that a person made there is nobody's.
    for (const path of new Set([...shown.keys(), ...here.keys()]))
      if (here.get(path) === "dir" && isIn(excluded, path)) continue;
      else if (shown.get(path) !== here.get(path) && !path.toLowerCase().endsWith(".tmp"))
        return `${node.name} (${machine.image.volume.name}): ${path} is ${here.get(path) ?? "nothing"} on the disk and ${shown.get(path) ?? "nothing"} in the vault`;
    return undefined;
  }

  /**
   * FLD15: what was saved and not destroyed is in a folder's tree or in the vault, live, replaced or deleted. That a disk's
   * trash or stage has it as well is not enough: no other device could bring it back from there.
   */
  function lost(nodes: readonly SimNode[]): string | undefined {
    const kept = new Set<string>();
    const aside = new Set<string>();
    const dead = new Set<string>();
    for (const { image } of machines.values()) {
      for (const [, entry] of treeOf(image, DRIVE)) if (entry.kind === "file") kept.add(hashOf(entry.bytes));
      for (const [, entry] of treeOf(image, "", true))
        if (entry.kind === "file") aside.add(hashOf(entry.bytes));
    }
    for (const { life } of nodes) {
      if (life?.engine === undefined) continue;
      const { files } = life.app as ReturnType<typeof createDriveApp>;
      life.engine.replica.read((tx) => {
        for (const item of everything(tx)) {
          const into = item.dead === undefined ? kept : dead;
          if (item.content !== undefined) into.add(toHex(item.content.hash));
          for (const { content } of files.history(tx, item.id)) into.add(toHex(content.hash));
        }
      });
    }
    for (const [hash, { what, by }] of owed) {
      if (kept.has(hash) || (by === "disk" && aside.has(hash))) continue;
      if (dead.has(hash)) return `${what} was deleted, and nobody deleted it`;
      return `${what} is ${aside.has(hash) ? "in our own place alone" : "on no disk"} and not in the vault`;
    }
    return undefined;
  }

  return {
    started: begin,
    act(node, what, moment) {
      const { person, folders } = machineOf(node);
      person.act(what, moment);
      const { life } = node;
      // In a quarter of all histories: the others stay as they were.
      if (life === undefined || folders === undefined || person.isAway || world.seed % 4n !== 3n) return;
      chooseSome(world, life, folders, (life.app as ReturnType<typeof createDriveApp>).files);
    },
    ended(life, power) {
      const machine = machines.get(life.node);
      if (machine === undefined) return;
      machine.mount?.kill();
      machine.mount = undefined;
      machine.folders = undefined;
      if (!power) return;
      const random = new Stream(world.seed, `cut:${life.node.name}:${world.timeline.now}`);
      machine.person.powerCut(() => machine.image.powerCut(() => random.float()));
    },
    healed(nodes) {
      for (const node of nodes) {
        machines.get(node)?.person.comeBack();
        const folders = machines.get(node)?.folders;
        // As a person who looks: whatever hints there were.
        if (folders !== undefined) void folders.settle(true).catch(() => undefined);
      }
    },
    unquiet({ node }) {
      const folders = machines.get(node)?.folders;
      const [info] = folders?.list() ?? [];
      if (folders === undefined || info === undefined) return `${node.name} has not attached its folder`;
      if (info.state !== "live") return `${node.name}'s folder is ${info.state} (${info.code}: ${info.why})`;
      if (folders.due() > 0) return `${node.name}'s folder has ${folders.due()} to do`;
      // FLD6: a program may have written into what gave way, and that is seen when its time there is over.
      const staged = machineOf(node).image.list(`${DRIVE}/.tidelock/stage`).entries.length;
      return staged === 0 ? undefined : `${node.name} keeps ${staged} files aside`;
    },
    judge(nodes) {
      for (const node of nodes) {
        const machine = machines.get(node);
        const wrong =
          node.life === undefined || machine === undefined || node.home.halt !== undefined
            ? undefined
            : judgeTree(node.life, machine);
        if (wrong !== undefined) return wrong;
      }
      return lost(nodes);
    },
  };
}

/** What is to be shown, and which paths are not. */
/** Whether a path is one of these, or lies below one. */
function isIn(folded: ReadonlySet<string>, path: string): boolean {
  const names = path.split("/");
  return names.some((_, i) => folded.has(fold(names.slice(0, i + 1).join("/"))));
}

function viewOf(
  files: Files,
  tx: Tx,
  folders: Folders,
): { readonly shown: ReadonlyMap<string, string>; readonly excluded: ReadonlySet<string> } {
  const shown = new Map<string, string>();
  const excluded = new Set<string>();
  const isExcluded = folders.exclusion(tx);
  const walk = (folder: ItemId, path: string): void => {
    for (const item of files.list(tx, folder, undefined, PAGE)) {
      const at = `${path}/${item.name}`;
      if (isExcluded(item)) {
        excluded.add(fold(at));
        continue;
      }
      shown.set(at, item.content === undefined ? item.kind : toHex(item.content.hash));
      if (item.kind === "dir") walk(item.id, at);
    }
  };
  walk(ROOT, "");
  return { shown, excluded };
}

/** Live or dead, as the log has them. */
function everything(tx: Tx): Item[] {
  const none = new Uint8Array(0);
  return tx.scan(confirmed.item, none, undefined).map(([id, bytes]) => decodeItem(id as ItemId, bytes));
}
