/** Tokens as JSON Web Tokens (RFC 7519) under the server's own Ed25519 keys. Rule SRV25. */
import { fromBase64Url, toBase64Url } from "@tidelock/core/bytes/base64url";
import type { Clock } from "@tidelock/core/ports";
import { errors, exportJWK, generateKeyPair, importJWK, type JWK, jwtVerify, SignJWT } from "jose";
import { Problem } from "../problem.ts";
import type { Session, TokenSigner } from "./token.ts";

/** The keys at rest. The first signs; the others are still believed. */
export interface TokenKeys {
  readonly keys: readonly { readonly kid: string; readonly made: number; readonly jwk: JWK }[];
}

const ALG = "EdDSA";
const TYP = "tl+jwt";
const ISSUER = "tidelock";

export async function newTokenKey(
  now: number,
  random: (n: number) => Uint8Array,
): Promise<TokenKeys["keys"][number]> {
  const { privateKey } = await generateKeyPair(ALG, { crv: "Ed25519", extractable: true });
  return { kid: toBase64Url(random(9)), made: now, jwk: await exportJWK(privateKey) };
}

type Key = Awaited<ReturnType<typeof importJWK>>;

export async function createJwtSigner(at: TokenKeys, audience: string, clock: Clock): Promise<TokenSigner> {
  const signing = at.keys[0];
  if (signing === undefined) throw new RangeError("no key to sign sessions with");
  const privateKey = await importJWK(signing.jwk, ALG);
  const publicKeys = new Map<string, Key>();
  for (const { kid, jwk } of at.keys) {
    const { d: _secret, ...open } = jwk;
    publicKeys.set(kid, await importJWK(open as JWK, ALG));
  }

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
    sign: ({ deviceName, person, issued, until }) =>
      new SignJWT({ did: deviceName })
        .setProtectedHeader({ alg: ALG, typ: TYP, kid: signing.kid })
        .setIssuer(ISSUER)
        .setAudience(audience)
        .setSubject(toBase64Url(person))
        .setIssuedAt(issued / 1000)
        .setExpirationTime(until / 1000)
        .sign(privateKey),

    open: async (token) => {
      try {
        return await check(token);
      } catch (error) {
        if (error instanceof errors.JWTExpired) throw new Problem("session-expired", "the session has ended");
        if (error instanceof errors.JOSEError) throw new Problem("bad-proof", "no session of this server");
        throw error;
      }
    },
  };
}

function unknownKey(): never {
  throw new Problem("bad-proof", "no session of this server");
}
