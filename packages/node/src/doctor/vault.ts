/** What can be said of an open vault: its file, its databases, its remote. Changes nothing of the vault. */
import { existsSync } from "node:fs";
import { getCursor, getEntry } from "@tidelock/core/engine/entries";
import { runs } from "@tidelock/core/engine/outbox";
import { records } from "../database/registry.ts";
import { loadSqlite } from "../home/driver.ts";
import { errnoOf } from "../home/files.ts";
import { openFolderRemote } from "../remote-folder/open.ts";
import { folderOf } from "../vault/remote.ts";
import type { Session } from "../vault/session.ts";
import { answered } from "../vault/stalls.ts";
import { type Finding, fail, looked, ok, warn } from "./finding.ts";

/** Log time is clamped this far above a device's own clock. */
const CLOCK_OFF = 60_000;
const OLD = 24 * 3_600_000;
const SILENT = "it does not answer at all";
const LOOK_AT = "look at the disk or the file server it lies on";

export async function vaultFindings(session: Session, running: boolean): Promise<readonly Finding[]> {
  // Whether a database is fit shows only when it is opened.
  if (!running) await session.attachments.resume();
  const found = [
    await looked("keys", () => keysOf(session)),
    await looked("replica", () => replicaOf(session)),
    await looked("log clock", () => logClockOf(session)),
    await looked("outbox", () => outboxOf(session)),
    await looked("databases", () => databasesOf(session)),
    ...(await remoteAndOrder(session)),
    await looked("daemon", () => daemonOf(session, running)),
    await looked("issues", () => issuesOf(session)),
  ];
  return found.flat();
}

function keysOf({ info, copied }: Session): Finding {
  if (copied)
    return fail("keys", "this home is a copy of another device's", "tidelock join --remote DIR --words");
  return info.keys === "plain"
    ? warn("keys", "this device's keys lie in a plain file, as was chosen", "tidelock help init")
    : ok("keys", `this device's keys open (${info.keys})`);
}

function replicaOf({ store, replica }: Session): Finding {
  const wrong = store.quickCheck();
  return wrong.length === 0
    ? ok("replica", `SQLite finds it sound; entry ${replica.cursor().applied}`)
    : fail("replica", `SQLite finds ${wrong.length} faults in it`, "tidelock verify");
}

function logClockOf({ replica, clock }: Session): Finding | undefined {
  const newest = replica.read((tx) => getEntry(tx, getCursor(tx).read));
  if (newest === undefined) return undefined;
  const ahead = newest.time - clock.now();
  if (ahead <= CLOCK_OFF) return ok("log clock", "the log is not ahead of this machine's clock");
  const seconds = Math.round(ahead / 1000);
  return warn("log clock", `the log is ${seconds} s ahead of this machine's clock`, "set the clock");
}

function outboxOf({ replica, clock }: Session): Finding {
  const waiting = replica.read((tx) => runs(tx));
  const rejected = waiting.filter((run) => run.parked !== undefined).length;
  const oldest = Math.min(...waiting.filter((run) => run.parked === undefined).map((run) => run.at));
  if (rejected > 0)
    return warn("outbox", `${rejected} edits were not taken by the vault`, "tidelock queue ls");
  if (clock.now() - oldest > OLD)
    return warn("outbox", "edits have waited for more than a day", "tidelock sync --wait");
  return ok("outbox", `${waiting.length} edits wait`);
}

function databasesOf(session: Session): Finding | undefined {
  const { attachments, replica } = session;
  const list = replica.read((tx) => records(tx));
  if (list.length === 0) return undefined;
  const paused = attachments.list().filter((one) => one.state === "paused").length;
  const states = list.map(({ path, tables }) =>
    triggersIn(
      path,
      tables.map((table) => table.number),
    ),
  );
  const count = (state: Triggers): number => states.filter((one) => one === state).length;
  const of = `of ${list.length} attached databases`;
  if (count("absent") > 0) return fail("databases", `${count("absent")} ${of} are gone`, "tidelock db ls");
  if (count("missing") > 0)
    return fail(
      "databases",
      `${count("missing")} ${of} lack triggers: edits there go unseen`,
      "tidelock db ls",
    );
  if (paused > 0) return warn("databases", `${paused} ${of} are paused`, "tidelock db ls");
  if (count("locked") > 0)
    return warn("databases", `${count("locked")} ${of} are locked by another program`, "tidelock db ls");
  return ok("databases", `${list.length} attached, each with its triggers`);
}

type Triggers = "there" | "missing" | "locked" | "absent";

function triggersIn(path: string, tables: readonly number[]): Triggers {
  if (!existsSync(path)) return "absent";
  try {
    const db = new (loadSqlite())(path, { readonly: true, fileMustExist: true, timeout: 0 });
    try {
      const names = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").pluck().all();
      const wanted = tables.flatMap((n) => ["i", "u", "k", "d"].map((what) => `_tl_${n}_${what}`));
      return wanted.every((name) => names.includes(name)) ? "there" : "missing";
    } finally {
      db.close();
    }
  } catch (error) {
    return /^SQLITE_(BUSY|LOCKED)/.test(errnoOf(error)) ? "locked" : "missing";
  }
}

/** Who is silent is not asked twice: each answer is waited for. */
async function remoteAndOrder(session: Session): Promise<readonly (readonly Finding[])[]> {
  const remote = await looked("remote", () => remoteOf(session));
  if (remote[0]?.fact === SILENT) return [remote];
  return [remote, await looked("order", () => orderOf(session))];
}

async function remoteOf({ remote, replica, copied }: Session): Promise<Finding> {
  if (remote === undefined)
    return copied
      ? warn("remote", "a copied home asks nobody", "tidelock join --remote DIR --words")
      : ok("remote", "this vault stays on this device");
  const { read } = replica.cursor();
  const page = await answered(remote.read(read, { frames: 1, bytes: 1 }));
  if (page === undefined) return fail("remote", SILENT, LOOK_AT);
  if (page.kind !== "ok") return fail("remote", `it does not answer (${page.kind})`, "tidelock status");
  const { head } = page.value;
  return head < read
    ? fail("remote", `it ends at entry ${head}, this device has seen ${read}`, "tidelock verify")
    : ok("remote", `it answers, at entry ${head}`);
}

/** Contenders race for one name, once more: what a vault stands on is proven, not remembered. */
async function orderOf({ info, copied }: Session): Promise<Finding | undefined> {
  if (copied || info.remote?.startsWith("file:") !== true) return undefined;
  const remote = await answered(openFolderRemote(folderOf(info.remote)));
  if (remote === undefined) return fail("order", SILENT, LOOK_AT);
  try {
    const proven = await answered(remote.prepare());
    if (proven === undefined) return fail("order", SILENT, LOOK_AT);
    return proven.kind === "ok"
      ? ok("order", `of contenders for one name one wins (${proven.value})`)
      : fail("order", `that the folder orders writes could not be tried (${proven.kind})`, "tidelock status");
  } finally {
    remote.close();
  }
}

function daemonOf({ attachments }: Session, running: boolean): Finding {
  if (running) return ok("daemon", "it keeps this vault in sync");
  return attachments.count() === 0
    ? ok("daemon", "none runs; nothing is attached")
    : warn("daemon", "none runs: databases are in step only when you sync", "tidelock daemon run");
}

function issuesOf(session: Session): Finding {
  const codes = session
    .issues()
    .filter((issue) => !issue.dismissed)
    .map((issue) => issue.code);
  return codes.length === 0
    ? ok("issues", "none")
    : warn("issues", `${codes.length} open: ${codes.join(", ")}`, "tidelock issues ls");
}
