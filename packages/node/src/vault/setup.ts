/**
 * A home gets its vault: founded here, or joined (`join-home.ts`). Nothing is written before everything
 * that can be refused was; `config.toml` is written last, so a set-up that was cut short leaves a
 * home without a vault, and the same command goes on from there.
 */
import { rmSync } from "node:fs";
import { equalBytes, toHex } from "@tidelock/core/bytes/bytes";
import {
  deviceKeys,
  drawDeviceSeeds,
  personKeys,
  type SecretKeys,
  wipeKeys,
} from "@tidelock/core/crypto/identity";
import type { Suite } from "@tidelock/core/crypto/suite";
import { failureCode } from "@tidelock/core/engine/failure";
import { foundVault, makeGenesis } from "@tidelock/core/engine/found";
import { createReplica, type Replica, storedGenesis } from "@tidelock/core/engine/replica";
import { TidelockError } from "@tidelock/core/errors";
import type { Clock, Failure, Remote, Result } from "@tidelock/core/ports";
import { issueCertificate } from "@tidelock/core/vault/certificate";
import type { Genesis } from "@tidelock/core/vault/genesis";
import { loadSuite } from "../crypto/load-suite.ts";
import { createScheduler } from "../env.ts";
import { readConfig, writeConfig } from "../home/config.ts";
import { privateFolder } from "../home/files.ts";
import {
  chooseKeyForm,
  type DeviceSecrets,
  type KeyForm,
  type KeyOptions,
  storeSecrets,
} from "../home/keys.ts";
import type { HomePaths } from "../home/paths.ts";
import type { SqlStore } from "../store/sql-store.ts";
import { rememberPlacement } from "./copied.ts";
import { needAnswer, type Patience, patienceFor, patiently, patientRemote } from "./patient.ts";
import { createKinds, openStore, placeOf, type VaultPlace } from "./place.ts";
import { holdsVault, isServer, makeFolder, needParent, openRemote } from "./remote.ts";
import { identityBy, rememberCertificate, type ServerAccess, vaultsAt } from "./server.ts";

export interface Setup {
  readonly suite: Suite;
  readonly clock: Clock;
  readonly paths: HomePaths;
  readonly keys: KeyOptions;
  /** For everything that the remote is asked, ms. */
  readonly timeoutMs?: number | undefined;
}

export interface FoundOptions {
  /** A `file:` URL or a server's; absent for a vault that stays on this device. */
  readonly remote: string | undefined;
  /** Where a server wants one of whoever is new. */
  readonly registration?: Uint8Array | undefined;
  readonly vaultName: string;
  readonly deviceName: string;
  /** Behind the recovery words; kept nowhere. */
  readonly entropy: Uint8Array;
}

/** Throws `exists` where this home has a vault. */
export function needEmptyHome(paths: HomePaths): void {
  if (readConfig(paths).vaults.length > 0)
    throw new TidelockError("exists", {
      why: "this home has a vault",
      next: "tidelock status, or name another home with --home",
    });
}

/** Founds a vault. The first sync, which brings it to the remote, is the caller's. */
export async function foundHome(setup: Setup, options: FoundOptions): Promise<void> {
  const { suite, clock, paths } = setup;
  needEmptyHome(paths);
  const patience = patienceFor(options.remote ?? "", setup.timeoutMs);
  await needAnswer(options.remote, patience);
  needName("vault", options.vaultName);
  needName("device", options.deviceName);
  const form = await chooseKeyForm(setup.keys);
  if (options.remote !== undefined) {
    needFreeRemote(options.remote);
    makeFolder(options.remote);
  }

  const person = personKeys(suite, options.entropy);
  const secrets: DeviceSecrets = { seeds: drawDeviceSeeds(suite), local: suite.random(32) };
  const device = deviceKeys(suite, secrets.seeds);
  const genesis = makeGenesis(suite, clock, person, device);
  const place = placeOf(paths, toHex(genesis.vault));
  privateFolder(place.folder);
  await storeSecrets(suite, place.keys, form, secrets, setup.keys);
  const { store, replica } = openReplica(setup, place, genesis, device, secrets.local);
  try {
    foundVault(suite, clock, replica, { vault: options.vaultName, device: options.deviceName });
    rememberCertificate(store, genesis.certificate.bytes);
    rememberPlacement(store, paths, place);
  } finally {
    finish(suite, store, replica, person);
  }
  configure(paths, genesis, form, options.remote);
  if (options.remote === undefined) return;
  const again = deviceKeys(suite, secrets.seeds);
  const access = accessOf(setup, genesis.certificate.bytes, again, options.registration);
  try {
    await claim(options.remote, genesis, access, patience);
  } catch (error) {
    // This home is as it was: a vault that nobody keeps, and whose words are not kept, is none.
    rmSync(paths.config, { force: true });
    rmSync(place.folder, { recursive: true, force: true });
    throw error;
  } finally {
    wipeKeys(suite, again);
  }
}

export function vaultsOf(
  url: string,
  access: ServerAccess,
  patience: Patience,
): Promise<Result<readonly Uint8Array[]>> {
  const end = new AbortController();
  return patiently(url, patience, vaultsAt(url, access, end.signal), () => end.abort());
}

/** Whether the words' person has a vault there already: who founds unattended asks first. */
export async function hasVault(
  setup: Pick<Setup, "clock" | "timeoutMs">,
  remote: string,
  entropy: Uint8Array,
  registration: Uint8Array | undefined,
): Promise<boolean> {
  const patience = patienceFor(remote, setup.timeoutMs);
  await needAnswer(remote, patience);
  if (!isServer(remote)) return holdsVault(remote);
  const { suite } = await loadSuite();
  const person = personKeys(suite, entropy);
  const device = deviceKeys(suite, drawDeviceSeeds(suite));
  try {
    const certificate = issueCertificate(suite, person, device, setup.clock.now()).bytes;
    const access = accessOf({ suite, ...setup }, certificate, device, registration);
    const listed = await vaultsOf(remote, access, patience);
    if (listed.kind !== "ok") throw failed(listed, remote);
    return listed.value.length > 0;
  } finally {
    wipeKeys(suite, person);
    wipeKeys(suite, device);
  }
}

export function accessOf(
  { suite, clock }: Pick<Setup, "suite" | "clock">,
  certificate: Uint8Array,
  device: SecretKeys,
  registration: Uint8Array | undefined,
): ServerAccess {
  const identity = identityBy(suite, certificate, device, registration);
  if (identity === undefined) throw new RangeError("a certificate of our own does not verify");
  return { suite, clock, scheduler: createScheduler(), identity };
}

export function openReplica(
  setup: Setup,
  place: VaultPlace,
  genesis: Genesis,
  keys: SecretKeys,
  localKey: Uint8Array,
): { store: SqlStore; replica: Replica } {
  const { suite, clock } = setup;
  const kinds = createKinds(suite);
  const store = openStore(place, kinds);
  const before = storedGenesis(suite, store);
  if (before !== undefined && !equalBytes(before.vault, genesis.vault)) {
    store.close();
    throw new TidelockError("replica-damaged", { why: "the replica is of another vault" });
  }
  const env = { suite, clock, point: () => undefined };
  return { store, replica: createReplica(env, { store, genesis, keys, localKey, kinds: kinds.all }) };
}

export function finish(suite: Suite, store: SqlStore, replica: Replica, person: SecretKeys): void {
  replica.ring.wipe();
  wipeKeys(suite, person);
  wipeKeys(suite, replica.keys);
  store.close();
}

export function configure(
  paths: HomePaths,
  genesis: Genesis,
  keys: KeyForm,
  remote: string | undefined,
): void {
  const id = toHex(genesis.vault);
  writeConfig(paths, { vaults: [{ id, keys, ...(remote === undefined ? {} : { remote }) }] });
}

/** Throws `exists` where a vault lives in the remote's folder. Writes nothing. */
export function needFreeRemote(remote: string): void {
  needParent(remote);
  if (holdsVault(remote))
    throw new TidelockError("exists", {
      why: "a vault lives on this remote",
      next: "join it with its words: tidelock join --remote DIR --words",
    });
}

/** The vault's beginning on the remote. */
async function claim(url: string, genesis: Genesis, access: ServerAccess, patience: Patience): Promise<void> {
  const remote = await opened(url, patience, openRemote(url, { vault: genesis.vault, access }));
  try {
    const created = await remote.create(genesis.bytes);
    if (created.kind === "exists")
      throw new TidelockError("exists", { why: "a vault was just founded on this remote" });
    if (created.kind !== "ok") throw failed(created, url);
  } finally {
    remote.close();
  }
}

export async function opened(url: string, patience: Patience, opening: Promise<Remote>): Promise<Remote> {
  return patientRemote(await patiently(url, patience, opening), patience);
}

export function failed(failure: Failure, url: string): TidelockError {
  const code = failureCode(failure);
  return new TidelockError(code, {
    why: "why" in failure ? failure.why : "the remote is busy",
    ...(code === "unreachable" ? { next: nextFor(url) } : {}),
  });
}

/** What a person looks at where a remote does not answer. */
function nextFor(url: string): string {
  return isServer(url)
    ? `check the address and that the server runs: tidelock server healthcheck ${url}`
    : "check the folder, and that its disk is mounted";
}

/** 1..255 bytes without control characters: what the log takes. */
export function needName(what: string, name: string): void {
  const bytes = Buffer.from(name);
  if (bytes.length === 0 || bytes.length > 255 || bytes.some((b) => b < 0x20 || b === 0x7f))
    throw new TidelockError("bad-name", {
      why: `the ${what}'s name is empty, too long, or has control characters`,
    });
}
