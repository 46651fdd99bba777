/** The session at a server, kept in the home under the local key: a command goes on with the one before it. */
import { decodeUtf8, encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { Reader } from "@tidelock/core/bytes/reader";
import { Writer } from "@tidelock/core/bytes/writer";
import { kdfLabels } from "@tidelock/core/crypto/labels";
import type { Suite } from "@tidelock/core/crypto/suite";
import type { ReplicaStore } from "@tidelock/core/ports";
import type { KeptSession, SessionMemory } from "@tidelock/remotes/session";
import { HOME_SPACE } from "./place.ts";

const SESSION = encodeUtf8("session");
const NONCE = 24;
const TAG = 16;
const TIMES = 12;

/** `url`: the server's; under another address it is none. */
export function sessionMemory(
  suite: Suite,
  store: ReplicaStore,
  localKey: Uint8Array,
  deviceId: Uint8Array,
  url: string,
): SessionMemory {
  const key = suite.kdf(localKey, kdfLabels.localSession, deviceId, 32);
  const aad = encodeUtf8(new URL(url).origin);

  function read(): KeptSession | undefined {
    const sealed = store.get(HOME_SPACE, SESSION);
    if (sealed === undefined || sealed.length < NONCE + TAG + TIMES) return undefined;
    const plain = suite.aeadOpen(key, sealed.subarray(0, NONCE), aad, sealed.subarray(NONCE));
    if (plain === null) return undefined;
    const reader = new Reader(plain);
    const [made, ends] = [reader.u48(), reader.u48()];
    const token = decodeUtf8(plain.subarray(TIMES));
    return token === undefined ? undefined : { token, made, ends };
  }

  function write(kept: KeptSession | undefined): void {
    if (kept === undefined) {
      if (store.get(HOME_SPACE, SESSION) !== undefined) store.delete(HOME_SPACE, SESSION);
      return;
    }
    const nonce = suite.random(NONCE);
    const plain = new Writer().u48(kept.made).u48(kept.ends).fixed(encodeUtf8(kept.token)).done();
    const sealed = suite.aeadSeal(key, nonce, aad, plain);
    store.put(HOME_SPACE, SESSION, new Writer().fixed(nonce).fixed(sealed).done());
  }

  return { read: () => unlessGone(read), write: (kept) => unlessGone(() => write(kept)) };
}

/** A store that is full, broken or closed by now: whoever comes next signs in anew, and the rest says what is wrong. */
function unlessGone<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
