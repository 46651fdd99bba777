/**
 * The epoch keys of one vault on this device, at rest under the device's local key, and the
 * per-device frame keys derived from them. Rule VLT8.
 */
import { concat, u64Key } from "../bytes/bytes.ts";
import { kdfLabels } from "../crypto/labels.ts";
import type { Suite } from "../crypto/suite.ts";
import { TidelockError } from "../errors.ts";
import { frameKey } from "../log/frame.ts";
import type { Tx } from "../log/tx.ts";
import { commitment } from "../vault/epoch.ts";

export const EPOCH_KEYS = "k.epoch";
/** Keys of epochs that no accepted record has named yet: by commitment. */
export const OFFERED_KEYS = "k.offer";
const NONCE = 24;

export interface KeyRing {
  put(tx: Tx, epoch: number, key: Uint8Array): void;
  /** Keeps the key of an epoch that is not in the log yet, or not judged. It is used for nothing. */
  offer(tx: Tx, commit: Uint8Array, key: Uint8Array): void;
  /** The key that was offered for a commitment: its record was accepted. */
  offered(tx: Tx, commit: Uint8Array): Uint8Array | undefined;
  epochKey(tx: Tx, epoch: number): Uint8Array | undefined;
  /** The key of one device's data frames; derived once and remembered. */
  frameKey(tx: Tx, epoch: number, deviceId: Uint8Array, device: number): Uint8Array | undefined;
  memberKey(tx: Tx, epoch: number, deviceId: Uint8Array): Uint8Array | undefined;
  /** Drops what was remembered from a transaction that did not commit. */
  forget(): void;
  /** Forgets every key in memory, for good: from now on no key is here. */
  wipe(): void;
}

export function createKeyRing(
  suite: Suite,
  vault: Uint8Array,
  localKey: Uint8Array,
  ownId: Uint8Array,
  /** What the accepted record of an epoch commits to: a key for another one is not here (VLT4). */
  commitOf: (tx: Tx, epoch: number) => Uint8Array | undefined = () => undefined,
): KeyRing {
  const restKey = suite.kdf(localKey, kdfLabels.localEpochs, ownId, 32);
  const epochKeys = new Map<number, Uint8Array>();
  const frameKeys = new Map<string, Uint8Array>();
  let wiped = false;
  const aad = (epoch: number): Uint8Array => concat(vault, u64Key(epoch));

  function forget(): void {
    for (const key of [...epochKeys.values(), ...frameKeys.values()]) suite.wipe(key);
    epochKeys.clear();
    frameKeys.clear();
  }

  function epochKey(tx: Tx, epoch: number): Uint8Array | undefined {
    // A wiped key is 32 zeros: it would open nothing, and seal for everybody.
    if (wiped) return undefined;
    const known = epochKeys.get(epoch);
    if (known !== undefined) return known;
    const sealed = tx.get(EPOCH_KEYS, u64Key(epoch));
    if (sealed === undefined) return undefined;
    const key = suite.aeadOpen(restKey, sealed.subarray(0, NONCE), aad(epoch), sealed.subarray(NONCE));
    if (key === null) return undefined;
    const commit = commitOf(tx, epoch);
    if (commit !== undefined && !suite.equal(commitment(suite, key, vault, epoch), commit)) return undefined;
    // Before its record was judged nobody can say whether it is the one.
    if (commit !== undefined) epochKeys.set(epoch, key);
    return key;
  }

  /** Another key takes its place. */
  function drop(epoch: number): void {
    epochKeys.delete(epoch);
    for (const name of frameKeys.keys()) if (name.startsWith(`${epoch}/`)) frameKeys.delete(name);
  }

  return {
    put: (tx, epoch, key) => {
      if (wiped) throw new TidelockError("cancelled", { why: "the vault was closed" });
      const nonce = suite.random(NONCE);
      tx.put(EPOCH_KEYS, u64Key(epoch), concat(nonce, suite.aeadSeal(restKey, nonce, aad(epoch), key)));
      drop(epoch);
    },
    offer: (tx, commit, key) => {
      const nonce = suite.random(NONCE);
      const sealed = suite.aeadSeal(restKey, nonce, concat(vault, commit), key);
      tx.put(OFFERED_KEYS, commit, concat(nonce, sealed));
    },
    offered: (tx, commit) => {
      const sealed = wiped ? undefined : tx.get(OFFERED_KEYS, commit);
      if (sealed === undefined) return undefined;
      const [nonce, text] = [sealed.subarray(0, NONCE), sealed.subarray(NONCE)];
      return suite.aeadOpen(restKey, nonce, concat(vault, commit), text) ?? undefined;
    },
    epochKey,
    frameKey: (tx, epoch, deviceId, device) => {
      if (wiped) return undefined;
      const name = `${epoch}/${device}`;
      let key = frameKeys.get(name);
      if (key === undefined) {
        const from = epochKey(tx, epoch);
        if (from === undefined) return undefined;
        key = frameKey(suite, from, vault, deviceId);
        if (epochKeys.has(epoch)) frameKeys.set(name, key);
      }
      return key;
    },
    memberKey: (tx, epoch, deviceId) => {
      const from = epochKey(tx, epoch);
      return from === undefined ? undefined : suite.kdf(from, kdfLabels.member, concat(vault, deviceId), 32);
    },
    forget,
    wipe: () => {
      wiped = true;
      forget();
      suite.wipe(restKey);
    },
  };
}
