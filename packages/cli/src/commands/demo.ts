/**
 * `demo`: two devices and a folder on this machine, in `./.tidelock`. Made once; a second start
 * goes on with them. Ends by itself.
 */
import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { TidelockError } from "@tidelock/core/errors";
import { loadSqlite } from "@tidelock/node/home/driver";
import { privateFolder } from "@tidelock/node/home/files";
import { homePaths } from "@tidelock/node/home/paths";
import { openVault, type Vault } from "@tidelock/node/vault/open";
import { readSheet } from "@tidelock/node/vault/words";
import type { Context } from "../context.ts";
import { columns } from "../output.ts";

interface Place {
  readonly home: string;
  readonly file: string;
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

export async function demo(
  ctx: Context,
  _options: Record<string, unknown>,
  dir = ".tidelock",
): Promise<undefined> {
  const folder = relative(process.cwd(), dir) || ".";
  privateFolder(folder);
  const remote = join(folder, "remote");
  const laptop = { home: join(folder, "laptop"), file: join(folder, "laptop.db") };
  const phone = { home: join(folder, "phone"), file: join(folder, "phone.db") };
  ctx.out.note(
    "Keys of this demonstration lie in plain files (--insecure-key-file), so that it starts without a keychain.",
  );

  const first = await openDevice(laptop, remote, "laptop", undefined);
  try {
    const words = readSheet(await homePaths({ home: laptop.home }));
    const second = await openDevice(phone, remote, "phone", words);
    try {
      const rows = await play(ctx, first, laptop, second, phone);
      conclude(ctx, folder, first, laptop, phone, rows);
    } finally {
      await second.close();
    }
  } finally {
    await first.close();
  }
}

async function openDevice(
  place: Place,
  remote: string,
  name: string,
  words: string | undefined,
): Promise<Vault> {
  const known = existsSync(join(place.home, "config.toml"));
  if (!known && name === "phone" && words === undefined)
    throw new TidelockError("key-missing", {
      why: "the recovery sheet of the first device is gone, so the second cannot join",
      next: "remove the demonstration's folder and start again",
      retryable: false,
    });
  return openVault({
    home: place.home,
    remote,
    name: "Demo",
    device: { name },
    insecureKeyFile: true,
    ...(words === undefined || known ? {} : { words }),
  });
}

async function play(ctx: Context, first: Vault, laptop: Place, second: Vault, phone: Place): Promise<number> {
  sample(laptop.file);
  const a = await first.database(laptop.file);
  await first.syncNow({ wait: true, timeoutMs: 30_000 });
  await second.syncNow({ timeoutMs: 30_000 });
  const b = await second.database(phone.file);
  await second.syncNow({ wait: true, timeoutMs: 30_000 });

  const stamp = new Date().toISOString().slice(0, 19).replace("T", " ");
  const list = (await a.query<{ id: number }>("SELECT min(id) AS id FROM list"))[0]?.id ?? 1;
  const said = await a.transaction((tx) => tx.run(ADD, [list, `From the laptop, ${stamp}`]));
  await b.transaction((tx) => tx.run(ADD, [list, `From the phone, ${stamp}`]));
  await first.syncNow({ wait: true, timeoutMs: 30_000 });
  await said.confirmed;
  for (let round = 0; round < 2; round++) {
    await second.syncNow({ wait: true, timeoutMs: 30_000 });
    await first.syncNow({ wait: true, timeoutMs: 30_000 });
  }
  const tasks = "SELECT id, title, done FROM task ORDER BY id";
  const [ours, theirs] = [await a.query(tasks), await b.query(tasks)];
  if (JSON.stringify(ours) !== JSON.stringify(theirs))
    throw new TidelockError("internal", { why: "the two databases differ" });
  ctx.out.note(`Both devices wrote, and both databases hold the same ${ours.length} tasks.`);
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

function conclude(
  ctx: Context,
  folder: string,
  vault: Vault,
  laptop: Place,
  phone: Place,
  rows: number,
): void {
  const run = "npx tidelock";
  ctx.out.data("Demo", { folder, vault: vault.id, rows, equal: true }, () => [
    ...columns([
      ["Vault", `${vault.name}   E2E Encrypted   ${vault.status().label}`],
      ["Laptop", `${laptop.home}   ${laptop.file}`],
      ["Phone", `${phone.home}   ${phone.file}`],
      ["Remote", `${join(folder, "remote")}   (what it holds cannot be read there)`],
    ]),
    "",
    `Next  keep both in sync        ${run} --home ${laptop.home} daemon run`,
    `                               ${run} --home ${phone.home} daemon run   (in a second terminal)`,
    `      write with any program   sqlite3 ${laptop.file} "UPDATE task SET done = 1 WHERE id = 1"`,
    `      and look at the other    sqlite3 ${phone.file} "SELECT * FROM task"`,
    `      what happened to a row   ${run} --home ${phone.home} history task/1`,
    `      your recovery words      cat ${join(laptop.home, "recovery-sheet.txt")}`,
    `      attach your own          ${run} --home ${laptop.home} db attach app.db`,
  ]);
}
