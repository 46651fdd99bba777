/**
 * Sessions: JSON Web Tokens signed with the server's own Ed25519 keys, 15 minutes long. There is no
 * refresh token, since a device's key is one. Rules SRV25, SRV26.
 */
import { fromBase64Url, toBase64Url } from "@tidelock/core/bytes/base64url";
import type { Clock } from "@tidelock/core/ports";
import { errors, exportJWK, generateKeyPair, importJWK, type JWK, jwtVerify, SignJWT } from "jose";
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

/** The keys at rest. The first signs; the others are still believed. */
export interface TokenKeys {
  readonly keys: readonly { readonly kid: string; readonly made: number; readonly jwk: JWK }[];
}

const LIFE = 15 * 60_000;
const FRESH = 60_000;
const ALG = "EdDSA";
const TYP = "tl+jwt";
const ISSUER = "tidelock";
/** Sessions whose signature was checked already. */
const REMEMBERED = 20_000;
/** Longer ones are not ours. */
const LONGEST = 1024;

export async function newTokenKey(
  now: number,
  random: (n: number) => Uint8Array,
): Promise<TokenKeys["keys"][number]> {
  const { privateKey } = await generateKeyPair(ALG, { crv: "Ed25519", extractable: true });
  return { kid: toBase64Url(random(9)), made: now, jwk: await exportJWK(privateKey) };
}

type Key = Awaited<ReturnType<typeof importJWK>>;

export interface Tokens {
  issue(device: Uint8Array, person: Uint8Array): Promise<{ token: string; expires: number }>;
  /** Throws `session-expired` for one that has ended, `bad-proof` for anything else. */
  verify(token: string): Promise<Session>;
  isFresh(session: Session): boolean;
}

export async function createTokens(at: TokenKeys, audience: string, clock: Clock): Promise<Tokens> {
  const signing = at.keys[0];
  if (signing === undefined) throw new RangeError("no key to sign sessions with");
  const privateKey = await importJWK(signing.jwk, ALG);
  const publicKeys = new Map<string, Key>();
  for (const { kid, jwk } of at.keys) {
    const { d: _secret, ...open } = jwk;
    publicKeys.set(kid, await importJWK(open as JWK, ALG));
  }
  const remembered = new Map<string, Session>();

  async function check(token: string): Promise<Session> {
    const verified = await jwtVerify(token, ({ kid }) => publicKeys.get(kid ?? "") ?? unknownKey(), {
      algorithms: [ALG],
      typ: TYP,
      issuer: ISSUER,
      audience,
      requiredClaims: ["sub", "did", "iat", "exp"],
      currentDate: new Date(clock.now()),
    });
    const { sub, did, iat, exp } = verified.payload as { sub: string; did: string; iat: number; exp: number };
    const [person, device] = [fromBase64Url(sub), fromBase64Url(did)];
    if (person?.length !== 32 || device?.length !== 32)
      throw new Problem("bad-proof", "no session of this server");
    return { device, person, deviceName: did, issued: iat * 1000, until: exp * 1000 };
  }

  return {
    async issue(device, person) {
      const now = Math.floor(clock.now() / 1000);
      const until = now + LIFE / 1000;
      const token = await new SignJWT({ did: toBase64Url(device) })
        .setProtectedHeader({ alg: ALG, typ: TYP, kid: signing.kid })
        .setIssuer(ISSUER)
        .setAudience(audience)
        .setSubject(toBase64Url(person))
        .setIssuedAt(now)
        .setExpirationTime(until)
        .sign(privateKey);
      return { token, expires: until * 1000 };
    },

    async verify(token) {
      if (token.length > LONGEST) throw new Problem("bad-proof", "no session of this server");
      const known = remembered.get(token);
      if (known !== undefined) {
        if (known.until > clock.now()) return known;
        remembered.delete(token);
        throw new Problem("session-expired", "the session has ended");
      }
      let session: Session;
      try {
        session = await check(token);
      } catch (error) {
        if (error instanceof errors.JWTExpired) throw new Problem("session-expired", "the session has ended");
        if (error instanceof errors.JOSEError) throw new Problem("bad-proof", "no session of this server");
        throw error;
      }
      remembered.set(token, session);
      if (remembered.size > REMEMBERED) remembered.delete(remembered.keys().next().value as string);
      return session;
    },

    isFresh: (session) => clock.now() - session.issued < FRESH,
  };
}

function unknownKey(): never {
  throw new Problem("bad-proof", "no session of this server");
}
