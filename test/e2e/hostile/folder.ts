/** A real folder on a share whose holder decides for each device which directory it finds under its path. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodePage, parsePage } from "@tidelock/core/log/page";
import type { Remote } from "@tidelock/core/ports";
import type { Fs } from "@tidelock/core/ports-fs";
import { createNodeFs } from "@tidelock/node/fs/node-fs";
import { createFolderRemote } from "@tidelock/node/remote-folder/folder";
import type { HostilePlace } from "@tidelock/testkit/hostile/place";
import type { MemoryVaultLog } from "@tidelock/testkit/memory-remote";
import type { Kit, Who } from "@tidelock/testkit/vault-kit";

const MOUNT = "/mnt/share";

export class FolderPlace implements HostilePlace {
  readonly name = "folder";
  readonly #kit: Kit;
  readonly #home: string = mkdtempSync(join(tmpdir(), "tidelock-hostile-"));
  readonly #honest: string = join(this.#home, "honest");
  /** Which directory a device finds; everybody else the honest one. */
  readonly #shownTo = new Map<string, string>();
  #forAll: string | undefined;
  #lied: { readonly to: string; readonly how: "dropped" | "replaced" } | undefined;
  #made = 0;

  constructor(kit: Kit) {
    this.#kit = kit;
  }

  /** What a device's mount leads to now: the attacker's to change by hand. */
  directory(name?: string): string {
    return this.#shownTo.get(name ?? "") ?? this.#forAll ?? this.#honest;
  }

  door({ name }: Who): Remote {
    const { suite, clock } = this.#kit;
    const remote = createFolderRemote({
      directory: MOUNT,
      fs: mounted(createNodeFs(), MOUNT, () => this.directory(name)),
      clock,
      random: (n) => suite.random(n),
      sha256: (bytes) => suite.sha256(bytes),
    });
    return {
      ...remote,
      create: (genesis) => remote.create(genesis),
      genesis: () => remote.genesis(),
      read: (after, want) => remote.read(after, want),
      append: async (frames, seen) => {
        const result = await remote.append(frames, seen);
        if (result.kind === "committed") this.#taken(name, result.first);
        return result;
      },
      putBlob: (id, bytes) => remote.putBlob(id, bytes),
      getBlob: (id, part) => remote.getBlob(id, part),
      listBlobs: (after) => remote.listBlobs(after),
      deleteBlobs: (ids, condemnedAt) => remote.deleteBlobs(ids, condemnedAt),
      close: () => remote.close(),
    };
  }

  acknowledge(how: "dropped" | "replaced" | undefined, { name }: Pick<Who, "name">): void {
    this.#lied = how === undefined ? undefined : { to: name, how };
  }

  #taken(name: string, first: number): void {
    if (this.#lied?.to !== name) return;
    const file = (number: number): string =>
      join(this.directory(name), "log", String(number).padStart(12, "0"));
    if (this.#lied.how === "dropped") rmSync(file(first));
    else {
      const before = parsePage(bytesOf(file(first - 1)));
      if (before !== null) writeFileSync(file(first), encodePage({ ...before, first, prev: null }));
    }
  }

  async found(by?: Pick<Who, "name">): Promise<MemoryVaultLog> {
    const log = this.#kit.copyLog();
    const at = this.directory(by?.name);
    log.genesis = existsSync(join(at, "genesis")) ? bytesOf(join(at, "genesis")) : undefined;
    for (const name of readdirSync(join(at, "log"))) log.put(Number(name), bytesOf(join(at, "log", name)));
    for (const home of readdirSync(join(at, "blob")))
      for (const name of readdirSync(join(at, "blob", home)))
        log.blobs.set(name, bytesOf(join(at, "blob", home, name)));
    return log;
  }

  async show(log: MemoryVaultLog | undefined, to?: Pick<Who, "name">): Promise<void> {
    if (log === undefined) {
      if (to !== undefined) this.#shownTo.delete(to.name);
      else {
        this.#shownTo.clear();
        this.#forAll = undefined;
      }
      return;
    }
    const own = to === undefined ? this.#forAll : this.#shownTo.get(to.name);
    const at = own ?? join(this.#home, `shown-${this.#made++}`);
    if (own === undefined) cpSync(this.directory(), at, { recursive: true });
    if (to === undefined) this.#forAll = at;
    else this.#shownTo.set(to.name, at);
    rewrite(at, log);
  }

  dispose(): Promise<void> {
    rmSync(this.#home, { recursive: true, force: true });
    return Promise.resolve();
  }
}

/** Only what differs is touched, as somebody would who does not want to be seen. */
function rewrite(at: string, log: MemoryVaultLog): void {
  put(join(at, "genesis"), log.genesis);
  const names = new Set(log.numbers().map((number) => String(number).padStart(12, "0")));
  for (const name of readdirSync(join(at, "log"))) if (!names.has(name)) rmSync(join(at, "log", name));
  for (const number of log.numbers())
    put(join(at, "log", String(number).padStart(12, "0")), log.bytesAt(number));
  for (const home of readdirSync(join(at, "blob")))
    for (const name of readdirSync(join(at, "blob", home)))
      if (!log.blobs.has(name)) rmSync(join(at, "blob", home, name));
  for (const [name, bytes] of log.blobs) {
    mkdirSync(join(at, "blob", name.slice(0, 2)), { recursive: true });
    put(join(at, "blob", name.slice(0, 2), name), bytes);
  }
}

function put(path: string, bytes: Uint8Array | undefined): void {
  if (bytes === undefined) rmSync(path, { force: true });
  else if (
    !existsSync(path) ||
    !bytesOf(path).every((b, i) => b === bytes[i]) ||
    bytesOf(path).length !== bytes.length
  )
    writeFileSync(path, bytes);
}

const bytesOf = (path: string): Uint8Array => new Uint8Array(readFileSync(path));

/** The file system with one path leading somewhere else. */
function mounted(fs: Fs, from: string, to: () => string): Fs {
  const real = (path: string): string => to() + path.slice(from.length);
  return {
    readFile: (path, max) => fs.readFile(real(path), max),
    writeFileNew: (path, bytes) => fs.writeFileNew(real(path), bytes),
    syncFile: (path) => fs.syncFile(real(path)),
    link: (a, b) => fs.link(real(a), real(b)),
    unlink: (path) => fs.unlink(real(path)),
    mkdir: (path) => fs.mkdir(real(path)),
    rmdir: (path) => fs.rmdir(real(path)),
    rename: (a, b) => fs.rename(real(a), real(b)),
    readdir: (path) => fs.readdir(real(path)),
    stat: (path) => fs.stat(real(path)),
    syncDir: (path) => fs.syncDir(real(path)),
    watch: (path, hint) => fs.watch(real(path), hint),
  };
}
