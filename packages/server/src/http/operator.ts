/**
 * The operator of a server: one token, of which only the hash is kept, and that in memory. What is
 * compared are hashes, all of their bytes: how long it takes tells nothing about the token.
 */
import { encodeUtf8 } from "@tidelock/core/bytes/bytes";
import type { Suite } from "@tidelock/core/crypto/suite";
import { TidelockError } from "@tidelock/core/errors";

/** Of a token that was drawn, not thought up: nobody tries these out. */
const SHORTEST = 32;

export function operatorHash(suite: Suite, token: string): Uint8Array {
  if (!/^[\w.~+/=-]+$/.test(token) || token.length < SHORTEST)
    throw new TidelockError("usage", {
      why: `an operator's token has at least ${SHORTEST} letters and digits, and no spaces`,
      next: "draw one: openssl rand -hex 32",
    });
  return suite.sha256(encodeUtf8(token));
}

export function isOperator(suite: Suite, hash: Uint8Array, token: string): boolean {
  return suite.equal(suite.sha256(encodeUtf8(token)), hash);
}
