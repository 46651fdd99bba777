/** That the keys beside a replica are the ones it was made with: others open just as well, and could send nothing. */
import { encodeUtf8, equalBytes, fingerprint } from "@tidelock/core/bytes/bytes";
import { deviceId, type PublicKeys } from "@tidelock/core/crypto/identity";
import type { Suite } from "@tidelock/core/crypto/suite";
import { TidelockError } from "@tidelock/core/errors";
import type { ReplicaStore } from "@tidelock/core/ports";
import { HOME_SPACE } from "./place.ts";

const DEVICE = encodeUtf8("device");

/** Throws `key-mismatch` for the keys of another device; of a new replica it takes note whose it is. */
export function checkKeys(suite: Suite, store: ReplicaStore, keys: PublicKeys): void {
  const id = deviceId(suite, keys.sign, keys.box);
  const known = store.get(HOME_SPACE, DEVICE);
  if (known === undefined) store.put(HOME_SPACE, DEVICE, id);
  else if (!equalBytes(known, id))
    throw new TidelockError("key-mismatch", {
      why: `these are the keys of device ${fingerprint(id)}, and this home is of device ${fingerprint(known)}`,
      details: { have: fingerprint(id), expected: fingerprint(known) },
      next: "put this home's own keys back; without them: tidelock join --remote DIR --words",
    });
}
