/** A home joins a vault by its words. */
import { equalBytes, toHex } from "@tidelock/core/bytes/bytes";
import {
  deviceKeys,
  drawDeviceSeeds,
  personKeys,
  type SecretKeys,
  wipeKeys,
} from "@tidelock/core/crypto/identity";
import { linkAt } from "@tidelock/core/engine/entries";
import { findVault, joinVault } from "@tidelock/core/engine/join";
import type { Replica } from "@tidelock/core/engine/replica";
import { TidelockError } from "@tidelock/core/errors";
import type { Remote } from "@tidelock/core/ports";
import { issueCertificate } from "@tidelock/core/vault/certificate";
import type { Head } from "@tidelock/core/vault/invite";
import { createScheduler } from "../env.ts";
import { carryOver } from "./carry-over.ts";
import { rememberPlacement } from "./copied.ts";
import { makeRoom } from "./make-room.ts";
import { ownSecrets, type Prepared } from "./own-secrets.ts";
import { needAnswer, type Patience, patienceFor } from "./patient.ts";
import { placeOf } from "./place.ts";
import { isServer, openFolder, openRemote } from "./remote.ts";
import { rememberCertificate } from "./server.ts";
import {
  accessOf,
  configure,
  failed,
  finish,
  needName,
  opened,
  openReplica,
  type Setup,
  vaultsOf,
} from "./setup.ts";

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
