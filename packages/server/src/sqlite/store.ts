/**
 * The embedded store: one SQLite file for all vaults, so that one flush serves all that write at
 * the moment. One connection writes, another reads what is committed.
 */
import type { LogStore } from "../store.ts";
import { openFile, openReader } from "./file.ts";
import { GroupWriter } from "./group.ts";
import { prepareReads } from "./reads.ts";
import { prepareWrites, type Writes } from "./writes.ts";

type Result<K extends keyof Writes> = ReturnType<Writes[K]>;

export function openSqliteStore(path: string): LogStore {
  const db = openFile(path);
  const writer = new GroupWriter(db, prepareWrites(db));
  const readDb = openReader(path);
  const reads = prepareReads(readDb);

  function write<K extends keyof Writes>(name: K, ...args: Parameters<Writes[K]>): Promise<Result<K>> {
    return new Promise((resolve, reject) => {
      writer.add({ name, args, done: resolve as (value: unknown) => void, failed: reject });
    });
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
    close: async () => {
      writer.drain();
      readDb.close();
      db.close();
    },
  };
}
