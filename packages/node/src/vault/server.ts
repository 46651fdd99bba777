/** Vaults on a Tidelock server: who this device says it is there, and the remote over Node's own HTTP. */
import { encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { deviceId, type SecretKeys } from "@tidelock/core/crypto/identity";
import type { Suite } from "@tidelock/core/crypto/suite";
import type { Clock, Remote, ReplicaStore, Result, Scheduler } from "@tidelock/core/ports";
import { parseCertificate } from "@tidelock/core/vault/certificate";
import { logIn } from "@tidelock/remotes/login";
import { meetAt, type Rendezvous } from "@tidelock/remotes/rendezvous";
import { createServerRemote } from "@tidelock/remotes/server-remote";
import type { ServerIdentity } from "@tidelock/remotes/session";
import { listVaults } from "@tidelock/remotes/vaults";
import type { Socket } from "@tidelock/remotes/waker";
import { WebSocket } from "ws";
import { sessionMemory } from "./kept-session.ts";
import { HOME_SPACE } from "./place.ts";

export interface ServerAccess {
  readonly suite: Suite;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly identity: ServerIdentity;
}

const CERTIFICATE = encodeUtf8("certificate");
/** A hint is a few bytes; nobody makes us hold more. */
const LARGEST_HINT = 65_536;

/** Kept beside the replica: signing in shows that the device is its person's. Public. */
export function rememberCertificate(store: ReplicaStore, certificate: Uint8Array): void {
  store.put(HOME_SPACE, CERTIFICATE, certificate);
}

/** Who this device is to its vault's server; undefined for a home made before it kept its certificate. */
export function identityOf(
  suite: Suite,
  store: ReplicaStore,
  device: SecretKeys,
  localKey: Uint8Array,
  url: string,
): ServerIdentity | undefined {
  const bytes = store.get(HOME_SPACE, CERTIFICATE);
  const identity = bytes === undefined ? undefined : identityBy(suite, bytes, device);
  if (identity === undefined) return undefined;
  const id = deviceId(suite, device.sign, device.box);
  return { ...identity, memory: sessionMemory(suite, store, localKey, id, url) };
}

export function identityBy(
  suite: Suite,
  certificate: Uint8Array,
  device: SecretKeys,
  registration?: Uint8Array,
): ServerIdentity | undefined {
  const parsed = parseCertificate(suite, certificate);
  if (parsed === null) return undefined;
  return {
    person: parsed.person,
    device: { sign: device.sign, box: device.box },
    signSecret: device.signSecret,
    certificates: [certificate],
    ...(registration === undefined ? {} : { registration }),
  };
}

export function openServer(url: string, vault: Uint8Array, access: ServerAccess): Remote {
  return createServerRemote({
    ...access,
    url,
    vault,
    fetch,
    // Node's own WebSocket comes with version 22.
    openSocket: (address) => new WebSocket(address, { maxPayload: LARGEST_HINT }) as unknown as Socket,
  });
}

export { cancelMeeting, type HostOptions, reserveMeeting } from "@tidelock/remotes/rendezvous";

export function meetingAt(url: string, id: Uint8Array, scheduler: Scheduler): Rendezvous {
  return meetAt(id, { url, scheduler, fetch });
}

export function signInAt(url: string, access: ServerAccess): Promise<Result<"in">> {
  return logIn({ ...access, url, fetch });
}

export function vaultsAt(
  url: string,
  access: ServerAccess,
  signal: AbortSignal,
): Promise<Result<readonly Uint8Array[]>> {
  return listVaults({ ...access, url, fetch, signal });
}
