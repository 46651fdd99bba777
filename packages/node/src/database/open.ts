/**
 * Finds out what a path is to this replica (new, known, moved, a copy, somebody else's) and makes
 * the attachment's record and triggers stand in both files. Rules ATT4, ATT5, ATT23.
 */
import { existsSync, realpathSync, type Stats, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { equalBytes, toHex } from "@tidelock/core/bytes/bytes";
import type { Engine } from "@tidelock/core/engine/api";
import { TidelockError } from "@tidelock/core/errors";
import type { TablesView } from "@tidelock/core/kinds/tables/api";
import type { TableChange, TableDeclaration } from "@tidelock/core/kinds/tables/types";
import type { Tx } from "@tidelock/core/log/tx";
import { type AttachDeps, type Core, point, positionOf, recordOf, runsOf } from "./core.ts";
import { createTables } from "./create.ts";
import { AppFile } from "./file.ts";
import { type FileTable, type Inspection, inspect, type Skipped } from "./inspect.ts";
import { recall } from "./memory.ts";
import { Numbers } from "./numbers.ts";
import { declarationFor, parentsFirst, planTable, shapeOf, type TablePlan } from "./plan.ts";
import {
  type AttachmentRecord,
  allRecords,
  putRecord,
  Registry,
  records,
  type TableEntry,
} from "./registry.ts";
import { fold, loadDriver } from "./sqlite.ts";
import { encodeToken } from "./token.ts";
import { type FileMeta, install, LAYOUT, readMeta, writeToken } from "./triggers.ts";

export interface AttachOptions {
  /** Only these tables of the file; all that can be synced if absent. */
  readonly tables?: readonly string[];
  /** Tables whose INTEGER PRIMARY KEY is an identity that other systems know, and never changes. */
  readonly keys?: Readonly<Record<string, "natural">>;
  /** False: nothing happens by itself, for tests and one-off commands. */
  readonly watch?: boolean;
}

export interface Host {
  readonly engine: Engine;
  readonly tables: TablesView;
  readonly deps: AttachDeps;
}

/** The path by which a file is known, whatever links lead to it. It need not exist yet. */
export function pathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const folder = dirname(path);
    return existsSync(folder) ? join(realpathSync(folder), basename(path)) : path;
  }
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined; // not there, or not to be looked at: opening it will say which
  }
}

export function openFileAt(host: Host, path: string): AppFile {
  const stat = statOf(path);
  // A device or a pipe would be read as an empty database.
  if (stat !== undefined && !stat.isFile())
    throw new TidelockError("not-sqlite", {
      why: `${path} is ${stat.isDirectory() ? "a folder" : "no file"}`,
      next: "check the path",
    });
  if (stat === undefined && statOf(dirname(path))?.isDirectory() !== true)
    throw new TidelockError("not-found", {
      why: `there is no folder ${dirname(path)} to make a database in`,
      next: "check the path, or make the folder",
    });
  return new AppFile(loadDriver(), path, host.deps);
}

/** The record this replica has of the file at `path`, if any; refuses a file that is not ours to touch. */
export function findRecord(host: Host, file: AppFile): AttachmentRecord | undefined {
  const meta = readMeta(file.db, file.path);
  const all = host.engine.read((tx) => records(tx));
  const here = all.find((r) => r.path === file.path);
  if (meta === undefined) return here;
  if (!equalBytes(meta.vault, host.engine.vault)) {
    throw new TidelockError("attached-elsewhere", {
      why: `${file.path} is attached to the vault ${toHex(meta.vault).slice(0, 8)}`,
      details: { vault: toHex(meta.vault) },
    });
  }
  const known = all.find((r) => equalBytes(r.id, meta.attachment));
  if (known === undefined) {
    const former = host.engine.read((tx) => allRecords(tx).find((r) => equalBytes(r.id, meta.attachment)));
    if (former?.phase === "detached") return undefined;
    throw elsewhere(file.path, former?.phase === "former");
  }
  if (known.path === file.path) return known;
  if (here !== undefined || stillHeld(host, known)) {
    throw new TidelockError("attached-elsewhere", {
      why: `${file.path} is a copy of ${known.path}, which is attached`,
    });
  }
  const moved = { ...known, path: file.path };
  host.engine.write((tx) => putRecord(tx, moved));
  return moved;
}

/** Two replicas must not write one file: only a person knows whether the other one still does. */
function elsewhere(path: string, former: boolean): TidelockError {
  const who = former
    ? "the device that this home was before it joined anew"
    : "another device or replica of this vault";
  return new TidelockError("attached-elsewhere", {
    why: `${path} is attached by ${who}`,
    next: `if no other home uses this file any more: tidelock db detach ${path} --force, then attach it`,
  });
}

/** Whether the file of a record is still at its path: then whatever else carries its id is a copy. */
function stillHeld(host: Host, record: AttachmentRecord): boolean {
  if (!existsSync(record.path)) return false;
  const file = openFileAt(host, record.path);
  try {
    const meta = readMeta(file.db, file.path);
    return meta !== undefined && equalBytes(meta.attachment, record.id);
  } finally {
    file.close();
  }
}

/** Registers a new attachment: record, declarations and tracking in one transaction of the replica. */
export function register(host: Host, file: AppFile, options: AttachOptions): AttachmentRecord {
  const { engine, tables, deps } = host;
  const natural = Object.keys(options.keys ?? {});
  const declared = engine.read((tx) => tables.declarations(tx));
  const seen = inspectFor(file, options.tables, natural, declared);
  const chosen = seen.empty ? choose(declared, options.tables) : undefined;
  const refusal = seen.refused[0];
  if (refusal !== undefined && chosen === undefined) {
    throw new TidelockError(refusal.code, {
      why: `${refusal.table}: ${refusal.why}`,
      details: { table: refusal.table },
    });
  }
  const found = chosen ?? seen.tables.map((t) => t.declaration);
  if (found.length === 0) {
    throw new TidelockError("not-found", {
      why: `neither ${file.path} nor the vault has a table`,
      next: "tidelock sync, then try again",
    });
  }
  const attachment = readMeta(file.db, file.path)?.attachment;
  return engine.write((tx) => {
    const others = records(tx);
    const taken = new Map(others.flatMap((r) => r.tables.map((t) => [fold(t.name), r.path] as const)));
    const memory = recall(tx, file.identity, attachment);
    const names = found.map((d) => vaultName(declared, d.name));
    const entries = numberTables(names, memory?.tables ?? []);
    const clash = entries.find((t) => taken.has(fold(t.name)));
    if (clash !== undefined) {
      throw new TidelockError("exists", {
        why: `the table ${clash.name} is attached from ${taken.get(fold(clash.name))}`,
      });
    }
    const record: AttachmentRecord = {
      id: memory?.id ?? deps.random(16),
      slot: memory?.slot ?? Math.max(0, ...allRecords(tx).map((r) => r.slot)) + 1,
      path: file.path,
      phase: "attaching",
      tables: entries,
      natural,
      past: [],
      base: 0,
    };
    const changes: TableChange[] = [];
    for (const d of found) {
      const old = declared.find((v) => fold(v.name) === fold(d.name));
      const declaration = declarationFor(d, old);
      if (declaration !== old) changes.push({ op: "schema", declaration });
    }
    putRecord(tx, record);
    const registry = new Registry(record.slot);
    const kept = new Set(entries.map((t) => t.number));
    new Numbers(record.slot).forget(
      tx,
      (memory?.tables ?? []).map((t) => t.number).filter((n) => !kept.has(n)),
    );
    // Marks of then: it is an older copy, and nothing is known of when it was made.
    if (attachment !== undefined) registry.putSeen(tx, undefined);
    // Counters go on over a detach, because what is remembered of numbers is counted by them.
    const counter = (registry.position(tx)?.token.counter ?? -1) + 1;
    registry.putPosition(tx, { token: { branch: deps.random(8), counter }, schema: 0 });
    for (const run of runsOf({ plans: [] }, changes, 0, false)) engine.submit(tx, run);
    for (const t of entries) tables.track(tx, t.name);
    return record;
  });
}

/** Tables keep the numbers under which they are remembered. */
function numberTables(names: readonly string[], known: readonly TableEntry[]): TableEntry[] {
  const numberByName = new Map(known.map((t) => [fold(t.name), t.number]));
  let last = Math.max(0, ...numberByName.values());
  return names.map((name) => ({ name, number: numberByName.get(fold(name)) ?? ++last }));
}

/** Tables that an empty file gets: all that the vault declares, or those asked for. */
function choose(
  declared: readonly TableDeclaration[],
  wanted: readonly string[] | undefined,
): readonly TableDeclaration[] {
  if (wanted === undefined) return declared;
  return wanted.map((name) => {
    const known = declared.find((d) => fold(d.name) === fold(name));
    if (known === undefined)
      throw new TidelockError("not-found", {
        why: `neither the file nor the vault has a table ${name}`,
        next: "check its name, or tidelock sync, then try again",
        details: { table: name },
      });
    return known;
  });
}

function vaultName(declared: readonly TableDeclaration[], name: string): string {
  return declared.find((d) => fold(d.name) === fold(name))?.name ?? name;
}

/** As the vault knows the tables, and as a person said of those it does not know. */
export function inspectFor(
  file: AppFile,
  tables: readonly string[] | undefined,
  natural: readonly string[],
  declared: readonly TableDeclaration[],
): Inspection {
  const names = (minted: boolean): string[] => declared.filter((d) => d.minted === minted).map((d) => d.name);
  return inspect(file.db, { tables, natural: [...natural, ...names(false)], minted: names(true) });
}

/** Puts the tables (into an empty file) and the triggers there, under the record's token. */
export async function installIn(host: Host, file: AppFile, record: AttachmentRecord): Promise<void> {
  const registry = new Registry(record.slot);
  const { declared, position } = host.engine.read((tx) => ({
    declared: record.tables.flatMap((t) => host.tables.declaration(tx, t.name) ?? []),
    position: registry.position(tx),
  }));
  if (position === undefined)
    throw new TidelockError("internal", { why: "an attachment without a position" });
  const locked = await file.write(() => {
    const meta = readMeta(file.db, file.path);
    if (meta !== undefined && !equalBytes(meta.attachment, record.id)) {
      throw new TidelockError("attached-elsewhere", {
        why: `${file.path} was attached by another program just now`,
      });
    }
    const names = record.tables.map((t) => t.name);
    let seen = inspectFor(file, names, record.natural, declared);
    if (seen.empty) {
      createTables(file.db, declared);
      seen = inspectFor(file, names, record.natural, declared);
    }
    const fresh: FileMeta = {
      layout: LAYOUT,
      attachment: record.id,
      vault: host.engine.vault,
      token: encodeToken(position.token),
      projected: 0,
    };
    install(file.db, numbered(record, seen.tables), fresh);
    if (meta !== undefined) {
      writeToken(file.db, fresh.token, 0);
      file.db.exec("DELETE FROM _tl_flag; INSERT INTO _tl_flag VALUES(1)");
    }
  });
  if (locked.kind === "busy")
    throw new TidelockError("database-busy", { why: `${file.path} stays locked by another program` });
  host.engine.write((tx) =>
    registry.putPosition(tx, { ...positionAt(registry, tx), schema: file.pragma("schema_version") }),
  );
}

function positionAt(
  registry: Registry,
  tx: Tx,
): { readonly token: { readonly branch: Uint8Array; readonly counter: number }; readonly schema: number } {
  const position = registry.position(tx);
  if (position === undefined)
    throw new TidelockError("internal", { why: "an attachment without a position" });
  return position;
}

export function numbered(
  record: Pick<AttachmentRecord, "tables">,
  tables: readonly FileTable[],
): { readonly number: number; readonly table: FileTable }[] {
  const byName = new Map(tables.map((t) => [fold(t.declaration.name), t]));
  return record.tables.flatMap(({ number, name }) => {
    const table = byName.get(fold(name));
    return table === undefined ? [] : [{ number, table }];
  });
}

/** What of a record's tables the file lacks or holds in another shape than the vault knows. */
export type Planned =
  | { readonly kind: "ok"; readonly core: Core; readonly skipped: readonly Skipped[] }
  | { readonly kind: "changed"; readonly why: string };

/** Reads the file's schema anew. `shapes`: as they were, so that a change is noticed. */
export function planCore(
  host: Host,
  file: AppFile,
  record: AttachmentRecord,
  shapes?: ReadonlyMap<string, string>,
): Planned {
  const declared = host.engine.read((tx) => host.tables.declarations(tx));
  const names = record.tables.map((t) => t.name);
  const seen = inspectFor(file, names, record.natural, declared);
  const refusal = seen.refused[0];
  if (refusal !== undefined) return { kind: "changed", why: `${refusal.table}: ${refusal.why}` };
  const byName = new Map(seen.tables.map((t) => [fold(t.declaration.name), t]));
  const numberOf = (table: string): number | undefined =>
    record.tables.find((t) => fold(t.name) === fold(table))?.number;
  const plans: TablePlan[] = [];
  for (const { number, name } of record.tables) {
    const vault = declared.find((d) => d.name === name);
    const table = byName.get(fold(name));
    if (table === undefined || vault === undefined)
      return { kind: "changed", why: `the table ${name} is not there` };
    const known = shapes?.get(name);
    if (known !== undefined && known !== shapeOf(table))
      return { kind: "changed", why: `the columns or keys of ${name} changed` };
    try {
      if (declarationFor(table.declaration, vault) !== vault)
        return { kind: "changed", why: `${name} has columns the vault does not know` };
    } catch (error) {
      if (error instanceof TidelockError) return { kind: "changed", why: error.why };
      throw error;
    }
    plans.push(planTable(number, table, vault, declared, numberOf));
  }
  const ordered = parentsFirst(plans);
  const core: Core = {
    ...host,
    registry: new Registry(record.slot),
    numbers: new Numbers(record.slot),
    file,
    plans: ordered,
    byNumber: new Map(ordered.map((p) => [p.number, p])),
    byName: new Map(ordered.map((p) => [p.vault.name, p])),
  };
  return { kind: "ok", core, skipped: seen.skipped };
}

/** By the vault's name of a table, its shape when the file was last planned. */
export function shapesOf(tx: Tx, record: AttachmentRecord): ReadonlyMap<string, string> {
  const registry = new Registry(record.slot);
  return new Map(
    record.tables.flatMap(({ number, name }) => {
      const shape = registry.shape(tx, number);
      return shape === undefined ? [] : [[name, shape] as const];
    }),
  );
}

export function rememberShapes(core: Core): void {
  const { registry, engine, plans } = core;
  const news = engine.read((tx) => plans.filter((p) => registry.shape(tx, p.number) !== shapeOf(p.file)));
  if (news.length === 0) return;
  engine.write((tx) => {
    for (const p of news) registry.putShape(tx, p.number, shapeOf(p.file));
  });
}

/** The file is another one: all that was known of its rows is forgotten, the numbers of a copy excepted. */
export function startOver(host: Host, record: AttachmentRecord, copy: boolean): AttachmentRecord {
  const registry = new Registry(record.slot);
  return host.engine.write((tx) => {
    const { token } = positionAt(registry, tx);
    const anew: AttachmentRecord = { ...record, phase: "attaching", past: [], base: 0 };
    registry.forgetRows(tx);
    if (!copy)
      new Numbers(record.slot).forget(
        tx,
        record.tables.map((t) => t.number),
      );
    putRecord(tx, anew);
    registry.putPosition(tx, {
      token: { branch: host.deps.random(8), counter: token.counter + 1 },
      schema: 0,
    });
    for (const t of record.tables) host.tables.track(tx, t.name);
    return anew;
  });
}

/** The scan is done: from here on the token tells what a file has seen. */
export function becomeLive(core: Core): void {
  core.engine.write((tx) => {
    putRecord(tx, { ...recordOf(core, tx), phase: "live", base: positionOf(core, tx).token.counter });
    core.registry.putSeen(tx, undefined);
  });
  point(core, "attach-live");
}
