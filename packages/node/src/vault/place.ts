/** What a home keeps of a vault: its folder, the replica in it, and the kinds that read it. */
import { join } from "node:path";
import { fromHex } from "@tidelock/core/bytes/bytes";
import type { Suite } from "@tidelock/core/crypto/suite";
import { replicaSpaces } from "@tidelock/core/engine/replica";
import { SPOOL } from "@tidelock/core/engine/spool";
import { createFilesKind, type FilesKind } from "@tidelock/core/kinds/files/files";
import { createTablesKind, type TablesKind } from "@tidelock/core/kinds/tables/tables";
import type { Kind } from "@tidelock/core/log/kind";
import { PIN_SPACE } from "../content/pin-space.ts";
import { attachmentSpaces } from "../database/registry.ts";
import { folderSpaces } from "../folder/rows.ts";
import { privateFolder } from "../home/files.ts";
import type { KeyPlace } from "../home/keys.ts";
import type { HomePaths } from "../home/paths.ts";
import { DRAFT_SPACE } from "../item-fs/drafts.ts";
import { type FileValues, withFileValues } from "../store/file-values.ts";
import { openSqlStore } from "../store/sql-store.ts";

/** What only this home knows: where it was made, what a person must still do. */
export const HOME_SPACE = "h.home";

export interface VaultPlace {
  readonly folder: string;
  readonly replica: string;
  readonly keys: KeyPlace;
}

/** `id`: the vault's, in hexadecimal. */
export function placeOf(paths: HomePaths, id: string): VaultPlace {
  const folder = join(paths.data, "vaults", id.slice(0, 16));
  return {
    folder,
    replica: join(folder, "replica.db"),
    keys: { folder, entry: `${paths.id}/${id.slice(0, 16)}` },
  };
}

export interface Kinds {
  readonly tables: TablesKind;
  readonly files: FilesKind;
  readonly all: readonly Kind[];
}

export function createKinds(suite: Suite): Kinds {
  const tables = createTablesKind(suite);
  const files = createFilesKind(suite);
  return { tables, files, all: [tables as Kind, files as Kind] };
}

export function openStore(place: VaultPlace, kinds: Kinds): FileValues {
  privateFolder(place.folder);
  const store = openSqlStore(place.replica, { spaces: spacesOf(kinds) });
  return withFileValues(store, SPOOL, join(place.folder, "spool"));
}

export function spacesOf(kinds: Kinds): readonly string[] {
  const own = [...attachmentSpaces, ...folderSpaces].map((space) => space.name);
  return [...replicaSpaces(kinds.all), ...own, HOME_SPACE, DRAFT_SPACE, PIN_SPACE];
}

/** The id a person may have typed for a vault: all of it or its beginning. */
export function matchesVault(id: string, typed: string): boolean {
  return typed.length >= 4 && fromHex(id) !== undefined && id.startsWith(typed.toLowerCase());
}
