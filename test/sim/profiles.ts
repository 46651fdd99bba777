/** What the world cannot know from inside the test kit: hosts of other packages, and the references. */
import { decodeSection as decodeFiles } from "@tidelock/core/kinds/files/codec";
import { decodeSection } from "@tidelock/core/kinds/tables/codec";
import { hlcCount, hlcMs } from "@tidelock/core/kinds/tables/hlc";
import type { TableChange, TableDeclaration } from "@tidelock/core/kinds/tables/types";
import type { AppliedRun } from "@tidelock/testkit/world/app";
import { createFilesApp } from "@tidelock/testkit/world/files-app";
import type { Options } from "@tidelock/testkit/world/history";
import { createTablesApp } from "@tidelock/testkit/world/tables-app";
import { Law } from "../reference/files.ts";
import { compareState } from "../reference/files-compare.ts";
import type { Run as FilesRun } from "../reference/files-kit.ts";
import { type Change, type Decl, type Run, reduceTables, type Shown } from "../reference/tables.ts";
import { plainCell, plainKey } from "../reference/tables-kit.ts";
import { createDriveApp, driveBeside } from "./drive.ts";
import { folderSite } from "./folder.ts";
import { createRealParts } from "./real-parts.ts";
import { serverSite } from "./server.ts";

const TABLES = 2;
const FILES = 3;

export const worldOptions: Options = {
  realParts: createRealParts,
  remotes: { folder: folderSite, server: serverSite },
  besides: { drive: driveBeside },
  apps: {
    drive: createDriveApp,
    files: (suite) => {
      const app = createFilesApp(suite);
      return {
        ...app,
        compare: (tx, runs) => {
          const law = new Law(suite.sha256);
          try {
            for (const run of runs) law.apply(filesRun(run));
            compareState("", { kind: app.files }, tx, law);
            return undefined;
          } catch (error) {
            return (error as Error).message;
          }
        },
      };
    },
    tables: (suite) => {
      const app = createTablesApp(suite);
      return {
        ...app,
        compare: (tx, runs) => {
          const expected = reduceTables(runs.map(plainRun));
          const shown = app.tables.declarations(tx).map((d): [string, Shown[string]] => {
            const rows = app.tables.scanView(tx, d.name, undefined, 1e6).map(({ key, row }) => {
              const cells = d.columns.map((c, i) => [c.name, plainCell(row.cells?.[i])]);
              return [plainKey(key).join(), Object.fromEntries(cells)] as const;
            });
            return [d.name, Object.fromEntries(rows)];
          });
          return firstDifference(Object.fromEntries(shown), expected);
        },
      };
    },
  },
};

function filesRun({ seq, device, frames }: AppliedRun): FilesRun {
  const sections = frames.flatMap((one) => decodeFiles(one.get(FILES) ?? new Uint8Array(0)) ?? []);
  return {
    seq,
    device,
    label: sections[0]?.label ?? "",
    changes: sections.flatMap((section) => section.changes),
  };
}

function plainRun({ seq, time, device, frames }: AppliedRun): Run {
  let seen = 0;
  const changes: Change[] = [];
  for (const sections of frames) {
    const section = decodeSection(sections.get(TABLES) ?? new Uint8Array(0));
    if (section === null) continue;
    ({ seen } = section);
    changes.push(...section.changes.map(plainChange));
  }
  return { seq, time, device, seen, changes };
}

function plainChange(c: TableChange): Change {
  if (c.op === "schema")
    return { op: "schema", table: c.declaration.name, decl: plainDeclaration(c.declaration) };
  return {
    op: c.op,
    table: c.table,
    key: plainKey(c.key),
    ...(c.op === "move" ? { to: plainKey(c.to) } : {}),
    ...(c.op === "found" ? {} : { ms: hlcMs(c.hlc), n: hlcCount(c.hlc) }),
    ...(c.op === "delete"
      ? {}
      : { cells: Object.fromEntries(c.cells.map(([name, cell]) => [name, plainCell(cell)])) }),
  };
}

function plainDeclaration(d: TableDeclaration): Decl {
  const name = (index: number): string => d.columns[index]?.name ?? "";
  return {
    columns: d.columns.map((c) => ({ name: c.name, notNull: c.notNull })),
    key: d.key.map(name),
    collations: [...d.keyCollations],
    minted: d.minted,
    unique: d.unique.map((u) => ({ columns: u.columns.map(name), collations: [...u.collations] })),
    fks: d.foreignKeys.map((fk) => ({
      columns: fk.columns.map(name),
      parent: fk.parent,
      parentColumns: [...fk.parentColumns],
      onDelete: fk.onDelete,
    })),
  };
}

function firstDifference(shown: Shown, expected: Shown): string | undefined {
  for (const table of new Set([...Object.keys(shown), ...Object.keys(expected)])) {
    const [rows, wanted] = [shown[table] ?? {}, expected[table] ?? {}];
    for (const key of new Set([...Object.keys(rows), ...Object.keys(wanted)])) {
      const [a, b] = [JSON.stringify(rows[key]), JSON.stringify(wanted[key])];
      if (a !== b) return `${table} ${key} is ${a}, should be ${b}`;
    }
  }
  return undefined;
}
