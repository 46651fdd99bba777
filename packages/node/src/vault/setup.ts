/**
 * A home gets its vault: founded here, or joined by the words. Nothing is written before everything
 * that can be refused was; `config.toml` is written last, so a set-up that was cut short leaves a
 * home without a vault, and the same command goes on from there.
 */
import { existsSync, renameSync, rmSync } from "node:fs";
import { equalBytes, fromHex, toHex } from "@tidelock/core/bytes/bytes";
import {
  deviceKeys,
  drawDeviceSeeds,
  personKeys,
  type SecretKeys,
  wipeKeys,
} from "@tidelock/core/crypto/identity";
import type { Suite } from "@tidelock/core/crypto/suite";
import { linkAt } from "@tidelock/core/engine/entries";
import { failureCode } from "@tidelock/core/engine/failure";
import { foundVault, makeGenesis } from "@tidelock/core/engine/found";
import { findVault, joinVault } from "@tidelock/core/engine/join";
import { createReplica, type Replica, storedGenesis } from "@tidelock/core/engine/replica";
import { TidelockError } from "@tidelock/core/errors";
import type { Clock, Failure, Remote, Result } from "@tidelock/core/ports";
import { issueCertificate } from "@tidelock/core/vault/certificate";
import type { Genesis } from "@tidelock/core/vault/genesis";
import type { Head } from "@tidelock/core/vault/invite";
import { loadSuite } from "../crypto/load-suite.ts";
import { createScheduler } from "../env.ts";
import { readConfig, writeConfig } from "../home/config.ts";
import { privateFolder } from "../home/files.ts";
import {
  chooseKeyForm,
  type DeviceSecrets,
  type KeyForm,
  type KeyOptions,
  loadSecrets,
  storedForm,
  storeSecrets,
} from "../home/keys.ts";
import type { HomePaths } from "../home/paths.ts";
import type { SqlStore } from "../store/sql-store.ts";
import { carryOver } from "./carry-over.ts";
import { checkPlacement, enrolAnewNoted, rememberPlacement } from "./copied.ts";
import { needAnswer, type Patience, patienceFor, patiently, patientRemote } from "./patient.ts";
import { createKinds, openStore, placeOf, type VaultPlace } from "./place.ts";
import { holdsVault, isServer, makeFolder, needParent, openFolder, openRemote } from "./remote.ts";
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

export interface JoinOptions {
  readonly remote: string;
  readonly registration?: Uint8Array | undefined;
  readonly deviceName: string;
  readonly entropy: Uint8Array;
  /** The vault that must live there, if one was named. */
  readonly expected?: Uint8Array | undefined;
  /** Where the log was let in under these: they rest here already. */
  readonly prepared?: Prepared;
  /** Places that the log must show, or it is not the one that was meant. */
  readonly floors?: readonly Head[];
}

export interface Prepared {
  readonly form: KeyForm;
  readonly secrets: DeviceSecrets;
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

/** Joins the vault on a remote by its words. A foreign vault is `key-mismatch`, with nothing written. */
export async function joinHome(setup: Setup, options: JoinOptions): Promise<void> {
  const { suite, clock, paths } = setup;
  needName("device", options.deviceName);
  const patience = patienceFor(options.remote, setup.timeoutMs);
  await needAnswer(options.remote, patience);
  const person = personKeys(suite, options.entropy);
  const drawn = options.prepared?.secrets ?? { seeds: drawDeviceSeeds(suite), local: suite.random(32) };
  const early = deviceKeys(suite, drawn.seeds);
  const asking = await look(setup, options, person, early, patience);
  let remote = asking;
  try {
    const genesis = await findVault(suite, asking, person, options.expected);
    const place = placeOf(paths, toHex(genesis.vault));
    const aside = await makeRoom(setup, genesis, place);
    const { form, secrets } = options.prepared ?? (await ownSecrets(setup, place, drawn));
    const device = deviceKeys(suite, secrets.seeds);
    const certificate = issueCertificate(suite, person, device, clock.now()).bytes;
    if (isServer(options.remote)) {
      const access = accessOf(setup, certificate, device, options.registration);
      const own = openRemote(options.remote, { vault: genesis.vault, access });
      remote = await opened(options.remote, patience, own);
    }
    const { store, replica } = openReplica(setup, place, genesis, device, secrets.local);
    try {
      rememberCertificate(store, certificate);
      // Where garbage stands at a number, it waits a minute for a signature past it.
      await joinVault(suite, clock, replica, remote, person, options.deviceName, createScheduler());
      needFloors(replica, options.floors ?? []);
      // Together: a replica that knows its place is a set-up that was not cut short.
      replica.write(() => {
        if (aside !== undefined) carryOver(suite, aside, replica);
        rememberPlacement(store, paths, place);
      });
    } finally {
      finish(suite, store, replica, person);
    }
    configure(paths, genesis, form, options.remote);
  } finally {
    remote.close();
    if (remote !== asking) asking.close();
    wipeKeys(suite, early);
  }
}

function needFloors(replica: Replica, floors: readonly Head[]): void {
  for (const { seq, hash } of floors) {
    const link = replica.read((tx) => linkAt(tx, replica.vault, seq));
    if (link === undefined || !equalBytes(link.hash, hash))
      throw new TidelockError("rollback", {
        why: `the remote does not show entry ${seq} as who invited this device has seen it`,
        next: "ask whoever invited you; nothing was set up here",
      });
  }
}

/** The remote as somebody sees it who has only the words. On a server it must be found out which vault is meant. */
async function look(
  setup: Setup,
  options: JoinOptions,
  person: SecretKeys,
  device: SecretKeys,
  patience: Patience,
): Promise<Remote> {
  const { suite, clock } = setup;
  const at = (opening: Promise<Remote>): Promise<Remote> => opened(options.remote, patience, opening);
  if (!isServer(options.remote)) return at(openFolder(options.remote));
  const certificate = issueCertificate(suite, person, device, clock.now()).bytes;
  const access = accessOf(setup, certificate, device, options.registration);
  if (options.expected !== undefined)
    return at(openRemote(options.remote, { vault: options.expected, access }));
  const listed = await vaultsOf(options.remote, access, patience);
  if (listed.kind !== "ok") throw failed(listed, options.remote);
  const [vault, ...more] = listed.value;
  if (vault === undefined)
    throw new TidelockError("not-found", {
      why: "these words are in no vault on this server",
      next: "check the words and the address, or found a vault: tidelock init --remote URL",
    });
  if (more.length > 0)
    throw new TidelockError("usage", {
      why: `these words are in ${listed.value.length} vaults on this server`,
      next: `name one: --vault ${listed.value.map(toHex).join(", or --vault ")}`,
    });
  return at(openRemote(options.remote, { vault, access }));
}

function vaultsOf(
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

function accessOf(
  { suite, clock }: Pick<Setup, "suite" | "clock">,
  certificate: Uint8Array,
  device: SecretKeys,
  registration: Uint8Array | undefined,
): ServerAccess {
  const identity = identityBy(suite, certificate, device, registration);
  if (identity === undefined) throw new RangeError("a certificate of our own does not verify");
  return { suite, clock, scheduler: createScheduler(), identity };
}

/**
 * A home that was copied or restored keeps its old replica beside the new one; where it lies now.
 * Undefined for a home without a vault.
 */
async function makeRoom(setup: Setup, genesis: Genesis, place: VaultPlace): Promise<VaultPlace | undefined> {
  const { paths } = setup;
  const [known] = readConfig(paths).vaults;
  if (known === undefined) return undefined;
  if (known.id !== toHex(genesis.vault))
    throw new TidelockError("exists", {
      why: "this home has another vault",
      next: "tidelock status, or name another home with --home",
    });
  switch (standing(setup, place)) {
    case "unfinished": // cut short after the old one was put aside: go on
      return lastAside(paths, known.id);
    case "member":
      throw new TidelockError("exists", { why: "this home is in this vault already", next: "tidelock sync" });
    case "must-enrol": {
      const aside = freeAside(paths, known.id);
      renameSync(place.folder, aside.folder);
      return aside;
    }
  }
}

function standing(setup: Setup, place: VaultPlace): "unfinished" | "member" | "must-enrol" {
  if (!existsSync(place.replica)) return "unfinished";
  const store = openStore(place, createKinds(setup.suite));
  try {
    const where = checkPlacement(store, setup.paths, place);
    if (where === "unknown") return "unfinished";
    return where === "copied" || enrolAnewNoted(store) ? "must-enrol" : "member";
  } finally {
    store.close();
  }
}

function asideAt(paths: HomePaths, id: string, n: number): VaultPlace {
  const place = placeOf(paths, id);
  const folder = `${place.folder}.before-${n}`;
  return { ...place, folder, replica: `${folder}/replica.db` };
}

function freeAside(paths: HomePaths, id: string): VaultPlace {
  for (let n = 1; ; n++) {
    const aside = asideAt(paths, id, n);
    if (!existsSync(aside.folder)) return aside;
  }
}

function lastAside(paths: HomePaths, id: string): VaultPlace | undefined {
  let last: VaultPlace | undefined;
  for (let n = 1; existsSync(asideAt(paths, id, n).folder); n++) last = asideAt(paths, id, n);
  return last;
}

/** New secrets, durable; or those of a set-up that was cut short. */
export async function prepareSecrets(setup: Setup, place: VaultPlace): Promise<Prepared> {
  const { suite } = setup;
  const known = await knownSecrets(setup, place);
  return known ?? newSecrets(setup, place, { seeds: drawDeviceSeeds(suite), local: suite.random(32) });
}

/** New secrets, or those of a set-up that was cut short: its admission may be in the log already. */
async function ownSecrets(setup: Setup, place: VaultPlace, secrets: DeviceSecrets): Promise<Prepared> {
  const known = existsSync(place.replica) ? await knownSecrets(setup, place) : undefined;
  return known ?? newSecrets(setup, place, secrets);
}

async function knownSecrets({ suite, keys }: Setup, place: VaultPlace): Promise<Prepared | undefined> {
  const form = await storedForm(suite, place.keys, keys);
  return form === undefined ? undefined : { form, secrets: await loadSecrets(suite, place.keys, form, keys) };
}

async function newSecrets(
  { suite, keys }: Setup,
  place: VaultPlace,
  secrets: DeviceSecrets,
): Promise<Prepared> {
  const form = await chooseKeyForm(keys);
  privateFolder(place.folder);
  await storeSecrets(suite, place.keys, form, secrets, keys);
  return { form, secrets };
}

function openReplica(
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

function finish(suite: Suite, store: SqlStore, replica: Replica, person: SecretKeys): void {
  replica.ring.wipe();
  wipeKeys(suite, person);
  wipeKeys(suite, replica.keys);
  store.close();
}

function configure(paths: HomePaths, genesis: Genesis, keys: KeyForm, remote: string | undefined): void {
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

async function opened(url: string, patience: Patience, opening: Promise<Remote>): Promise<Remote> {
  return patientRemote(await patiently(url, patience, opening), patience);
}

function failed(failure: Failure, url: string): TidelockError {
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
function needName(what: string, name: string): void {
  const bytes = Buffer.from(name);
  if (bytes.length === 0 || bytes.length > 255 || bytes.some((b) => b < 0x20 || b === 0x7f))
    throw new TidelockError("bad-name", {
      why: `the ${what}'s name is empty, too long, or has control characters`,
    });
}

/** The id a person may have typed for a vault: all of it or its beginning. */
export function matchesVault(id: string, typed: string): boolean {
  return typed.length >= 4 && fromHex(id) !== undefined && id.startsWith(typed.toLowerCase());
}
