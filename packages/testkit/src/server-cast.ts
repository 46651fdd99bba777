/**
 * Everybody who may ever ask a server for a vault: people of each role in one vault, those who have
 * left it, those who come next, and a neighbour with a vault of his own. Made by requests alone.
 */
import { fromBase64Url, toBase64Url } from "@tidelock/core/bytes/base64url";
import { encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { loginBytes } from "@tidelock/core/crypto/login";
import type { Suite } from "@tidelock/core/crypto/suite";
import { encodeFrameList } from "@tidelock/core/log/frame-list";
import type { MembershipRecord, Role } from "@tidelock/core/vault/records";
import type { AuditRow } from "@tidelock/server/store";
import { type ServerStage, STAGE_ADDRESS } from "./server-stage.ts";
import { type LogPoint, newDevice, newPerson, type TestDevice, TestVault } from "./vault-people.ts";

/** A vault and what lies in it. */
export interface Place {
  readonly vault: TestVault;
  readonly blob: Uint8Array;
  readonly blobId: Uint8Array;
  /** Reserved by its founder, empty. */
  readonly rendezvous: Uint8Array;
  /** Its head. */
  at: LogPoint;
  /** The person who only reads, by its index. */
  viewer: number;
}

export interface Admitted {
  readonly device: TestDevice;
  readonly index: number;
  readonly person: number;
  /** Its next device seq. */
  next: number;
}

export type CastName = "owner" | "admin" | "editor" | "viewer" | "removed" | "revoked";

export interface Cast {
  readonly home: Place;
  readonly away: Place;
  /** Deleted by its founder, with his account. */
  readonly gone: Place;
  /** In `home`, now or once. */
  readonly inHome: Readonly<Record<CastName, Admitted>>;
  /** Of the editor, admitted by nobody yet. */
  readonly joining: TestDevice;
  /** Of the person that was removed, admitted by nobody. */
  readonly late: TestDevice;
  readonly neighbour: Admitted;
  /** Of the owner, signed out by him. */
  readonly signedOut: TestDevice;
  /** Has never been here. */
  readonly unknown: TestDevice;
  /** Not registered, with a token to register once. */
  readonly newcomer: TestDevice;
  readonly registration: Uint8Array;
}

const REGISTRATION = new Uint8Array(16).fill(9);

export async function createCast(stage: ServerStage): Promise<Cast> {
  const { suite } = stage;
  const until = stage.time.now() + 365 * 86_400_000;
  await stage.server.services.store.addRegistration(suite.sha256(REGISTRATION), 100, until);
  const owner = newDevice(suite, newPerson(suite));
  const home = await found(stage, owner, "home");
  const away = await found(stage, newDevice(suite, newPerson(suite)), "away");
  const gone = await found(stage, newDevice(suite, newPerson(suite)), "gone");
  const leaver = await stage.session(gone.vault.founder);
  await done(stage.ask({ method: "DELETE", path: "/v1/persons/me", token: leaver }));
  const founder = { device: owner, index: 0, person: 0, next: 2 };
  const inHome: Partial<Record<CastName, Admitted>> = { owner: founder };
  const roles: readonly (readonly [CastName, Role])[] = [
    ["admin", "admin"],
    ["editor", "editor"],
    ["viewer", "viewer"],
    ["removed", "editor"],
  ];
  for (const [i, [name, role]] of roles.entries()) {
    const device = newDevice(suite, newPerson(suite));
    await register(stage, device);
    await say(stage, home, founder, home.vault.taking(device, role));
    inHome[name] = { device, index: i + 1, person: i + 1, next: 1 };
    if (name === "viewer") home.viewer = i + 1;
  }
  const neighbour = { device: away.vault.founder, index: 0, person: 0, next: 2 };
  await say(stage, away, neighbour, away.vault.taking(newDevice(suite, newPerson(suite)), "viewer"));
  away.viewer = 1;
  const cast = inHome as Record<CastName, Admitted>;
  const editors = cast.editor.device.person;
  const [revoked, joining, late, signedOut] = [
    newDevice(suite, editors),
    newDevice(suite, editors),
    newDevice(suite, cast.removed.device.person),
    newDevice(suite, owner.person),
  ];
  for (const device of [revoked, joining, late, signedOut]) await register(stage, device);
  await append(stage, home, revoked, home.vault.admission(revoked, 5, home.at));
  cast.revoked = { device: revoked, index: 5, person: 2, next: 2 };
  await say(stage, home, founder, { type: "device-revoke", device: 5, since: home.at.seq, cutoff: 1 });
  await say(stage, home, founder, { type: "member-remove", person: 4, cutoffs: [0] });
  await append(stage, home, owner, home.vault.data(owner, 0, founder.next++, "a secret of home", home.at));
  const { person, id } = signedOut;
  const audit: AuditRow = {
    time: stage.time.now(),
    device: owner.id,
    action: "sign-out",
    object: id,
    address: "unknown",
  };
  if (!(await stage.server.services.store.revokeDevice(person.id, id, audit)))
    throw new Error("not signed out");
  return {
    home,
    away,
    gone,
    inHome: cast,
    joining,
    late,
    neighbour,
    signedOut,
    unknown: newDevice(suite, newPerson(suite)),
    newcomer: newDevice(suite, newPerson(suite)),
    registration: REGISTRATION,
  };
}

/** What a device posts to sign in, over a challenge drawn for it now. */
export async function proofOf(stage: ServerStage, device: TestDevice): Promise<Record<string, unknown>> {
  const json = encodeUtf8(JSON.stringify({ device: toBase64Url(device.id) }));
  const drawn = await stage.ask({ method: "POST", path: "/v1/auth/challenge", bytes: json });
  const { challenge } = JSON.parse(new TextDecoder().decode(drawn.bytes)) as { challenge: string };
  const { keys, person, certificate, id } = device;
  const signed = loginBytes(STAGE_ADDRESS, fromBase64Url(challenge) as Uint8Array, id, person.id);
  return {
    device: toBase64Url(id),
    challenge,
    certificates: [toBase64Url(certificate)],
    signature: toBase64Url(stage.suite.sign(signed, keys.signSecret)),
  };
}

export const vaultPath = (vault: Uint8Array, path: string): string =>
  `/v1/vaults/${toBase64Url(vault)}${path}`;

async function register(stage: ServerStage, device: TestDevice): Promise<void> {
  const proof = { ...(await proofOf(stage, device)), registration: toBase64Url(REGISTRATION) };
  const bytes = encodeUtf8(JSON.stringify(proof));
  await done(stage.ask({ method: "POST", path: "/v1/persons", bytes }));
}

async function found(stage: ServerStage, founder: TestDevice, name: string): Promise<Place> {
  const { suite } = stage;
  const vault = new TestVault(suite, founder);
  await register(stage, founder);
  const token = await stage.session(founder);
  const send = (method: string, path: string, bytes: Uint8Array): Promise<void> =>
    done(stage.ask({ method, path, token, bytes }));
  await send("POST", "/v1/vaults", vault.genesis.bytes);
  const place: Place = {
    vault,
    at: vault.start,
    viewer: 0,
    ...blobOf(suite, `a blob of ${name}`),
    rendezvous: suite.random(16),
  };
  await append(stage, place, founder, vault.first());
  await send("PUT", vaultPath(vault.id, `/blobs/${toBase64Url(place.blobId)}`), place.blob);
  await send("PUT", vaultPath(vault.id, "/notes"), encodeUtf8(`a note of ${name}`));
  const code = { id: toBase64Url(place.rendezvous), lifeMs: 7 * 86_400_000 };
  await send("POST", "/v1/rv", encodeUtf8(JSON.stringify(code)));
  return place;
}

export function blobOf(
  suite: Suite,
  text: string,
): { readonly blob: Uint8Array; readonly blobId: Uint8Array } {
  const blob = encodeUtf8(text);
  return { blob, blobId: suite.sha256(blob) };
}

async function say(
  stage: ServerStage,
  place: Place,
  by: Admitted,
  ...records: readonly MembershipRecord[]
): Promise<void> {
  const frame = place.vault.say(by.device, by.index, by.next++, records, place.at);
  await append(stage, place, by.device, frame);
}

async function append(stage: ServerStage, place: Place, by: TestDevice, frame: Uint8Array): Promise<void> {
  const path = vaultPath(place.vault.id, "/frames");
  const token = await stage.session(by);
  await done(stage.ask({ method: "POST", path, token, bytes: encodeFrameList([frame]) }));
  const row = await stage.server.services.store.vault(place.vault.id);
  if (row === undefined) throw new Error("no such vault");
  place.at = { seq: row.head.seq, link: row.head };
}

async function done(answer: ReturnType<ServerStage["ask"]>): Promise<void> {
  const { status, bytes } = await answer;
  if (status >= 300) throw new Error(`refused while the stage was set: ${new TextDecoder().decode(bytes)}`);
}
