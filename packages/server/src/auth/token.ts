/**
 * Sessions: tokens signed with the server's own keys, 15 minutes long. There is no refresh token,
 * since a device's key is one. Rules SRV25, SRV26.
 */
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import type { Clock } from "@tidelock/core/ports";
import { Problem } from "../problem.ts";

export interface Session {
  readonly device: Uint8Array;
  readonly person: Uint8Array;
  /** base64url, for keys of maps. */
  readonly deviceName: string;
  /** ms. */
  readonly issued: number;
  readonly until: number;
}

/** The form of a token and its signature: JSON Web Tokens, `jwt.ts`. */
export interface TokenSigner {
  /** Times are whole seconds. */
  sign(session: Session): Promise<string>;
  /** Throws `session-expired` for one that has ended, `bad-proof` for what this server did not sign. */
  open(token: string): Promise<Session>;
}

export interface Tokens {
  issue(device: Uint8Array, person: Uint8Array): Promise<{ token: string; expires: number }>;
  /** Throws `session-expired` for one that has ended, `bad-proof` for anything else. */
  verify(token: string): Promise<Session>;
  isFresh(session: Session): boolean;
}

const LIFE = 15 * 60_000;
const FRESH = 60_000;
/** Sessions whose signature was checked already. */
const REMEMBERED = 20_000;
/** Longer ones are not ours. */
const LONGEST = 1024;

export function createTokens(signer: TokenSigner, clock: Clock): Tokens {
  const remembered = new Map<string, Session>();
  return {
    async issue(device, person) {
      const issued = Math.floor(clock.now() / 1000) * 1000;
      const until = issued + LIFE;
      const token = await signer.sign({ device, person, deviceName: toBase64Url(device), issued, until });
      return { token, expires: until };
    },

    async verify(token) {
      if (token.length > LONGEST) throw new Problem("bad-proof", "no session of this server");
      const known = remembered.get(token);
      if (known !== undefined) {
        if (known.until > clock.now()) return known;
        remembered.delete(token);
        throw new Problem("session-expired", "the session has ended");
      }
      const session = await signer.open(token);
      remembered.set(token, session);
      if (remembered.size > REMEMBERED) remembered.delete(remembered.keys().next().value as string);
      return session;
    },

    isFresh: (session) => clock.now() - session.issued < FRESH,
  };
}
