/**
 * The number that ties an app's file to the replica. Each flush and each slice moves it by one in
 * the same transaction that touches the file, so after any stop the file says which of the two
 * durable steps it saw. A new branch begins when the file went back. Rule ATT14.
 */
import { equalBytes, readU64Key, u64Key } from "@tidelock/core/bytes/bytes";

export interface Token {
  /** 8 random bytes. */
  readonly branch: Uint8Array;
  readonly counter: number;
}

export function encodeToken(token: Token): Uint8Array {
  const out = new Uint8Array(16);
  out.set(token.branch, 0);
  out.set(u64Key(token.counter), 8);
  return out;
}

export function parseToken(bytes: Uint8Array): Token | undefined {
  if (bytes.length !== 16) return undefined;
  return { branch: bytes.slice(0, 8), counter: readU64Key(bytes, 8) };
}

export function nextToken(token: Token): Token {
  return { branch: token.branch, counter: token.counter + 1 };
}

export interface PastBranch {
  readonly branch: Uint8Array;
  /** The last counter that was used on it. */
  readonly last: number;
}

export type TokenVerdict =
  | { readonly kind: "current" }
  | { readonly kind: "next" }
  /** The file stands where we were at `counter`: keys covered since are to be written again. */
  | { readonly kind: "older"; readonly counter: number }
  | { readonly kind: "unknown" };

/** Counters never start over, so "covered after `counter`" means the same on every branch. */
export function judgeToken(
  inFile: Uint8Array,
  current: Token,
  noted: boolean,
  past: readonly PastBranch[],
  base: number,
): TokenVerdict {
  const token = parseToken(inFile);
  if (token === undefined) return { kind: "unknown" };
  const { branch, counter } = token;
  if (equalBytes(branch, current.branch)) {
    if (counter === current.counter) return { kind: "current" };
    if (counter === current.counter + 1 && noted) return { kind: "next" };
    return counter < current.counter && counter >= base ? { kind: "older", counter } : { kind: "unknown" };
  }
  const known = past.find((p) => equalBytes(p.branch, branch));
  if (known === undefined || counter > known.last || counter < base) return { kind: "unknown" };
  return { kind: "older", counter };
}
