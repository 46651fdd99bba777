/** What the server keeps beside its database: the keys that sign sessions, and who holds the folder. */
import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TidelockError } from "@tidelock/core/errors";
import { newTokenKey, type TokenKeys } from "../auth/jwt.ts";

/** Each key signs for this long, and is believed for as long again. */
const KEY_LIFE = 30 * 86_400_000;

export const random = (n: number): Uint8Array => new Uint8Array(randomBytes(n));

/** The newest key first. Not in the database: a copy of that gives nobody a session. */
export async function openTokenKeys(folder: string, now: number): Promise<TokenKeys> {
  const path = join(folder, "session-keys.json");
  const found = readKeys(path);
  const valid = found.filter(({ made }) => now - made < 2 * KEY_LIFE);
  const newest = valid[0];
  if (newest !== undefined && now - newest.made < KEY_LIFE) return { keys: valid };
  const keys = [await newTokenKey(now, random), ...valid].slice(0, 2);
  writeSynced(path, `${JSON.stringify({ keys })}\n`);
  return { keys };
}

function readKeys(path: string): TokenKeys["keys"] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return [];
    throw error;
  }
  try {
    const { keys } = JSON.parse(text) as TokenKeys;
    if (
      keys.every(
        ({ kid, made, jwk }) => typeof kid === "string" && Number.isFinite(made) && jwk.crv === "Ed25519",
      )
    )
      return keys;
  } catch {
    // said below, without what is in the file
  }
  throw new TidelockError("usage", {
    why: `${path} does not hold session keys`,
    next: "move it away: everybody signs in again by themselves",
  });
}

export function writeSynced(path: string, text: string): void {
  const staged = `${path}.new`;
  const file = openSync(staged, "w", 0o600);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(staged, path);
}
