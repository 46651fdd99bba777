/**
 * The embedded store: one SQLite file for all vaults, so that one flush serves all that write at
 * the moment. One connection writes, another reads what is committed.
 */
import type { LogStore } from "../store.ts";
import { openInline, openThread } from "./door.ts";
import { openReader } from "./file.ts";
import { prepareReads } from "./reads.ts";
import type { Writes } from "./writes.ts";

type Result<K extends keyof Writes> = ReturnType<Writes[K]>;

export interface SqliteOptions {
  /** Where writes are made: a thread of its own is what a server uses. */
  readonly writer: "inline" | "thread";
}

export async function openSqliteStore(path: string, options: SqliteOptions): Promise<LogStore> {
  const door = options.writer === "thread" ? await openThread(path) : openInline(path);
  const readDb = openReader(path);
  const reads = prepareReads(readDb);

  function write<K extends keyof Writes>(name: K, ...args: Parameters<Writes[K]>): Promise<Result<K>> {
    return door.write(name, args) as Promise<Result<K>>;
  }

  return {
    createVault: (row, member, device, audit) => write("createVault", row, member, device, audit),
    vault: async (vault) => reads.vault(vault),
    vaultsOf: async (person) => reads.vaultsOf(person),
    state: async (query) => reads.state(query),
    commit: (writes) => Promise.all(writes.map((one) => write("commit", one))),
    entries: async (vault, after, most) => reads.entries(vault, after, most),
    membership: async (vault, after) => reads.membership(vault, after),
    access: async (vault) => reads.access(vault),
    audit: async (vault, before, most) => reads.audit(vault, before, most),
    blob: async (vault, id) => reads.blob(vault, id),
    addBlob: (vault, blob) => write("addBlob", vault, blob),
    blobs: async (vault, after, most) => reads.blobs(vault, after, most),
    putNote: (vault, note) => write("putNote", vault, note),
    notes: async (vault) => reads.notes(vault),
    reserve: (id, device, until) => write("reserve", id, device, until),
    putSlot: (id, slot, bytes, now) => write("putSlot", id, slot, bytes, now),
    slot: async (id, slot, now) => reads.slot(id, slot, now),
    cancel: (id, device) => write("cancel", id, device),
    addChallenge: (challenge, device, until) => write("addChallenge", challenge, device, until),
    takeChallenge: (challenge, device, now) => write("takeChallenge", challenge, device, now),
    person: async (person) => reads.person(person),
    accountDevice: async (device) => reads.accountDevice(device),
    accountDevices: async (person) => reads.accountDevices(person),
    admitAccount: (person, device) => write("admitAccount", person, device),
    revokeDevice: (person, device, now) => write("revokeDevice", person, device, now),
    addRegistration: (hash, uses, until) => write("addRegistration", hash, uses, until),
    takeRegistration: (hash, now) => write("takeRegistration", hash, now),
    hasPersons: async () => reads.hasPersons(),
    sweep: (now) => write("sweep", now),
    check: () => write("check"),
    failed: door.failed,
    close: async () => {
      await door.close();
      readDb.close();
    },
  };
}
