/**
 * Rows through Evolu, end to end on this machine: a relay, a device that writes and one that joins
 * cold, each in its own process with SQLite on disk. Prints one JSON object, times in milliseconds.
 *
 *   node run.mjs [rows] [updates]
 */
import { fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { common } from "./platform.mjs";

const ROWS = Number(process.argv[2] ?? 10_000);
const UPDATES = Number(process.argv[3] ?? 60);
const here = dirname(fileURLToPath(import.meta.url));
const version = JSON.parse(readFileSync(join(here, "package.json"), "utf8")).dependencies["@evolu/common"];
const root = mkdtempSync(join(tmpdir(), "tidelock-bench-evolu-"));
const children = [];

const letters = "abcdefghijklmnopqrstuvwxyz0123456789";
const text = (n) => Array.from(randomBytes(n), (b) => letters[b % 36]).join("");
const rows = Array.from({ length: ROWS }, (_, i) => ({
  a: text(30),
  b: text(30),
  c: text(20),
  n: i * 7919,
  r: Math.sqrt(i),
}));

function start(script, name, ...args) {
  const cwd = join(root, name);
  mkdirSync(cwd);
  const child = fork(join(here, script), args, { cwd });
  children.push(child);
  child.on("exit", (code) => {
    if (code) throw new Error(`${script} of ${name} ended with ${code}`);
  });
  return { child, first: new Promise((resolve) => child.once("message", resolve)) };
}

/** Between a device and the relay, counting what passes, headers and handshake included. */
function counted(port) {
  const bytes = { total: 0 };
  const server = createServer((from) => {
    const to = connect(port, "127.0.0.1");
    for (const [a, b] of [
      [from, to],
      [to, from],
    ]) {
      a.setNoDelay(true);
      a.on("data", (chunk) => {
        bytes.total += chunk.length;
        b.write(chunk);
      });
      a.on("close", () => b.destroy());
      a.on("error", () => b.destroy());
    }
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () =>
      resolve({ bytes, server, url: `ws://127.0.0.1:${server.address().port}` }),
    );
  });
}

async function device(name, relayPort, mnemonic) {
  const proxy = await counted(relayPort);
  const { child, first } = start("device.mjs", name, proxy.url, mnemonic);
  await first;
  const waiting = new Map();
  child.on("message", ({ call, result }) => waiting.get(call)?.(result));
  const ask = (command, input = {}) =>
    new Promise((resolve) => {
      const call = waiting.size;
      waiting.set(call, resolve);
      child.send({ call, name: command, input });
    });
  return { ask, proxy };
}

const size = (directory, match) =>
  readdirSync(directory)
    .filter((f) => match.test(f))
    .reduce((sum, f) => sum + statSync(join(directory, f)).size, 0);
const at = (list, p) =>
  [...list].sort((x, y) => x - y)[Math.min(list.length - 1, Math.floor(list.length * p))];
const check = (good, what) => {
  if (!good) throw new Error(`the result is wrong: ${what}`);
};

try {
  const relay = start("relay.mjs", "relay");
  const { port } = await relay.first;
  const relayUsed = () =>
    new Promise((resolve) => {
      relay.child.once("message", resolve);
      relay.child.send({});
    });
  const cpuOf = async (one) => (await one.ask("used")).cpu + (await relayUsed()).cpu;
  const relayRows = () => {
    const db = new Database(join(root, "relay", "relay.db"), { readonly: true });
    const count = db.prepare("SELECT count(*) FROM evolu_message").pluck().get();
    db.close();
    return count;
  };
  const secret = common.createOwnerSecret({ randomBytes: common.createRandomBytes() });
  const mnemonic = common.createAppOwner(secret).mnemonic;

  const a = await device("a", port, mnemonic);
  await a.ask("open");
  const sendCpu = await cpuOf(a);
  const opened = a.proxy.bytes.total;
  const sent = await a.ask("insert", { rows, each: ROWS });
  // A snapshot that says synced too early does not count: the relay's own table is asked.
  while (relayRows() < ROWS) Object.assign(sent, await a.ask("synced"));
  const uploaded = a.proxy.bytes.total - opened;
  const sentCpu = (await cpuOf(a)) - sendCpu;

  const b = await device("b", port, mnemonic);
  const joinCpu = await cpuOf(b);
  const joined = await b.ask("open", { expect: ROWS });
  const joinedCpu = (await cpuOf(b)) - joinCpu;
  const { rows: there } = await b.ask("rows");
  check(there.length === ROWS, `${there.length} rows`);
  check(
    there.every((row, i) => Object.keys(rows[i]).every((k) => row[k] === rows[i][k])),
    "values differ",
  );
  const downloaded = b.proxy.bytes.total;

  const { id } = await a.ask("id", { i: ROWS >> 1 });
  const latencies = [];
  const wire = [];
  const wireAll = [];
  for (let i = 0; i < UPDATES; i++) {
    const value = text(30);
    const [before, beforeB] = [a.proxy.bytes.total, b.proxy.bytes.total];
    const watching = b.ask("watch", { id, a: value });
    const { start: began } = await a.ask("update", { id, a: value });
    latencies.push((await watching).at - began);
    await new Promise((resolve) => setTimeout(resolve, 50));
    wire.push(a.proxy.bytes.total - before);
    wireAll.push(a.proxy.bytes.total - before + b.proxy.bytes.total - beforeB);
  }
  check(relayRows() === ROWS + UPDATES, "the relay lacks updates");

  const result = {
    name: `Evolu ${version}`,
    rows: ROWS,
    stored: sent.stored - sent.start,
    sent: sent.at - sent.start,
    joined: joined.at - joined.start,
    update: { p50: at(latencies, 0.5), p95: at(latencies, 0.95), samples: UPDATES },
    wire: {
      up: uploaded / ROWS,
      down: downloaded / ROWS,
      update: at(wire, 0.5),
      updateAll: at(wireAll, 0.5),
    },
    disk: { server: size(join(root, "relay"), /\.db/) / ROWS, client: size(join(root, "b"), /\.db/) / ROWS },
    cpu: { sent: sentCpu, joined: joinedCpu },
    peakMiB: { client: (await b.ask("used")).peak, server: (await relayUsed()).peak },
  };
  console.log(JSON.stringify(result));
} finally {
  const living = children.filter((child) => child.connected);
  const ends = living.map((child) => new Promise((resolve) => child.once("exit", resolve)));
  for (const child of living) child.disconnect();
  await Promise.all(ends);
  rmSync(root, { recursive: true, force: true });
}
process.exit(0);
