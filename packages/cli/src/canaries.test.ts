/** What a server sees of a vault, looked through for words of the vault: by four ways they might get there. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toHex } from "@tidelock/core/bytes/bytes";
import { type Frame, frameKinds, parseFrame } from "@tidelock/core/log/frame";
import { type RunningServer, startServer } from "@tidelock/server/host/start";
import Database from "better-sqlite3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openVault, type Prompt, type Vault } from "./index.ts";

const SLOW = 300_000;
/** A word of each kind that a vault holds. */
const WORDS = [
  "VaultNameCanary",
  "LaptopCanary",
  "PhoneCanary",
  "TableCanary",
  "ColumnCanary",
  "ValueCanary",
  "Later",
];
const [VAULT = "", LAPTOP = "", PHONE = "", TABLE = "", COLUMN = "", VALUE = "", LATER = ""] = WORDS.map(
  (word, i) => `${word}${i}x7Qf`,
);
const all = [VAULT, LAPTOP, PHONE, TABLE, COLUMN, VALUE, LATER];

let folder: string;
let line: Line;
let server: RunningServer;
let open: Vault[];

/** A wire between devices and the server, and all that went over it. */
interface Line {
  readonly port: number;
  readonly up: Buffer[];
  readonly down: Buffer[];
  readonly server: Server;
}

async function openLine(to: number): Promise<Line> {
  const [up, down]: [Buffer[], Buffer[]] = [[], []];
  const listener = createServer((near) => {
    const far = connect(to, "127.0.0.1");
    const over = (kept: Buffer[], on: Socket) => (part: Buffer) => {
      kept.push(part);
      on.write(part);
    };
    near.on("data", over(up, far));
    far.on("data", over(down, near));
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const)
      one.on("close", () => other.destroy()).on("error", () => other.destroy());
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  return { port: portOf(listener), up, down, server: listener };
}

const portOf = (listener: Server): number => (listener.address() as AddressInfo).port;

async function freePort(): Promise<number> {
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const port = portOf(listener);
  await new Promise((resolve) => listener.close(resolve));
  return port;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidelock-canaries-"));
  open = [];
  const port = await freePort();
  line = await openLine(port);
  // What the server says of where it is leads over the wire: so does everything that devices say to it.
  const url = `http://127.0.0.1:${line.port}`;
  const where = { folder: join(folder, "server"), port, url };
  server = await startServer({ ...where, registration: "open", writer: "inline" });
  let words = "";
  const device = (name: string, more: object): Promise<Vault> =>
    openVault({ home: join(folder, name), remote: url, insecureKeyFile: true, device: { name }, ...more });
  const a = await device(LAPTOP, {
    name: VAULT,
    onPrompt: async (prompt: Prompt) => {
      if (prompt.kind === "phrase") words = prompt.words.join(" ");
    },
  });
  open.push(a);
  const file = join(folder, "a.db");
  const db = new Database(file);
  db.exec(`CREATE TABLE ${TABLE} (id INTEGER PRIMARY KEY, ${COLUMN} TEXT)`);
  db.prepare(`INSERT INTO ${TABLE} VALUES (1, ?), (2, ?)`).run(VALUE, `${VALUE} `.repeat(2000));
  db.close();
  const ours = await a.database(file);
  await a.syncNow({ wait: true });
  const b = await device(PHONE, { words });
  open.push(b);
  const theirs = await b.database(join(folder, "b.db"));
  for (let i = 0; i < 8; i++) {
    const writer = i % 2 === 0 ? ours : theirs;
    // One text over and over, under one key: what repeats must not show.
    await writer.transaction((tx) => tx.run(`INSERT INTO ${TABLE} (${COLUMN}) VALUES (?)`, [LATER]));
    await (i % 2 === 0 ? a : b).syncNow({ wait: true });
  }
  await a.syncNow({ wait: true });
  await b.syncNow({ wait: true });
  const shown = `SELECT * FROM ${TABLE} ORDER BY id`;
  expect(await theirs.query(shown)).toEqual(await ours.query(shown));
}, SLOW);

afterAll(async () => {
  for (const vault of open) await vault.close();
  await server.stop();
  line.server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The words that stand in it, as they are or as texts write bytes. */
function found(where: Buffer): string[] {
  return all.filter((word) => {
    const plain = Buffer.from(word);
    // Base64 of it at any offset: what does not hang on its neighbours.
    const base64 = [0, 1, 2].map((skip) =>
      plain
        .subarray((3 - skip) % 3)
        .toString("base64")
        .slice(0, -4),
    );
    const forms = [word, word.toLowerCase(), plain.toString("hex"), ...base64];
    const bytes = [...forms.map((form) => Buffer.from(form)), Buffer.from(word, "utf16le")];
    return bytes.some((form) => where.includes(form));
  });
}

test("[IFC16] M-29 a probe that finds what was planted", () => {
  expect(found(Buffer.from(`..${VALUE}..`))).toEqual([VALUE]);
  for (const before of ["", "x", "xy"])
    expect(found(Buffer.from(Buffer.from(`${before}${TABLE}yz`).toString("base64")))).toEqual([TABLE]);
  expect(found(Buffer.from(Buffer.from(COLUMN).toString("hex")))).toEqual([COLUMN]);
});

test("[IFC16] M-29 what is sent to the server, and what it answers to that, hold no word", () => {
  expect(Buffer.concat(line.up).length).toBeGreaterThan(10_000);
  expect([found(Buffer.concat(line.up)), found(Buffer.concat(line.down))]).toEqual([[], []]);
  // Nothing was packed on the way, which would hide them.
  expect(Buffer.concat(line.down).includes("content-encoding")).toBe(false);
});

test("[IFC16] M-29 no column of the server's database holds a word, no file and no name of a file", () => {
  const db = new Database(join(folder, "server", "server.db"), { readonly: true });
  const tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").pluck().all() as string[];
  let rows = 0;
  for (const table of tables)
    for (const row of db.prepare(`SELECT * FROM "${table}"`).iterate() as Iterable<Record<string, unknown>>) {
      rows++;
      for (const [column, value] of Object.entries(row))
        expect([
          table,
          column,
          found(Buffer.from(value instanceof Uint8Array ? value : String(value))),
        ]).toEqual([table, column, []]);
    }
  db.close();
  expect(rows).toBeGreaterThan(20);
  for (const one of readdirSync(join(folder, "server"), { recursive: true, withFileTypes: true })) {
    expect(found(Buffer.from(one.name))).toEqual([]);
    if (one.isFile())
      expect([one.name, found(readFileSync(join(one.parentPath, one.name)))]).toEqual([one.name, []]);
  }
});

test("[IFC16] M-29 what one device reads of another's fields holds no word, and no two bodies are alike", () => {
  // The other ones say openly who is in.
  const frames = framesThere().filter(({ kind }) => kind !== frameKinds.membership);
  const bodies = frames.map(({ body }) => toHex(body));
  expect(new Set(bodies).size).toBe(bodies.length);
  // The same text again and again: beyond their headers no 16 bytes of it come again anywhere.
  const seen = new Map<string, number>();
  for (const [i, body] of bodies.entries())
    for (let at = 0; at + 32 <= body.length; at += 2) {
      const piece = body.slice(at, at + 32);
      expect(seen.get(piece) ?? i).toBe(i);
      seen.set(piece, i);
    }
});

test("[IFC16] M-29 no nonce comes twice, whichever device drew it, and none tells what comes next", () => {
  const nonces = framesThere().map(({ nonce }) => nonce);
  expect(nonces.length).toBeGreaterThan(10);
  expect(new Set(nonces.map((nonce) => toHex(nonce))).size).toBe(nonces.length);
  // Drawn, not counted: no byte of it stays the same or goes up by one.
  for (let i = 0; i < 24; i++) expect(new Set(nonces.map((nonce) => nonce[i])).size).toBeGreaterThan(5);
});

function framesThere(): Frame[] {
  const db = new Database(join(folder, "server", "server.db"), { readonly: true });
  const frames = db.prepare("SELECT frame FROM log ORDER BY seq").pluck().all() as Uint8Array[];
  db.close();
  return frames.flatMap((bytes) => parseFrame(new Uint8Array(bytes)) ?? []);
}
