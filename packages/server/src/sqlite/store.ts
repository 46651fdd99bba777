/**
 * The embedded store: one SQLite file for all vaults, so that one flush serves all that write at
 * the moment. One connection writes, another reads what is committed.
 */
import type { LogStore } from "../store.ts";
import { openInline, openThread, type WriteDoor } from "./door.ts";
import { openReader } from "./file.ts";
import { prepareReads, type Reads } from "./reads.ts";
import { SharedView } from "./view.ts";
import type { Writes } from "./writes.ts";

type Result<K extends keyof Writes> = ReturnType<Writes[K]>;
type Read<K extends keyof Reads> = ReturnType<Reads[K]>;

export interface SqliteOptions {
  /** Where writes are made: a thread of its own is what a server uses. A function opens a door of the host's. */
  readonly writer: "inline" | "thread" | ((path: string) => WriteDoor);
  /** Runs `work` when this turn of the loop is over. */
  readonly endOfTurn?: (work: () => void) => void;
}

export async function openSqliteStore(path: string, options: SqliteOptions): Promise<LogStore> {
  const door = await openDoor(path, options.writer);
  const readDb = openReader(path);
  const reads = prepareReads(readDb);
  const view = new SharedView(readDb, options.endOfTurn);

  async function write<K extends keyof Writes>(name: K, ...args: Parameters<Writes[K]>): Promise<Result<K>> {
    const result = (await door.write(name, args)) as Result<K>;
    view.end();
    return result;
  }

  async function read<K extends keyof Reads>(name: K, ...args: Parameters<Reads[K]>): Promise<Read<K>> {
    return view.read(() => (reads[name] as (...given: Parameters<Reads[K]>) => Read<K>)(...args));
  }

  return {
    createVault: (row, member, device, audit) => write("createVault", row, member, device, audit),
    vault: (vault) => read("vault", vault),
    vaultsOf: (person) => read("vaultsOf", person),
    state: (query) => read("state", query),
    commit: (writes) => Promise.all(writes.map((one) => write("commit", one))),
    entries: (vault, after, most) => read("entries", vault, after, most),
    membership: (vault, after) => read("membership", vault, after),
    access: (vault) => read("access", vault),
    audit: (vault, before, most) => read("audit", vault, before, most),
    blob: (vault, id) => read("blob", vault, id),
    deleteVault: (vault, deletion, audit) => write("deleteVault", vault, deletion, audit),
    restoreVault: (vault, by, since, audit) => write("restoreVault", vault, by, since, audit),
    deletedVaults: (until, most) => read("deletedVaults", until, most),
    eraseVault: (vault, most) => write("eraseVault", vault, most),
    addBlob: (vault, blob, spared) => write("addBlob", vault, blob, spared),
    blobs: (vault, after, most) => read("blobs", vault, after, most),
    setBlobsAside: (vault, asked, audit) => write("setBlobsAside", vault, asked, audit),
    restoreBlobs: (vault, audit) => write("restoreBlobs", vault, audit),
    blobsAside: (until, most) => read("blobsAside", until, most),
    giveBlobUp: (vault, id) => write("giveBlobUp", vault, id),
    eraseBlob: (vault, id) => write("eraseBlob", vault, id),
    putNote: (vault, note) => write("putNote", vault, note),
    notes: (vault) => read("notes", vault),
    reserve: (id, device, until) => write("reserve", id, device, until),
    putSlot: (id, slot, bytes, now) => write("putSlot", id, slot, bytes, now),
    slot: (id, slot, now) => read("slot", id, slot, now),
    cancel: (id, device) => write("cancel", id, device),
    addChallenge: (challenge, device, until) => write("addChallenge", challenge, device, until),
    takeChallenge: (challenge, device, now) => write("takeChallenge", challenge, device, now),
    person: (person) => read("person", person),
    accountDevice: (device) => read("accountDevice", device),
    accountDevices: (person) => read("accountDevices", person),
    admitAccount: (person, device, audit) => write("admitAccount", person, device, audit),
    revokeDevice: (person, device, audit) => write("revokeDevice", person, device, audit),
    closePerson: (person, deletion, audit) => write("closePerson", person, deletion, audit),
    reopenPerson: (person, audit) => write("reopenPerson", person, audit),
    putEntitlement: (subject, words, audit) => write("putEntitlement", subject, words, audit),
    entitlement: (subject) => read("entitlement", subject),
    addEdge: (edge, audit) => write("addEdge", edge, audit),
    dropEdge: (edge, audit) => write("dropEdge", edge, audit),
    edges: (group, kind) => read("edges", group, kind),
    groups: (after, most) => read("groups", after, most),
    terms: (query) => read("terms", query),
    usage: (after, most) => read("usage", after, most),
    usageOf: (person) => read("usageOf", person),
    addRegistration: (hash, uses, until, audit) => write("addRegistration", hash, uses, until, audit),
    takeRegistration: (hash, now) => write("takeRegistration", hash, now),
    hasPersons: () => read("hasPersons"),
    sweep: (now) => write("sweep", now),
    check: () => write("check"),
    failed: door.failed,
    close: async () => {
      await door.close();
      view.end();
      readDb.close();
    },
  };
}

async function openDoor(path: string, writer: SqliteOptions["writer"]): Promise<WriteDoor> {
  if (writer === "thread") return openThread(path);
  return writer === "inline" ? openInline(path) : writer(path);
}
