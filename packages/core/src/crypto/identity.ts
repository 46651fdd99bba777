/**
 * The keys and ids of persons and devices. Rules CRY12, CRY13; formulas in `labels.ts`.
 *
 * A person is the phrase: two pairs derived from its entropy, so that the words alone bring them
 * back. A device draws two seeds of its own, which never leave it.
 */
import { EMPTY } from "../bytes/bytes.ts";
import { ctx, hashContexts, kdfLabels } from "./labels.ts";
import { needLength, type Suite, sizes } from "./suite.ts";

/** Ed25519 and X25519, 32 B each. */
export interface PublicKeys {
  readonly sign: Uint8Array;
  readonly box: Uint8Array;
}

/** With the secret halves of the same pairs: 64 B and 32 B. */
export interface SecretKeys extends PublicKeys {
  readonly signSecret: Uint8Array;
  readonly boxSecret: Uint8Array;
}

/** What a device keeps: everything else follows from it. 32 B each. */
export interface DeviceSeeds {
  readonly sign: Uint8Array;
  readonly box: Uint8Array;
}

/** From the 32 B entropy of the phrase. Needed at set-up and recovery only: `wipeKeys` after it. */
export function personKeys(suite: Suite, entropy: Uint8Array): SecretKeys {
  needLength("entropy", entropy, sizes.seed);
  const sign = suite.kdf(entropy, kdfLabels.personSign, EMPTY, sizes.seed);
  const box = suite.kdf(entropy, kdfLabels.personBox, EMPTY, sizes.seed);
  const keys = keysOf(suite, { sign, box });
  suite.wipe(sign);
  suite.wipe(box);
  return keys;
}

export function drawDeviceSeeds(suite: Suite): DeviceSeeds {
  return { sign: suite.random(sizes.seed), box: suite.random(sizes.seed) };
}

export function deviceKeys(suite: Suite, seeds: DeviceSeeds): SecretKeys {
  return keysOf(suite, seeds);
}

/** SHA-256(ctx(`tl1/person`) ‖ sign ‖ box) of the person's first keys; it stays when they change. */
export function personId(suite: Suite, sign: Uint8Array, box: Uint8Array): Uint8Array {
  return suite.sha256(ctx(hashContexts.person), sign, box);
}

/** SHA-256(ctx(`tl1/device`) ‖ sign ‖ box). */
export function deviceId(suite: Suite, sign: Uint8Array, box: Uint8Array): Uint8Array {
  return suite.sha256(ctx(hashContexts.device), sign, box);
}

/** Overwrites the secret halves, best effort. */
export function wipeKeys(suite: Suite, keys: SecretKeys): void {
  suite.wipe(keys.signSecret);
  suite.wipe(keys.boxSecret);
}

function keysOf(suite: Suite, seeds: DeviceSeeds): SecretKeys {
  const sign = suite.signPair(seeds.sign);
  const box = suite.boxPair(seeds.box);
  return {
    sign: sign.publicKey,
    box: box.publicKey,
    signSecret: sign.secretKey,
    boxSecret: box.secretKey,
  };
}
