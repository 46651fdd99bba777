/**
 * The keyring object (kind 9): a device's own secrets at rest, under a passphrase or in the clear.
 * Bytes: docs/format.md, "Keyring". Rules CRY17 to CRY19.
 *
 * commit = kdf(A, `tl1/keyring/commit`, header), key = kdf(A, `tl1/keyring/key`, header), with
 * A = Argon2id(passphrase in NFKC, salt). The commitment stands before the nonce and is compared
 * first: without it one could craft a file that opens under many passphrases and learn from each
 * try (partitioning oracles).
 */
import { encodeUtf8 } from "../bytes/bytes.ts";
import { decodeWith, Malformed, type Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import { kdfLabels } from "./labels.ts";
import { type ArgonCost, argonLimits, needCost, type Suite, sizes } from "./suite.ts";

const FORMAT = 1;
const KIND = 9;
const PLAIN = 0;
const PASSPHRASE = 1;

/** Level 1 of password hashing. Also the floor: what asks for less is not hashed at all. */
export const keyringCost: ArgonCost = { memoryMiB: 64, passes: 3 };

/** The largest keyring object, B, and what it may hold. */
export const keyringLimits: {
  readonly object: number;
  readonly secrets: number;
  readonly name: number;
  readonly secret: number;
} = { object: 64 << 10, secrets: 256, name: 64, secret: 128 };

/** Secrets by name, such as `device/sign`, `device/box` and `local`. */
export type Secrets = ReadonlyMap<string, Uint8Array>;

export type KeyringForm = "plain" | "passphrase";

export type KeyringRefusal =
  /** Not a keyring object, or not in the one spelling it has. */
  | "malformed"
  /** The other form than the caller asked for: a passphrase is never skipped silently. */
  | "form"
  /** A newer format or suite: a newer Tidelock reads it. */
  | "update-needed"
  /** Asks for cheaper hashing than the floor, or for more than any device can do. */
  | "kdf-floor"
  /** The passphrase is another one, or the header was changed. */
  | "commit"
  /** The passphrase is right and the content is not what was sealed. */
  | "sealed-wrong";

export type OpenedKeyring =
  | { readonly ok: true; readonly secrets: Secrets }
  | { readonly ok: false; readonly reason: KeyringRefusal };

/** Argon2id with 64 MiB: some 100 ms. Runs in a worker. */
export function sealKeyring(
  suite: Suite,
  secrets: Secrets,
  passphrase: string,
  cost: ArgonCost = keyringCost,
): Uint8Array {
  needCost(cost);
  if (belowFloor(cost)) throw new RangeError("Argon2id cost is below the floor");
  const salt = suite.random(sizes.salt);
  const header = new Writer(28)
    .u8(FORMAT)
    .u8(suite.id)
    .u8(KIND)
    .u8(PASSPHRASE)
    .u32(cost.memoryMiB)
    .u8(cost.passes)
    .fixed(salt)
    .done();
  const { commit, key } = keysFor(suite, passphrase, salt, cost, header);
  const nonce = suite.random(sizes.nonce);
  const content = encodeSecrets(secrets);
  const sealed = suite.aeadSeal(key, nonce, header, content);
  suite.wipe(content);
  suite.wipe(key);
  return new Writer(256).fixed(header).fixed(commit).fixed(nonce).bytes(sealed).done();
}

/** In the clear, by a person's explicit choice only. */
export function plainKeyring(suite: Suite, secrets: Secrets): Uint8Array {
  return new Writer(256).u8(FORMAT).u8(suite.id).u8(KIND).u8(PLAIN).bytes(encodeSecrets(secrets)).done();
}

/** Which form a stored keyring has; null for anything that is not a keyring of this format. */
export function keyringForm(suite: Suite, object: Uint8Array): KeyringForm | null {
  const [format, suiteId, kind, form] = object;
  if (format !== FORMAT || suiteId !== suite.id || kind !== KIND) return null;
  return form === PLAIN ? "plain" : form === PASSPHRASE ? "passphrase" : null;
}

export function openPlainKeyring(suite: Suite, object: Uint8Array): OpenedKeyring {
  const refusal = headRefusal(suite, object, PLAIN);
  if (refusal !== undefined) return no(refusal);
  const content = decodeWith(object, (r) => {
    r.fixed(4);
    return r.bytes(keyringLimits.object);
  });
  if (content === null) return no("malformed");
  const secrets = decodeSecrets(content);
  return secrets === null ? no("malformed") : { ok: true, secrets };
}

/** As slow as `sealKeyring`. Refusals that need no hashing come first. */
export function openKeyring(suite: Suite, object: Uint8Array, passphrase: string): OpenedKeyring {
  const refusal = headRefusal(suite, object, PASSPHRASE);
  if (refusal !== undefined) return no(refusal);
  const parts = decodeWith(object, parsePassphraseForm);
  if (parts === null) return no("malformed");
  const { cost, salt, header, nonce, sealed } = parts;
  if (belowFloor(cost) || cost.memoryMiB > argonLimits.memoryMiB || cost.passes > argonLimits.passes)
    return no("kdf-floor");
  const { commit, key } = keysFor(suite, passphrase, salt, cost, header);
  if (!suite.equal(commit, parts.commit)) return no("commit");
  const content = suite.aeadOpen(key, nonce, header, sealed);
  suite.wipe(key);
  if (content === null) return no("sealed-wrong");
  const secrets = decodeSecrets(content);
  suite.wipe(content);
  return secrets === null ? no("malformed") : { ok: true, secrets };
}

function no(reason: KeyringRefusal): OpenedKeyring {
  return { ok: false, reason };
}

function belowFloor(cost: ArgonCost): boolean {
  return cost.memoryMiB < keyringCost.memoryMiB || cost.passes < keyringCost.passes;
}

/** What the first four bytes alone say. */
function headRefusal(suite: Suite, object: Uint8Array, form: number): KeyringRefusal | undefined {
  if (object.length < 4 || object.length > keyringLimits.object || object[2] !== KIND) return "malformed";
  const [format, suiteId, , found] = object as unknown as [number, number, number, number];
  if (format === 0 || suiteId === 0) return "malformed";
  if (format > FORMAT || suiteId !== suite.id) return "update-needed";
  if (found !== PLAIN && found !== PASSPHRASE) return "malformed";
  return found === form ? undefined : "form";
}

interface PassphraseForm {
  readonly cost: ArgonCost;
  readonly salt: Uint8Array;
  readonly header: Uint8Array;
  readonly commit: Uint8Array;
  readonly nonce: Uint8Array;
  readonly sealed: Uint8Array;
}

function parsePassphraseForm(r: Reader): PassphraseForm {
  r.fixed(4);
  const cost = { memoryMiB: r.u32(), passes: r.u8() };
  const salt = r.fixed(sizes.salt);
  const header = r.slice(0);
  const commit = r.fixed(sizes.digest);
  const nonce = r.fixed(sizes.nonce);
  return { cost, salt, header, commit, nonce, sealed: r.bytes(keyringLimits.object) };
}

function keysFor(
  suite: Suite,
  passphrase: string,
  salt: Uint8Array,
  cost: ArgonCost,
  header: Uint8Array,
): { commit: Uint8Array; key: Uint8Array } {
  const password = encodeUtf8(passphrase.normalize("NFKC"));
  const root = suite.argon2id(password, salt, cost);
  suite.wipe(password);
  const commit = suite.kdf(root, kdfLabels.keyringCommit, header, sizes.digest);
  const key = suite.kdf(root, kdfLabels.keyringKey, header, sizes.key);
  suite.wipe(root);
  return { commit, key };
}

/** v count, then name and secret of each, by name in ascending order of code units. */
function encodeSecrets(secrets: Secrets): Uint8Array {
  const { secrets: most, name: longest, secret: largest } = keyringLimits;
  if (secrets.size > most) throw new RangeError("too many secrets for a keyring");
  const w = new Writer(256).v(secrets.size);
  for (const name of [...secrets.keys()].sort()) {
    const secret = secrets.get(name) as Uint8Array;
    // Names are codes of ours, so they may be in a message; secrets never are.
    if (!NAME.test(name) || name.length > longest) throw new RangeError("not a name of a secret");
    if (secret.length === 0 || secret.length > largest)
      throw new RangeError("a secret is not 1 to 128 bytes");
    w.str(name).bytes(secret);
  }
  return w.done();
}

/** Printable ASCII, so that every order of names is the same order. */
const NAME = /^[a-z0-9][a-z0-9/._-]*$/;

/** Copies: the input may be wiped. */
function decodeSecrets(content: Uint8Array): Secrets | null {
  return decodeWith(content, (r) => {
    const count = r.v(keyringLimits.secrets);
    const secrets = new Map<string, Uint8Array>();
    for (let i = 0, before = ""; i < count; i++) {
      const name = r.str(keyringLimits.name);
      if (!NAME.test(name) || name <= before) throw new Malformed("names not in order");
      before = name;
      const secret = r.bytes(keyringLimits.secret);
      if (secret.length === 0) throw new Malformed("empty secret");
      secrets.set(name, secret.slice());
    }
    return secrets;
  });
}
