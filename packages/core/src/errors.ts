/**
 * The one closed list of errors. A code is what programs branch on; `exit` is what the command
 * line ends with. A code is never renamed and never reused.
 */
export interface ErrorKind {
  readonly exit: number;
  /** What happened, in the words a person sees first. */
  readonly title: string;
  readonly retryable: boolean;
  /** What to do when the thrower has nothing more precise to say. */
  readonly next: string;
}

const kind = (exit: number, title: string, next: string, retryable = false): ErrorKind => ({
  exit,
  title,
  next,
  retryable,
});

export type ErrorCode =
  | "usage"
  | "not-configured"
  | "not-found"
  | "exists"
  | "too-large"
  | "bad-name"
  | "unsupported-on-remote"
  | "login"
  | "upgrade"
  | "no-access"
  | "device-removed"
  | "keyring"
  | "key-missing"
  | "key-mismatch"
  | "phrase-length"
  | "phrase-word"
  | "phrase-checksum"
  | "code-expired"
  | "code-used"
  | "code-wrong"
  | "unreachable"
  | "paused"
  | "remote-no-cas"
  | "remote-denied"
  | "remote-corrupt"
  | "chain-broken"
  | "rollback"
  | "fork"
  | "bad-signature"
  | "blob-damaged"
  | "replica-damaged"
  | "op-reused"
  | "rejected"
  | "guard-deletion"
  | "table-no-key"
  | "table-key-unsupported"
  | "table-needs-function"
  | "attached-elsewhere"
  | "folder-missing"
  | "nested-vault"
  | "not-sqlite"
  | "read-only"
  | "database-busy"
  | "disk-full"
  | "quota"
  | "update-needed"
  | "in-use"
  | "not-uploaded"
  | "stalled"
  | "timeout"
  | "cancelled"
  | "internal";

export const errorKinds: Readonly<Record<ErrorCode, ErrorKind>> = {
  // use
  usage: kind(2, "the command was called wrongly", "tidelock help"),
  "not-configured": kind(
    15,
    "no vault is set up here",
    "tidelock init --remote DIR, or tidelock join --remote DIR",
  ),
  "not-found": kind(15, "there is no such thing", "tidelock status"),
  exists: kind(2, "this is already there", "tidelock status"),
  "too-large": kind(2, "this is larger than Tidelock takes", "make it smaller, or leave it out"),
  "bad-name": kind(2, "this name cannot be used", "choose another name"),
  "unsupported-on-remote": kind(2, "this remote cannot do that", "tidelock status --verbose"),
  // access
  login: kind(
    10,
    "the server does not know who is asking",
    "ask whoever runs it for a registration token, then tidelock login",
  ),
  upgrade: kind(
    11,
    "the server wants a subscription or a seat first",
    "tidelock status; everything here stays yours",
  ),
  "no-access": kind(12, "this device may not use the vault", "ask the vault's owner"),
  "device-removed": kind(12, "this device was removed from the vault", "ask the vault's owner"),
  // keys
  keyring: kind(13, "this device's keys cannot be opened", "set TIDELOCK_PASSPHRASE and try again"),
  "key-missing": kind(
    13,
    "this device has no key for the vault yet",
    "wait until another device has synced",
    true,
  ),
  "key-mismatch": kind(13, "the vault is sealed to other keys than these", "check the words and the remote"),
  "phrase-length": kind(13, "a recovery phrase has 24 words", "type all 24 words"),
  "phrase-word": kind(
    13,
    "a word of the recovery phrase is not in the list",
    "check the spelling of that word",
  ),
  "phrase-checksum": kind(
    13,
    "the words do not belong together",
    "check the order and the spelling of the words",
  ),
  // coming in
  "code-expired": kind(1, "this code has run out or was called off", "ask for a new one"),
  "code-used": kind(1, "somebody else has used this code", "ask for a new one, and tell whoever made it"),
  "code-wrong": kind(1, "this is no code", "copy all of it, from the first letter to the last"),
  // remote
  unreachable: kind(14, "the remote cannot be reached", "tidelock status", true),
  paused: kind(14, "sync is paused", "tidelock resume"),
  "remote-no-cas": kind(
    1,
    "this place cannot order writes",
    "use a local disk, a file server, or a server of your own",
  ),
  "remote-denied": kind(1, "the remote refuses this", "check the permissions of the remote"),
  "remote-corrupt": kind(1, "the remote answered with something unreadable", "tidelock verify"),
  // integrity
  "chain-broken": kind(
    17,
    "entries of the log are missing or do not join",
    "put the missing part of the remote back, then tidelock sync",
  ),
  rollback: kind(
    17,
    "the remote is older than what this device has seen",
    "put the newer remote back, then tidelock sync",
  ),
  fork: kind(
    17,
    "the remote shows this device another history",
    "find out who writes to the remote and put the right log back, then tidelock sync",
  ),
  "bad-signature": kind(17, "an entry is not signed by whom it claims", "tidelock log"),
  "blob-damaged": kind(17, "a stored object is damaged", "tidelock verify"),
  "replica-damaged": kind(17, "this device's replica is damaged", "move it aside and join again"),
  "op-reused": kind(
    17,
    "this home was restored or cloned",
    "tidelock join --remote DIR, to add this device again",
  ),
  // state
  rejected: kind(3, "the vault did not take an edit", "tidelock queue"),
  "guard-deletion": kind(3, "a large deletion waits for your word", "tidelock db approve PATH"),
  // attach
  "table-no-key": kind(
    2,
    "a table without a primary key cannot be synced",
    "give it a PRIMARY KEY, or leave it out with --tables",
  ),
  "table-key-unsupported": kind(2, "this primary key cannot be synced", "leave the table out with --tables"),
  "table-needs-function": kind(
    2,
    "a table needs an SQL function Tidelock does not have",
    "leave the table out with --tables",
  ),
  "attached-elsewhere": kind(2, "this is attached elsewhere", "tidelock db detach PATH --force"),
  "folder-missing": kind(
    3,
    "a synced folder is not there",
    "mount or put it back; if it is given up: tidelock drive rm DIR",
  ),
  "nested-vault": kind(2, "synced folders cannot lie in each other", "choose another folder"),
  "not-sqlite": kind(
    2,
    "this is not an SQLite database that can be read",
    "check the path; an encrypted database cannot be attached",
  ),
  "read-only": kind(2, "this database cannot be written", "check its permissions"),
  "database-busy": kind(
    16,
    "another program holds the database locked",
    "close its transaction and try again",
    true,
  ),
  // room
  "disk-full": kind(19, "the disk is full", "free some space; nothing was lost"),
  quota: kind(19, "the remote has no room left", "free some space on the remote; edits wait here"),
  // version
  "update-needed": kind(18, "the vault uses newer rules than this program", "update tidelock"),
  // process
  "not-uploaded": kind(1, "this is on no other place yet", "tidelock sync --wait, then try again", true),
  "in-use": kind(16, "another process uses this home", "tidelock daemon stop"),
  stalled: kind(1, "nothing moved for 30 seconds", "tidelock status --verbose"),
  timeout: kind(14, "it took too long", "try again", true),
  cancelled: kind(130, "stopped by you", "run the command again"),
  internal: kind(1, "a fault of Tidelock itself", "report it with the code and the command"),
};

export interface ErrorDetails {
  /** Why it happened, with ids and counts, never with secrets or contents. */
  readonly why: string;
  /** What a person can do; the code's own advice if absent. */
  readonly next?: string;
  readonly retryable?: boolean;
  /** Machine-readable facts, such as the position of a bad word. */
  readonly details?: Readonly<Record<string, string | number | boolean>>;
  readonly cause?: unknown;
}

/** Everything Tidelock throws on purpose. Expected outcomes are return values instead. */
export class TidelockError extends Error {
  override readonly name = "TidelockError";
  readonly code: ErrorCode;
  readonly why: string;
  readonly next: string;
  readonly retryable: boolean;
  readonly details: Readonly<Record<string, string | number | boolean>>;

  constructor(code: ErrorCode, init: ErrorDetails) {
    const known = errorKinds[code];
    super(`${known.title}: ${init.why}`, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = code;
    this.why = init.why;
    this.next = init.next ?? known.next;
    this.retryable = init.retryable ?? known.retryable;
    this.details = init.details ?? {};
  }

  get exit(): number {
    return errorKinds[this.code].exit;
  }

  get title(): string {
    return errorKinds[this.code].title;
  }
}
