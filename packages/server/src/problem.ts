/**
 * The closed list of what the server refuses, and how it says so (RFC 9457). A code is what clients
 * branch on; the status is for what stands between. Texts name no id, no address and no content.
 */
export interface ProblemKind {
  readonly status: number;
  readonly title: string;
  readonly next: string;
}

const kind = (status: number, title: string, next: string): ProblemKind => ({ status, title, next });

export type ProblemCode =
  | "bad-request"
  | "bad-proof"
  | "session-expired"
  | "signed-out"
  | "account-closed"
  | "device-removed"
  | "no-access"
  | "not-in-group"
  | "no-plan"
  | "registration-closed"
  | "not-found"
  | "blob-missing"
  | "method-not-allowed"
  | "timeout"
  | "exists"
  | "code-used"
  | "behind"
  | "code-expired"
  | "vault-deleted"
  | "length-required"
  | "too-large"
  | "bad-range"
  | "rejected"
  | "op-reused"
  | "hash-mismatch"
  | "too-many"
  | "headers-too-large"
  | "internal"
  | "busy"
  | "quota";

export const problemKinds: Readonly<Record<ProblemCode, ProblemKind>> = {
  "bad-request": kind(400, "the request makes no sense here", "update the client"),
  "hash-mismatch": kind(400, "the bytes are not those of their name", "send them again"),
  "bad-proof": kind(401, "the proof of who is calling does not hold", "sign in again"),
  "session-expired": kind(401, "the session has ended", "sign in again"),
  "no-plan": kind(
    402,
    "no plan and no seat covers this",
    "see your account with whoever runs the server; reading goes on",
  ),
  "signed-out": kind(403, "this device was signed out", "add it again as a new one"),
  "account-closed": kind(403, "this account is closed", "ask whoever runs the server"),
  "device-removed": kind(403, "this device was removed", "ask the vault's owner"),
  "no-access": kind(403, "this device may not do that in the vault", "ask the vault's owner"),
  "not-in-group": kind(
    403,
    "whoever runs the server has not let this device into the vault",
    "ask whoever runs the server",
  ),
  "registration-closed": kind(
    403,
    "this server does not know the person",
    "ask whoever runs the server for a registration token",
  ),
  "not-found": kind(404, "there is no such thing, or not for you", "check the address and the vault"),
  "blob-missing": kind(404, "the vault has no such blob", "upload it again"),
  "method-not-allowed": kind(405, "this address does not do that", "update the client"),
  timeout: kind(408, "the request took too long to arrive", "try again"),
  exists: kind(409, "this is already there", "use the one that is there"),
  "code-used": kind(409, "this code was used already", "make a new one"),
  "code-expired": kind(410, "this code has run out", "make a new one"),
  "vault-deleted": kind(410, "this vault was deleted", "its owner can take that back for 30 days"),
  "length-required": kind(411, "the request does not say how long it is", "send its length"),
  behind: kind(412, "the log has entries that must be read first", "read, then try again"),
  "too-large": kind(413, "this is larger than the server takes", "make it smaller"),
  "bad-range": kind(416, "the range is outside the object", "ask for a part of it"),
  rejected: kind(422, "the server does not place this", "update the client, then look at its queue"),
  "op-reused": kind(
    422,
    "this device's number was used for something else",
    "the device was restored or cloned: add it again as a new one",
  ),
  "too-many": kind(429, "too many requests", "wait, then try again"),
  "headers-too-large": kind(431, "the request's headers are too long", "update the client"),
  internal: kind(500, "a fault of the server", "try again; whoever runs the server finds it in its log"),
  busy: kind(503, "the server has more to do than it can", "wait, then try again"),
  quota: kind(507, "there is no room left", "free some space, or ask whoever runs the server"),
};

/** In one form of words for what is not there, what is another's, and what is no address at all. */
export function notFound(): Problem {
  return new Problem("not-found", "nothing is here for this caller");
}

export class Problem extends Error {
  override readonly name = "Problem";
  readonly code: ProblemCode;
  readonly why: string;
  /** When to come back, ms. */
  readonly retryAfterMs: number | undefined;

  constructor(code: ProblemCode, why: string, retryAfterMs?: number) {
    super(`${code}: ${why}`);
    this.code = code;
    this.why = why;
    this.retryAfterMs = retryAfterMs;
  }

  get status(): number {
    return problemKinds[this.code].status;
  }
}
