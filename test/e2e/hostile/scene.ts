/**
 * Two honest devices with everything that ships: engine, remote and an attached SQLite file each. What they
 * meet is a real place whose holder lies. Time is virtual and stands still while sockets and disks are at work.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { equalBytes } from "@tidelock/core/bytes/bytes";
import { deviceId } from "@tidelock/core/crypto/identity";
import type { Suite } from "@tidelock/core/crypto/suite";
import { getTrack } from "@tidelock/core/engine/judge";
import { deriveStatus, type Facts } from "@tidelock/core/engine/status";
import { encodeSection } from "@tidelock/core/kinds/tables/codec";
import { hlcAt } from "@tidelock/core/kinds/tables/hlc";
import { keyOf } from "@tidelock/core/kinds/tables/key";
import { createTablesKind, type TablesKind } from "@tidelock/core/kinds/tables/tables";
import { encodeValue } from "@tidelock/core/kinds/tables/value";
import type { Kind } from "@tidelock/core/log/kind";
import { encodePlaintext, encodeSections } from "@tidelock/core/log/plaintext";
import type { Remote } from "@tidelock/core/ports";
import type { MembershipRecord, Role } from "@tidelock/core/vault/records";
import { attachDatabase, type DatabaseAttachment } from "@tidelock/node/database/attachment";
import { attachmentSpaces } from "@tidelock/node/database/registry";
import type { HostilePlace } from "@tidelock/testkit/hostile/place";
import { Members } from "@tidelock/testkit/members-kit";
import type { MemoryVaultLog } from "@tidelock/testkit/memory-remote";
import { type Device, Kit, type Who } from "@tidelock/testkit/vault-kit";
import Database from "better-sqlite3";
import { expect } from "vitest";

/** What an attack must leave as it was: all that a device and the program on its file can see. */
export interface State {
  readonly digest: string;
  readonly applied: number;
  readonly waiting: { readonly pending: number; readonly parked: number };
  readonly rows: readonly string[];
}

type Signed = Parameters<Kit["frame"]>[1] & { readonly sections?: ReadonlyMap<number, Uint8Array> };
type SaidOver = NonNullable<Parameters<Kit["membership"]>[2]>;

export type Outcome = Awaited<ReturnType<Kit["sync"]>>;

export class Scene {
  readonly kit: Kit;
  readonly place: HostilePlace;
  readonly people: Members;
  patient = true;
  /** Reads, and is attacked. */
  a!: Device;
  /** Writes, unharmed. */
  b!: Device;
  /** Writes too, where b alone is not enough. */
  c!: Device;
  readonly #hostile = new Map<string, Device>();
  readonly #home: string = mkdtempSync(join(tmpdir(), "tidelock-scene-"));
  readonly #attached = new Map<string, DatabaseAttachment>();
  readonly #written = new Set<string>();
  #ids = 0;

  private constructor(suite: Suite, place: (kit: Kit) => HostilePlace) {
    this.kit = new Kit({
      suite,
      kinds: () => [createTablesKind(suite) as Kind],
      spaces: attachmentSpaces.map((s) => s.name),
      sections: (id) => noteSection(id, "forged", 1),
      door: (who) => this.door(who),
    });
    this.kit.time.offset = Date.now();
    this.people = new Members(this.kit);
    this.place = place(this.kit);
  }

  /** A vault with two devices, each with one row of its own. */
  static async open(suite: Suite, place: (kit: Kit) => HostilePlace): Promise<Scene> {
    const s = new Scene(suite, place);
    s.a = await s.kit.found("a");
    await s.attach(s.a, "CREATE TABLE note(id TEXT PRIMARY KEY, text)");
    s.write(s.a, "a1");
    await s.sync(s.a);
    s.b = await s.join("b");
    s.c = await s.join("c");
    s.write(s.b, "b1");
    for (const device of [s.b, s.c, s.a]) await s.sync(device);
    expect(s.state(s.a)).toEqual(s.state(s.b));
    return s;
  }

  /** A device's way to the place. Time stands still while it is asked, if the scene is patient. */
  door({ name, keys, person, ...of }: Omit<Who, "vault"> & ({ vault: Uint8Array } | Device)): Remote {
    const vault = "vault" in of ? of.vault : of.replica.vault;
    const remote = this.place.door({ name, keys, person, vault });
    const tracked = <T>(work: Promise<T>): Promise<T> => (this.patient ? this.kit.time.outside(work) : work);
    return {
      ...remote,
      create: (genesis) => tracked(remote.create(genesis)),
      genesis: () => tracked(remote.genesis()),
      read: (after, want) => tracked(remote.read(after, want)),
      append: (frames, seen) => tracked(remote.append(frames, seen)),
      putBlob: (id, bytes) => tracked(remote.putBlob(id, bytes)),
      getBlob: (id, part) => tracked(remote.getBlob(id, part)),
      listBlobs: (after) => tracked(remote.listBlobs(after)),
      deleteBlobs: (ids, condemnedAt) => tracked(remote.deleteBlobs(ids, condemnedAt)),
    };
  }

  /** a's process ends and begins again; it knows what is durable. */
  async restart(attached = true): Promise<void> {
    this.#attached.get("a")?.close();
    this.#attached.delete("a");
    this.a = this.kit.restart(this.a);
    if (attached) await this.attach(this.a);
  }

  /** The newest entry that a has applied. */
  get head(): number {
    return this.a.replica.cursor().applied;
  }

  async join(name: string): Promise<Device> {
    const device = this.kit.open(name, this.a.replica.genesis);
    await this.kit.time.until(this.kit.admit(device));
    await this.sync(device);
    await this.attach(device);
    return device;
  }

  async attach(device: Device, sql?: string): Promise<void> {
    const path = join(this.#home, `${device.name}.db`);
    if (sql !== undefined) this.#app(device, (db) => db.exec(sql));
    const { clock, time, suite } = this.kit;
    const deps = { clock, scheduler: time, random: (n: number) => suite.random(n) };
    const tables = device.kinds[0] as unknown as TablesKind;
    const opening = attachDatabase(device.engine, tables, path, { watch: false }, deps);
    this.#attached.set(device.name, await this.kit.time.until(opening));
    await this.sync(device);
  }

  /** As a program on the device's own file does it. */
  write(device: Device, ...ids: readonly string[]): void {
    this.#app(device, (db) => {
      for (const id of ids) db.prepare("INSERT INTO note VALUES(?, ?)").run(id, `said by ${device.name}`);
    });
    for (const id of ids) this.#written.add(`${id}=said by ${device.name}`);
  }

  /** An id that no row has. */
  fresh(): string {
    return `n${++this.#ids}`;
  }

  /** So many edits as signed frames that are not sent yet: none is anchored past another. */
  async seal(device: Device, edits: number): Promise<void> {
    device.engine.pause();
    for (let i = 0; i < edits; i++) {
      this.write(device, this.fresh());
      await this.#pump(device);
    }
    device.replica.nextBatch(new Set());
    device.engine.resume();
  }

  /** Persons in the vault who are hostile: they have their keys, and their programs are not asked. */
  async recruit(roleByName: Readonly<Record<string, Role>>): Promise<void> {
    for (const [name, role] of Object.entries(roleByName)) {
      const device = await this.people.add(this.a, name, role);
      device.engine.pause();
      this.#hostile.set(name, device);
    }
    for (const device of [this.a, this.b, this.c]) await this.sync(device);
  }

  hostile(name: string): Device {
    const device = this.#hostile.get(name);
    if (device === undefined) throw new Error(`nobody hostile is ${name}`);
    return device;
  }

  index(device: Device): number {
    const id = this.id(device);
    const known = this.a.replica.read((tx) => this.a.replica.membership.devices(tx));
    return known.find((one) => equalBytes(one.id, id))?.index ?? -1;
  }

  /** The next device seq of a device, as a knows it. */
  nextSeq(device: Device): number {
    return 1 + this.a.replica.read((tx) => getTrack(tx, this.index(device)).seq);
  }

  /** A data frame that somebody in the vault signs over what a has read. */
  signed(by: Device, over: Signed = {}): Uint8Array {
    const { a, kit } = this;
    const device = this.index(by);
    const { sections, ...rest } = over;
    const key = a.replica.read((tx) => a.replica.ring.frameKey(tx, kit.epochOf(a), this.id(by), device));
    const plain =
      sections === undefined ? {} : { plain: encodePlaintext(kit.suite, encodeSections(sections), false) };
    const made = { device, deviceSeq: this.nextSeq(by), ...(key === undefined ? {} : { key }), ...plain };
    return kit.frame({ ...a, keys: by.keys }, { ...made, ...rest });
  }

  /** A membership frame, likewise. */
  said(by: Device, record: MembershipRecord, over: SaidOver = {}): Uint8Array {
    const made = { index: this.index(by), deviceSeq: this.nextSeq(by), ...over };
    return this.kit.membership({ ...this.a, keys: by.keys }, [{ record }], made);
  }

  /** A frame that somebody signed for a vault of his own. */
  async foreignFrame(): Promise<Uint8Array> {
    const other = new Kit({ suite: this.kit.suite });
    const stranger = await other.found();
    other.write(stranger, "theirs");
    await other.sync(stranger);
    return other.frameAt(stranger, 2);
  }

  /** As a program on the SDK does it, by the device's own clock. */
  edit(device: Device, id: string, text: string): void {
    const sections = noteSection(id, text, this.kit.time.now());
    device.engine.write((tx) => device.engine.submit(tx, { frames: [{ sections }] }));
  }

  /** A row that came by right, whoever wrote it. */
  allow(row: string): void {
    this.#written.add(row);
  }

  /** What programs wrote is captured, then one look at the place, then the file shows what came of it. */
  async sync(device: Device): Promise<Outcome> {
    await this.#pump(device);
    const outcome = await this.kit.sync(device);
    await this.#pump(device);
    return outcome;
  }

  async says(device: Device, ...ids: readonly string[]): Promise<number> {
    this.write(device, ...ids);
    expect(await this.sync(device)).toMatchObject({ kind: "live" });
    return device.replica.cursor().applied;
  }

  async run(ms: number): Promise<void> {
    await this.kit.time.run(ms);
    for (const device of [this.a, this.b, this.c]) await this.#pump(device);
  }

  rows(device: Device): readonly string[] {
    const all = this.#app(device, (db) =>
      db.prepare("SELECT id || '=' || text FROM note ORDER BY id").pluck().all(),
    );
    return all as string[];
  }

  /** Rows that no honest program wrote. */
  foreign(device: Device): readonly string[] {
    return this.rows(device).filter((row) => !this.#written.has(row));
  }

  state(device: Device): State {
    const { replica } = device;
    const { applied } = replica.cursor();
    const digest = replica.digest().toString(16);
    return { digest, applied, waiting: replica.waiting(), rows: this.rows(device) };
  }

  facts(device: Device): Facts {
    return device.engine.facts();
  }

  status(device: Device): string {
    return deriveStatus(this.facts(device)).code;
  }

  /** The log as it stands, changed and shown to one device, or to everybody. */
  async show(
    change: (log: MemoryVaultLog) => void,
    to: Device | undefined,
    log?: MemoryVaultLog,
  ): Promise<MemoryVaultLog> {
    const shown = log ?? (await this.place.found());
    change(shown);
    await this.place.show(shown, to);
    return shown;
  }

  id(device: Device): Uint8Array {
    return deviceId(this.kit.suite, device.keys.sign, device.keys.box);
  }

  async close(): Promise<void> {
    for (const attachment of this.#attached.values()) attachment.close();
    for (const device of [this.a, this.b, this.c]) device?.engine.pause();
    await this.place.dispose();
    rmSync(this.#home, { recursive: true, force: true });
  }

  async #pump(device: Device): Promise<void> {
    const attached = this.#attached.get(device.name);
    if (attached !== undefined) await this.kit.time.until(attached.pump());
  }

  #app<T>(device: Device, work: (db: Database.Database) => T): T {
    const db = new Database(join(this.#home, `${device.name}.db`));
    try {
      return work(db);
    } finally {
      db.close();
    }
  }
}

/** A row as it travels: what somebody with the vault's key can write past every program on a file. */
export function noteSection(id: string, text: string, clock: number): ReadonlyMap<number, Uint8Array> {
  const cell = (name: string, value: string) => [name, encodeValue(value)] as const;
  const cells = [cell("id", id), cell("text", text)];
  const change = { op: "insert", table: "note", key: keyOf(id), hlc: hlcAt(clock, 0), cells } as const;
  return new Map([[2, encodeSection({ seen: 1, approved: false, changes: [change] })]]);
}
