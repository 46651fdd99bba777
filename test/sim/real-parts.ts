/** What ships, under a simulated device: SQLite and native libsodium. What libsodium draws comes from the seed. */
import { mkdirSync, mkdtempSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { concat } from "@tidelock/core/bytes/bytes";
import type { Suite } from "@tidelock/core/crypto/suite";
import { createNative } from "@tidelock/node/crypto/sodium-native";
import type { Parts } from "@tidelock/testkit/world/parts";
import { disks } from "./scratch.ts";
import { createSqlDisks } from "./sql-disk.ts";

const KEY = 32;
const NONCE = 24;
const TAG = 16;

interface Box {
  crypto_box_easy(
    out: Uint8Array,
    plain: Uint8Array,
    nonce: Uint8Array,
    publicKey: Uint8Array,
    secretKey: Uint8Array,
  ): void;
}

export function createRealParts(): Parts {
  mkdirSync(disks(), { recursive: true });
  const { make, close } = createSqlDisks(mkdtempSync(join(disks(), "replicas-")));
  return { suite: seededSodium(), newDisk: make, close };
}

function seededSodium(): (random: (n: number) => Uint8Array) => Suite {
  const native = createNative()?.suite;
  if (native === undefined) throw new Error("sodium-native does not load: run `npm ci`");
  const box = createRequire(import.meta.url)("sodium-native") as Box;
  return (random) => ({
    ...native,
    random,
    // `crypto_box_seal` draws its key from the system. This is what it does with it (libsodium, "Sealed boxes").
    sealTo(recipient, plain) {
      if (!native.validBoxKey(recipient)) throw new RangeError("public key was not admitted by validBoxKey");
      const own = native.boxPair(random(KEY));
      const sealed = new Uint8Array(KEY + TAG + plain.length);
      sealed.set(own.publicKey);
      const nonce = native.hash(concat(own.publicKey, recipient), NONCE);
      box.crypto_box_easy(sealed.subarray(KEY), plain, nonce, recipient, own.secretKey);
      return sealed;
    },
  });
}
