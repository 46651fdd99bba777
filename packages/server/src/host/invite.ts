/** A registration token for a server's folder, beside the server that runs on it or without one. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import { TidelockError } from "@tidelock/core/errors";
import { openSqliteStore } from "../sqlite/store.ts";
import { random } from "./files.ts";

const DAY = 86_400_000;

/** Admits one person, for a day. Only its hash is kept. */
export async function invitePerson(folder: string): Promise<string> {
  const path = join(folder, "server.db");
  if (!existsSync(path))
    throw new TidelockError("not-found", {
      why: `${folder} holds no server`,
      next: "name its folder by --data, or start one: tidelock server run",
    });
  const store = await openSqliteStore(path, { writer: "inline" });
  try {
    const token = random(16);
    const hash = new Uint8Array(createHash("sha256").update(token).digest());
    await store.addRegistration(hash, 1, Date.now() + DAY);
    return toBase64Url(token);
  } finally {
    await store.close();
  }
}
