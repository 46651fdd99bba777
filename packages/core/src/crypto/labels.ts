/**
 * Every context string of Tidelock, in one table. A label is used for one purpose only, so bytes
 * made for one purpose never pass for another. A test asserts that no two are equal and that
 * none is a prefix of another once spelled as `ctx`.
 */

/** First argument of `Suite.kdf`; the comment says which key goes in, and which data. */
export const kdfLabels = {
  /** phrase entropy; no data; seed of the person's Ed25519 pair. */
  personSign: "tl1/person/sign",
  /** phrase entropy; no data; seed of the person's X25519 pair. */
  personBox: "tl1/person/box",
  /** epoch key; vault ‖ u64 epoch; the commitment in the epoch record. */
  epochCommit: "tl1/epoch/commit",
  /** epoch key; vault ‖ u64 epoch; seals the key of the epoch before. */
  epochPrev: "tl1/epoch/prev",
  /** epoch key; vault ‖ u64 epoch; the content secret. */
  content: "tl1/content",
  /** epoch key; vault ‖ device id; data frames. Also the context of their associated data. */
  frame: "tl1/frame",
  /** epoch key; vault ‖ device id; private parts of membership frames. */
  member: "tl1/member",
  /** epoch key; vault ‖ device id; state digests in notes. */
  digest: "tl1/digest",
  /** content secret; vault ‖ SHA-256 of the encoded chunk; the chunk key. Also its associated data. */
  chunk: "tl1/chunk",
  /** chunk key; vault; 56 B: AEAD key ‖ nonce. */
  chunkAead: "tl1/chunk/aead",
  /** chunker seed; u8 block; 64 B of the gear table. */
  gear: "tl1/gear",
  /** chunker seed; vault; page hashes of snapshots. */
  page: "tl1/page",
  /** epoch key; vault ‖ u64 seq ‖ h_seq; checkpoints. */
  checkpoint: "tl1/ckpt",
  /** reserved. */
  presence: "tl1/presence",
  /** Argon2id output; server origin; the login secret. */
  escrowLogin: "tl1/escrow/login",
  /** Argon2id output (‖ second secret); object header. */
  escrowKey: "tl1/escrow/key",
  escrowCommit: "tl1/escrow/commit",
  /** pairing root; no data; 16 B. */
  pairId: "tl1/pair/id",
  /** pairing root; no data. */
  pairPsk: "tl1/pair/psk",
  /** pairing psk; transcript. */
  pairToOld: "tl1/pair/to-old",
  pairToNew: "tl1/pair/to-new",
  /** invite secret; vault ‖ u8 use; 16 B. */
  inviteId: "tl1/invite/id",
  /** invite secret; vault ‖ u8 use. */
  inviteKey: "tl1/invite/key",
  /** link secret (‖ Argon2id output); share record header. */
  shareKey: "tl1/share/key",
  shareCommit: "tl1/share/commit",
  shareProof: "tl1/share/proof",
  /** Argon2id output; keyring header. */
  keyringKey: "tl1/keyring/key",
  keyringCommit: "tl1/keyring/commit",
  /** local key; device id. */
  localKeyring: "tl1/local/keyring",
  localEpochs: "tl1/local/epochs",
  localSession: "tl1/local/session",
  /** bundle key; an id; 16 B. */
  diagnosticId: "tl1/diag/id",
} as const;

/** Contexts in front of what is hashed, unkeyed. */
export const hashContexts = {
  device: "tl1/device",
  person: "tl1/person",
  vault: "tl1/vault",
  chain: "tl1/chain",
  memberChain: "tl1/member-chain",
  envelope: "tl1/env",
  inviteSecret: "tl1/invite/secret",
  pairSalt: "tl1/pair",
  escrowSalt: "tl1/escrow/salt",
  safety: "tl1/safety",
  copy: "tl1/copy",
} as const;

/** Contexts in front of what is signed. */
export const signatureContexts = {
  frame: "tl1/sig/frame",
  genesis: "tl1/sig/genesis",
  certificate: "tl1/sig/cert",
  possession: "tl1/sig/possess",
  join: "tl1/sig/join",
  /** A device added by the phrase. */
  recover: "tl1/sig/recover",
  /** A change of recovery keys. */
  person: "tl1/sig/person",
  checkpoint: "tl1/sig/ckpt",
  head: "tl1/sig/head",
  login: "tl1/sig/login",
  remote: "tl1/sig/remote",
} as const;

export type Label = (typeof kdfLabels)[keyof typeof kdfLabels];
export type HashContext = (typeof hashContexts)[keyof typeof hashContexts];
export type SignatureContext = (typeof signatureContexts)[keyof typeof signatureContexts];
export type Context = Label | HashContext | SignatureContext;

/** ctx(L) = u8 length of L ‖ L in ASCII. */
export function ctx(context: Context): Uint8Array {
  return afterCtx(context, 0);
}

/** ctx(L) ‖ data: what a KDF or a hash with a context reads. */
export function withCtx(context: Context, data: Uint8Array): Uint8Array {
  const out = afterCtx(context, data.length);
  out.set(data, 1 + context.length);
  return out;
}

/** ctx(L) with `room` zero bytes after it. */
function afterCtx(context: Context, room: number): Uint8Array {
  const length = context.length;
  const out = new Uint8Array(1 + length + room);
  out[0] = length;
  // The table is ASCII (tested), so a code unit is a byte.
  for (let i = 0; i < length; i++) out[1 + i] = context.charCodeAt(i);
  return out;
}
