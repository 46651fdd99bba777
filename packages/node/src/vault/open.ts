/**
 * The SDK: a vault in the process of the program that uses it. Founds, joins or reopens; works
 * offline; no key stands in any argument or result.
 */
import { randomBytes } from "node:crypto";
import { hostname, userInfo } from "node:os";

import { TidelockError } from "@tidelock/core/errors";
import type { Log } from "@tidelock/core/ports";
import { parseInvite } from "@tidelock/core/vault/invite";
import { loadSuite } from "../crypto/load-suite.ts";
import { createClock } from "../env.ts";
import { readConfig } from "../home/config.ts";
import { homePaths } from "../home/paths.ts";
import type { DatabaseInfo } from "./attachments.ts";
import { copiedError } from "./copied.ts";
import { openDatabase, type VaultDatabase } from "./database.ts";
import { type EnterOptions, enterVault } from "./enter.ts";
import { ownHome } from "./own.ts";
import { needAnswer, patienceFor } from "./patient.ts";
import { peopleOf, type VaultMembers } from "./people.ts";
import { dropEdit, type QueueActed, type QueueItem, queueList, retryEdit, saveEdit } from "./queue.ts";
import { holdsVault, isServer, parseRemote, tokenOf } from "./remote.ts";
import { type ConflictView, conflictList, type RowHistory, rowHistory } from "./rows-view.ts";
import { openSession, type Session, type SyncReport } from "./session.ts";
import { hasVault } from "./setup.ts";
import { statusOf, type VaultStatus } from "./status.ts";
import { filesOf, type VaultFiles } from "./vault-files.ts";
import { dropSheet, entropyOf, phraseOf, readSheet } from "./words.ts";

export type Prompt =
  /** A vault lives on the remote: its 24 words are wanted. */
  | { readonly kind: "words"; readonly remote: string }
  /** A new vault's words: show them once, and see that they are kept. */
  | { readonly kind: "phrase"; readonly words: readonly string[] };

export interface OpenOptions {
  /** A folder of its own; `TIDELOCK_HOME` or the account's own home where absent. */
  readonly home?: string;
  /** A folder, as a path or a `file:` URL, or a server's address. Absent: a vault that stays on this device. */
  readonly remote?: string;
  /** From whoever runs the server, where it wants one of whoever is new. */
  readonly registration?: string;
  /** What a new vault is called. */
  readonly name?: string;
  readonly device?: { readonly name: string };
  /** 24 words: of the vault to join, or to found one with. */
  readonly words?: string;
  /** An invite's code: this person comes into somebody else's vault. Waits until a device there lets it in. */
  readonly invite?: string;
  /** What the others of that vault call this person. */
  readonly person?: { readonly name: string };
  /** Answers with the words asked for; the answer to `phrase` is ignored. Without it new words wait on a sheet in the home. */
  readonly onPrompt?: (prompt: Prompt) => Promise<string | undefined>;
  /** Keeps this device's keys in a plain file of mode 0600, and says so in every status. */
  readonly insecureKeyFile?: boolean;
  readonly log?: Log;
  readonly signal?: AbortSignal;
  /** How long another process may still hold the home, ms. */
  readonly waitMs?: number;
}

export interface DatabaseOptions {
  /** Only these tables; all that can be synced if absent. */
  readonly tables?: readonly string[];
  /** Tables whose INTEGER PRIMARY KEY names the row itself. */
  readonly keys?: Readonly<Record<string, "natural">>;
}

export interface Vault {
  /** Hexadecimal. */
  readonly id: string;
  readonly name: string;
  /** What to show a person; never better than it is. */
  status(): VaultStatus;
  /** Sends and receives now. `wait`: until every own edit has its verdict and the databases show what was read. */
  syncNow(wish?: {
    readonly wait?: boolean;
    readonly timeoutMs?: number;
    readonly signal?: AbortSignal;
  }): Promise<SyncReport>;
  /** Attaches the database, or hands out the one that is attached. An empty path is filled. */
  database(path: string, options?: DatabaseOptions): Promise<VaultDatabase>;
  databases(): readonly DatabaseInfo[];
  /** Every version of a row, `TABLE/KEY`. */
  history(object: string): RowHistory;
  conflicts(filter?: { readonly open?: boolean }): readonly ConflictView[];
  readonly queue: VaultQueue;
  readonly files: VaultFiles;
  readonly members: VaultMembers;
  /** Called after the state changed: the log, the queue, or what tables show. */
  onChange(listener: () => void): () => void;
  /** Edits are kept and nothing goes out or comes in, also after the next start, until `resume`. */
  pause(): void;
  resume(): void;
  /** Captures what was written last, and ends. `flush`: at most so many ms for sending it. */
  close(options?: { readonly flush?: number }): Promise<void>;
}

/** Own edits without a verdict, and those that the log did not take. */
export interface VaultQueue {
  list(): readonly QueueItem[];
  /** Sends again what was refused; throws `rejected` where it is refused again. */
  retry(id: number): Promise<QueueActed>;
  /** A copy as lines of JSON, in a new file of the home. */
  save(id: number): QueueActed;
  /** Gives an edit up that is not under way; a copy is kept. */
  drop(id: number): Promise<QueueActed>;
}

/** A drive of the vault's own: no folder of this machine takes part. */
/** Resolves offline too. Throws `in-use` while another process (a daemon, say) has the home. */
export async function openVault(options: OpenOptions = {}): Promise<Vault> {
  const paths = await homePaths({ home: options.home });
  const keys = { insecureKeyFile: options.insecureKeyFile };
  const remote = options.remote === undefined ? undefined : parseRemote(options.remote);
  const [known] = readConfig(paths).vaults;
  if (known === undefined) await begin(options, { paths, keys, timeoutMs: options.waitMs }, remote);
  else if (remote !== undefined && known.remote !== remote)
    throw new TidelockError("exists", {
      why: "this home's vault has another remote",
      next: "open it without `remote`, or in another home",
    });
  const lock = await ownHome(paths, {
    what: "program",
    waitMs: options.waitMs ?? 2000,
    signal: options.signal,
  });
  try {
    const session = await openSession({
      paths,
      keys,
      ...(options.log === undefined ? {} : { log: options.log }),
    });
    if (!session.copied) session.start();
    await session.attachments.resume();
    await session.folders.resume(true);
    return vaultOver(session, () => lock.release());
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function begin(options: OpenOptions, enter: EnterOptions, remote: string | undefined): Promise<void> {
  const deviceName = options.device?.name ?? hostname();
  const vaultName = options.name ?? "My vault";
  const registration = options.registration === undefined ? undefined : tokenOf(options.registration);
  if (options.invite !== undefined) return comeIn(options, options.invite, enter, deviceName, registration);
  if (remote !== undefined && (await joins(options, remote, registration))) {
    const words = options.words ?? (await options.onPrompt?.({ kind: "words", remote }));
    if (words === undefined)
      throw new TidelockError("key-missing", {
        why: "a vault lives on this remote, and its words were not given",
        next: "open it with its `words`",
        retryable: false,
      });
    await enterVault(enter, {
      kind: "join",
      remote,
      registration,
      deviceName,
      entropy: entropyOf(words),
    });
    return;
  }
  const entropy = options.words === undefined ? new Uint8Array(randomBytes(32)) : entropyOf(options.words);
  const words = options.words === undefined ? phraseOf(entropy) : undefined;
  // Shown first: a vault whose words nobody has is lost with its last device.
  if (words !== undefined) await options.onPrompt?.({ kind: "phrase", words });
  const sheet = options.onPrompt === undefined ? words : undefined;
  await enterVault(enter, {
    kind: "found",
    remote,
    registration,
    vaultName,
    deviceName,
    entropy,
    sheet,
  });
}

/** With the words that are given, or those of a set-up that was cut short, or new ones. */
async function comeIn(
  options: OpenOptions,
  code: string,
  enter: EnterOptions,
  deviceName: string,
  registration: Uint8Array | undefined,
): Promise<void> {
  const { suite } = await loadSuite();
  const link = parseInvite(suite, code);
  if (link === null) throw new TidelockError("code-wrong", { why: "this is no invite" });
  const words = options.words ?? readSheet(enter.paths);
  const entropy = words === undefined ? new Uint8Array(randomBytes(32)) : entropyOf(words);
  const phrase = options.words === undefined ? phraseOf(entropy) : undefined;
  if (phrase !== undefined) await options.onPrompt?.({ kind: "phrase", words: phrase });
  await enterVault(enter, {
    kind: "accept",
    link,
    remote: parseRemote(link.remote),
    registration,
    name: options.person?.name ?? userInfo().username,
    deviceName,
    entropy,
    sheet: phrase,
  });
  // It waited there for a set-up that might be cut short.
  if (options.onPrompt !== undefined) dropSheet(enter.paths);
}

/** A folder holds one vault; on a server the words say whether there is one of theirs. */
async function joins(
  { words }: OpenOptions,
  remote: string,
  registration: Uint8Array | undefined,
): Promise<boolean> {
  await needAnswer(remote, patienceFor(remote, undefined));
  if (!isServer(remote)) return holdsVault(remote);
  return words !== undefined && hasVault({ clock: createClock() }, remote, entropyOf(words), registration);
}

function vaultOver(session: Session, release: () => void): Vault {
  const openByPath = new Map<string, ReturnType<typeof openDatabase>>();
  let closing: Promise<void> | undefined;

  async function database(path: string, options: DatabaseOptions = {}): Promise<VaultDatabase> {
    if (session.copied) throw copiedError();
    const natural = Object.keys(options.keys ?? {});
    const wish = { natural, ...(options.tables === undefined ? {} : { tables: options.tables }) };
    const real = await session.attachments.attach(path, wish).then(
      (info) => info.path,
      (error: unknown) => {
        // One that cannot go on as it is now is handed out paused: the program may write, look why, and detach.
        const paused = session.attachments.at(path);
        if (paused?.state !== "paused") throw error;
        return paused.path;
      },
    );
    const known = openByPath.get(real);
    const attachment = session.attachments.at(real);
    if (attachment === undefined)
      throw new TidelockError("internal", { why: "the database was attached and is not open" });
    if (known !== undefined && known.attachment === attachment) return known;
    const opened = openDatabase(session, attachment);
    openByPath.set(real, opened);
    return opened;
  }

  async function close(flush: number | undefined): Promise<void> {
    try {
      if (!session.copied) await session.attachments.settle();
      if (flush !== undefined && !session.copied)
        await session.sync({ timeoutMs: flush }).catch(() => undefined);
    } finally {
      for (const opened of openByPath.values()) opened.close();
      await session.close();
      release();
    }
  }

  return {
    id: session.info.id,
    get name() {
      return session.name();
    },
    status: () => statusOf(session),
    syncNow: (wish) => session.sync(wish),
    database,
    databases: () => session.attachments.list(),
    history: (object) => rowHistory(session, object),
    conflicts: (filter = {}) => conflictList(session, filter.open !== false),
    queue: {
      list: () => queueList(session),
      retry: (id) => retryEdit(session, id),
      save: (id) => saveEdit(session, id),
      drop: (id) => dropEdit(session, id),
    },
    files: filesOf(session),
    members: peopleOf(session),
    onChange: (listener) => session.engine.onChange(listener),
    pause: () => session.pause(),
    resume: () => session.resume(),
    close: (options = {}) => {
      closing ??= close(options.flush);
      return closing;
    },
  };
}
