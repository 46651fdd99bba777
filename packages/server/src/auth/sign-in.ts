/**
 * Signing in: a device signs a challenge that the server drew, and shows that its keys are a
 * person's. The person's key is the account. Rules SRV20 to SRV23.
 */
import { fromBase64Url, toBase64Url } from "@tidelock/core/bytes/base64url";
import { equalBytes } from "@tidelock/core/bytes/bytes";
import { limits } from "@tidelock/core/bytes/limits";
import { deviceId, personId } from "@tidelock/core/crypto/identity";
import { CHALLENGE, loginBytes } from "@tidelock/core/crypto/login";
import { chainEnd } from "@tidelock/core/vault/certificate";
import type { AddressClass } from "../http/address-class.ts";
import { Problem } from "../problem.ts";
import type { Services } from "../services.ts";
import type { AccountDevice, AuditRow, PersonRow } from "../store.ts";

/** Who may register: everybody, holders of a token from whoever runs the server, or nobody. */
export type Registration = "open" | "token" | "closed";

const CHALLENGE_LIFE = 60_000;

export interface Challenge {
  readonly challenge: string;
  readonly aud: string;
  readonly expires: number;
}

export async function drawChallenge(services: Services, body: unknown): Promise<Challenge> {
  const { store, clock, random, audience } = services;
  const device = bytesOf(body, "device", 32);
  const challenge = random(CHALLENGE);
  const expires = clock.now() + CHALLENGE_LIFE;
  await store.addChallenge(challenge, device, expires);
  return { challenge: toBase64Url(challenge), aud: audience, expires };
}

export interface SignedIn {
  readonly person: string;
  readonly token: string;
  readonly expires: number;
}

export async function signIn(services: Services, body: unknown): Promise<SignedIn> {
  const { person, device, known } = await prove(services, body);
  const account = await services.store.person(person.person);
  if (account === undefined) throw new Problem("registration-closed", "this person has not registered here");
  if (!equalBytes(account.signKey, person.signKey))
    throw new Problem("bad-proof", "the keys are not the person's");
  refuseAccount({ closed: account.closed, revoked: known?.revoked });
  return admit(services, account, device);
}

/** Throws for whom no proof lets in: of an account that was closed, or signed out by its person. */
export function refuseAccount({ closed, revoked }: Pick<AccountDevice, "closed" | "revoked">): void {
  if (closed !== undefined) throw new Problem("account-closed", "this account was closed");
  if (revoked !== undefined) throw new Problem("signed-out", "its person has signed this device out");
}

export async function register(services: Services, body: unknown, from: AddressClass): Promise<SignedIn> {
  const { store, clock, registration } = services;
  const { person, device, known } = await prove(services, body);
  const account = await store.person(person.person);
  // Only a token opens a closed account again, also on an open server: its devices would else do it by themselves.
  const reopens = account?.closed !== undefined && fieldOf(body, "registration") !== undefined;
  refuseAccount({ closed: reopens ? undefined : account?.closed, revoked: known?.revoked });
  // Again is fine: the answer may have been lost.
  if (account !== undefined && !reopens) return admit(services, account, device);
  if (registration === "closed") throw new Problem("registration-closed", "nobody can register here");
  if (registration === "token" || reopens) await takeRegistration(services, body);
  const audit = { time: clock.now(), device: device.device, object: person.person, address: from };
  if (reopens) await store.reopenPerson(person.person, { ...audit, action: "reopen-account" });
  return admit(services, person, device, { ...audit, action: "register" });
}

async function takeRegistration({ store, clock, suite }: Services, body: unknown): Promise<void> {
  if (fieldOf(body, "registration") === undefined)
    throw new Problem("registration-closed", "whoever registers here brings a registration token");
  const token = bytesOf(body, "registration", 16);
  if (!(await store.takeRegistration(suite.sha256(token), clock.now())))
    throw new Problem("registration-closed", "this registration token is not good, or used up");
}

async function admit(
  services: Services,
  person: PersonRow,
  device: AccountDevice,
  audit?: AuditRow,
): Promise<SignedIn> {
  await services.store.admitAccount(person, device, audit);
  const session = await services.tokens.issue(device.device, person.person);
  return { person: toBase64Url(person.person), ...session };
}

interface Proof {
  readonly person: PersonRow;
  readonly device: AccountDevice;
  readonly known: AccountDevice | undefined;
}

/** Throws unless the device holds its key, a person says it is theirs, and the challenge is unused. */
async function prove(services: Services, body: unknown): Promise<Proof> {
  const { store, clock, suite, audience } = services;
  const challenge = bytesOf(body, "challenge", CHALLENGE);
  const signature = bytesOf(body, "signature", 64);
  const device = bytesOf(body, "device", 32);
  const known = await store.accountDevice(device);
  const now = clock.now();
  const person = known === undefined ? undefined : await store.person(known.person);
  // Whose device it is was proved when it first came: a storm of returning devices costs one signature each.
  const proof: Proof =
    known !== undefined && person !== undefined
      ? { person, device: { ...known, seen: now }, known }
      : { ...newcomer(services, device, certificatesOf(body), now), known };
  // Before the challenge is used up: who cannot sign must not be able to spend another one's.
  const signed = loginBytes(audience, challenge, device, proof.person.person);
  if (!suite.verify(signature, signed, proof.device.signKey))
    throw new Problem("bad-proof", "the signature does not hold");
  if (!(await store.takeChallenge(challenge, device, now)))
    throw new Problem("bad-proof", "the challenge is used, run out, or another device's");
  return proof;
}

function newcomer(
  { suite }: Services,
  device: Uint8Array,
  certificates: readonly Uint8Array[],
  now: number,
): { readonly person: PersonRow; readonly device: AccountDevice } {
  const end = chainEnd(suite, certificates);
  if (end === null || !equalBytes(deviceId(suite, end.device.sign, end.device.box), device))
    throw new Problem("bad-proof", "the certificates do not hold");
  const { sign: signKey, box: boxKey } = end.person;
  const person = personId(suite, signKey, boxKey);
  return {
    person: { person, signKey, boxKey, created: now, closed: undefined },
    device: {
      device,
      person,
      signKey: end.device.sign,
      added: now,
      seen: now,
      revoked: undefined,
      closed: undefined,
    },
  };
}

function certificatesOf(body: unknown): readonly Uint8Array[] {
  const list = fieldOf(body, "certificates");
  if (!Array.isArray(list) || list.length === 0 || list.length > limits.certificateChain)
    throw new Problem("bad-request", "certificates are missing");
  return list.map((text: unknown) => {
    const bytes =
      typeof text === "string" && text.length <= 2 * limits.genesis ? fromBase64Url(text) : undefined;
    if (bytes === undefined) throw new Problem("bad-request", "a certificate is no base64url");
    return bytes;
  });
}

export function bytesOf(body: unknown, name: string, length: number): Uint8Array {
  const text = fieldOf(body, name);
  const bytes = typeof text === "string" && text.length <= 2 * length ? fromBase64Url(text) : undefined;
  if (bytes?.length !== length)
    throw new Problem("bad-request", `${name} is not ${length} bytes in base64url`);
  return bytes;
}

export function fieldOf(body: unknown, name: string): unknown {
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw new Problem("bad-request", "the body is no JSON object");
  return Object.hasOwn(body, name) ? (body as Record<string, unknown>)[name] : undefined;
}
