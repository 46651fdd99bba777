/**
 * One device of bench/tables.ts in its own process: the SDK and an attached file. Times are
 * process.hrtime, which processes of one machine share.
 */
import { join } from "node:path";
import { openVault, type Vault, type VaultDatabase } from "@tidelock/node";
import Database from "better-sqlite3";
import { type Answer, type Command, used } from "./figures.ts";
import { COLUMNS, type Row, SCHEMA } from "./rows.ts";

const [home = "", remote = "", words = ""] = process.argv.slice(2);
const file = join(home, "..", "app.db");
const now = (): number => Number(process.hrtime.bigint()) / 1e6;

let vault: Vault;
let db: VaultDatabase;

/** Until the file shows it, as an app that is told of changes would see it. */
function seen(is: () => Promise<boolean>, again?: Promise<void>): Promise<number> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      is().then((yes) => {
        if (!yes) return;
        stop();
        resolve(now());
      }, reject);
    };
    const stop = db.onChange(look);
    look();
    again?.then(look, reject);
  });
}

async function open(registration?: string): Promise<void> {
  vault = await openVault({
    home,
    remote,
    insecureKeyFile: true,
    device: { name: "bench" },
    ...(words === "" ? {} : { words }),
    ...(registration === undefined ? {} : { registration }),
    onPrompt: async (prompt) => void (prompt.kind === "phrase" && process.send?.({ words: prompt.words })),
  });
  db = await vault.database(file);
}

const commands: { readonly [name in Command["name"]]: (input: never) => Promise<Answer> } = {
  async found({ registration }: { registration?: string }) {
    const app = new Database(file);
    app.pragma("journal_mode=WAL");
    app.exec(SCHEMA);
    app.close();
    await open(registration);
    await vault.syncNow({ wait: true });
    return {};
  },
  async insert({ rows }: { rows: readonly Row[] }) {
    const start = now();
    const { confirmed } = await db.transaction((tx) => {
      for (const row of rows)
        tx.run(
          "INSERT INTO t VALUES(?,?,?,?,?,?)",
          COLUMNS.map((c) => row[c]),
        );
    });
    const stored = now();
    await confirmed;
    return { start, stored, at: now() };
  },
  async join({ rows }: { rows: number }) {
    const start = now();
    await open();
    const count = async (): Promise<boolean> => {
      const [row] = await db.query<{ n: number }>("SELECT count(*) AS n FROM t").catch(() => []);
      return row?.n === rows;
    };
    // A look at a file that was held meanwhile finds nothing: once more when all of it is there.
    const synced = vault.syncNow({ wait: true }).then(() => undefined);
    return { start, at: await seen(count, synced) };
  },
  async update({ id, a }: { id: string; a: string }) {
    const start = now();
    await db.transaction((tx) => tx.run("UPDATE t SET a = ? WHERE id = ?", [a, id]));
    return { start };
  },
  async watch({ id, a }: { id: string; a: string }) {
    const at = await seen(async () => {
      const [row] = await db.query<{ a: string }>("SELECT a FROM t WHERE id = ?", [id]);
      return row?.a === a;
    });
    return { at };
  },
  async settle() {
    await vault.syncNow({ wait: true });
    return {};
  },
  async rows() {
    return { rows: await db.query<Row>("SELECT * FROM t ORDER BY n") };
  },
  async used() {
    return { used: used() };
  },
};

process.on("message", ({ call, name, input }: Command) => {
  commands[name](input as never).then(
    (result) => process.send?.({ call, result }),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.on("disconnect", () => process.exit(0));
process.send?.({ ready: true });
