/**
 * Founding a vault: genesis and frame 1 (epoch 1, settings, the device's name) in one
 * transaction, usable offline at once. The remote gets them at the first sync. Rule VLT9.
 */
import { deviceId, personId, type SecretKeys } from "../crypto/identity.ts";
import type { Suite } from "../crypto/suite.ts";
import { genesisLink } from "../log/chain.ts";
import type { Clock } from "../ports.ts";
import { issueCertificate } from "../vault/certificate.ts";
import { commitment, encodeEnvelopePack, sealEnvelope } from "../vault/epoch.ts";
import { foundGenesis, type Genesis } from "../vault/genesis.ts";
import { sealMembership } from "../vault/membership-frame.ts";
import { encodeName, encodeSettings } from "../vault/records.ts";
import { beginReplica, type Replica } from "./replica.ts";

/** 90 days, 10 GiB: the promises of the documents. */
const RETENTION_DAYS = 90;
const MAX_FILE_SIZE = 10 * 2 ** 30;

export function makeGenesis(suite: Suite, clock: Clock, person: SecretKeys, device: SecretKeys): Genesis {
  return foundGenesis(suite, issueCertificate(suite, person, device, clock.now()), device);
}

/** Once, on an empty replica made for `replica.genesis`. Durable when it returns. */
export function foundVault(
  suite: Suite,
  clock: Clock,
  replica: Replica,
  names: { readonly vault: string; readonly device: string },
): void {
  const { vault, genesis, keys } = replica;
  const epochKey = suite.random(32);
  const id = deviceId(suite, keys.sign, keys.box);
  const owner = {
    kind: "person",
    id: personId(suite, genesis.owner.sign, genesis.owner.box),
    box: genesis.owner.box,
  } as const;
  const pack = encodeEnvelopePack(suite, [
    sealEnvelope(suite, epochKey, vault, 1, { kind: "device", id, box: keys.box }),
    sealEnvelope(suite, epochKey, vault, 1, owner),
  ]);
  const settings = {
    vaultName: names.vault,
    retentionDays: RETENTION_DAYS,
    maxFileSize: MAX_FILE_SIZE,
    chunkerSeed: suite.random(32),
  };
  replica.write((tx) => {
    beginReplica(replica, tx, false);
    replica.ring.put(tx, 1, epochKey);
    replica.spool(tx, pack.id, pack.bytes);
    const frame = sealMembership(suite, vault, {
      author: { keys, id, index: 0, deviceSeq: 1 },
      at: { seq: 0, link: genesisLink(vault), now: clock.now() },
      epoch: { n: 1, key: epochKey },
      records: [
        {
          record: {
            type: "epoch",
            n: 1,
            commit: commitment(suite, epochKey, vault, 1),
            envelopes: 2,
            list: pack.id,
          },
          hidden: undefined,
        },
        { record: { type: "settings" }, hidden: encodeSettings(settings) },
        { record: { type: "rename" }, hidden: encodeName(names.device) },
      ],
    });
    replica.submitSealed(tx, frame, 1);
  });
}
