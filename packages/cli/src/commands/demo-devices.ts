/** Two devices of one person, each with a database of its own: made, and shown to hold the same. */
import { existsSync } from "node:fs";
import { TidelockError } from "@tidelock/core/errors";
import { loadSqlite } from "@tidelock/node/home/driver";
import type { HomePaths } from "@tidelock/node/home/paths";
import { openVault, type Vault } from "@tidelock/node/vault/open";
import { readSheet } from "@tidelock/node/vault/words";
import type { Context } from "../context.ts";

export interface Place {
  readonly name: string;
  readonly home: string;
  readonly file: string;
  readonly paths: HomePaths;
}

export interface Stage {
  readonly folder: string;
  readonly laptop: Place;
  readonly phone: Place;
}

export interface Played {
  readonly vault: string;
  readonly name: string;
  readonly label: string;
  /** Tasks that both databases hold. */
  readonly rows: number;
}

const SAMPLE = `
  CREATE TABLE IF NOT EXISTS list (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS task (
    id INTEGER PRIMARY KEY,
    list_id INTEGER NOT NULL REFERENCES list (id) ON DELETE CASCADE,
    title TEXT NOT NULL,
    done INTEGER NOT NULL
  );`;

const ADD = "INSERT INTO task (list_id, title, done) VALUES (?, ?, 0)";
const PATIENCE = { timeoutMs: 30_000 };

/** Both write, and both end up with the same. */
export async function play(ctx: Context, { laptop, phone }: Stage, remote: string): Promise<Played> {
  const first = await openDevice(laptop, remote, undefined);
  try {
    const words = readSheet(laptop.paths);
    if (words === undefined && !existsSync(phone.paths.config))
      throw new TidelockError("key-missing", {
        why: "the recovery sheet of the first device is gone, so the second cannot join",
        next: "remove the demonstration's folder and start again",
        retryable: false,
      });
    const second = await openDevice(phone, remote, words);
    try {
      const rows = await edit(first, laptop, second, phone);
      ctx.out.note(`Both devices wrote, and both databases hold the same ${rows} tasks.`);
      return { vault: first.id, name: first.name, label: first.status().label, rows };
    } finally {
      await second.close();
    }
  } finally {
    await first.close();
  }
}

function openDevice(place: Place, remote: string, words: string | undefined): Promise<Vault> {
  return openVault({
    home: place.home,
    remote,
    name: "Demo",
    device: { name: place.name },
    insecureKeyFile: true,
    ...(words === undefined ? {} : { words }),
  });
}

async function edit(first: Vault, laptop: Place, second: Vault, phone: Place): Promise<number> {
  sample(laptop.file);
  const a = await first.database(laptop.file);
  await first.syncNow({ wait: true, ...PATIENCE });
  await second.syncNow(PATIENCE);
  const b = await second.database(phone.file);
  await second.syncNow({ wait: true, ...PATIENCE });

  const stamp = new Date().toISOString().slice(0, 19).replace("T", " ");
  const list = (await a.query<{ id: number }>("SELECT min(id) AS id FROM list"))[0]?.id ?? 1;
  const said = await a.transaction((tx) => tx.run(ADD, [list, `From the laptop, ${stamp}`]));
  await b.transaction((tx) => tx.run(ADD, [list, `From the phone, ${stamp}`]));
  await first.syncNow({ wait: true, ...PATIENCE });
  await said.confirmed;
  for (let round = 0; round < 2; round++) {
    await second.syncNow({ wait: true, ...PATIENCE });
    await first.syncNow({ wait: true, ...PATIENCE });
  }
  const tasks = "SELECT id, title, done FROM task ORDER BY id";
  const [ours, theirs] = [await a.query(tasks), await b.query(tasks)];
  if (JSON.stringify(ours) !== JSON.stringify(theirs))
    throw new TidelockError("internal", { why: "the two databases differ" });
  return ours.length;
}

/** A database as any program makes one; made again only where it is gone. */
function sample(path: string): void {
  if (existsSync(path)) return;
  const db = new (loadSqlite())(path);
  db.pragma("journal_mode = WAL");
  db.exec(SAMPLE);
  db.exec(`INSERT INTO list (name) VALUES ('Today'), ('Later');
    INSERT INTO task (list_id, title, done) VALUES (1, 'Read the words on the recovery sheet', 0), (1, 'Look at both databases', 0), (2, 'Attach my own', 0)`);
  db.close();
}
