/** Where a home that was copied or restored puts its old replica, so that its device can be admitted anew. */
import { existsSync, renameSync } from "node:fs";
import { toHex } from "@tidelock/core/bytes/bytes";
import { TidelockError } from "@tidelock/core/errors";
import type { Genesis } from "@tidelock/core/vault/genesis";
import { readConfig } from "../home/config.ts";
import type { HomePaths } from "../home/paths.ts";
import { checkPlacement, enrolAnewNoted } from "./copied.ts";
import { createKinds, openStore, placeOf, type VaultPlace } from "./place.ts";
import type { Setup } from "./setup.ts";

/**
 * A home that was copied or restored keeps its old replica beside the new one; where it lies now.
 * Undefined for a home without a vault.
 */
export async function makeRoom(
  setup: Setup,
  genesis: Genesis,
  place: VaultPlace,
): Promise<VaultPlace | undefined> {
  const { paths } = setup;
  const [known] = readConfig(paths).vaults;
  if (known === undefined) return undefined;
  if (known.id !== toHex(genesis.vault))
    throw new TidelockError("exists", {
      why: "this home has another vault",
      next: "tidelock status, or name another home with --home",
    });
  switch (standing(setup, place)) {
    case "unfinished": // cut short after the old one was put aside: go on
      return lastAside(paths, known.id);
    case "member":
      throw new TidelockError("exists", { why: "this home is in this vault already", next: "tidelock sync" });
    case "must-enrol": {
      const aside = freeAside(paths, known.id);
      renameSync(place.folder, aside.folder);
      return aside;
    }
  }
}

function standing(setup: Setup, place: VaultPlace): "unfinished" | "member" | "must-enrol" {
  if (!existsSync(place.replica)) return "unfinished";
  const store = openStore(place, createKinds(setup.suite));
  try {
    const where = checkPlacement(store, setup.paths, place);
    if (where === "unknown") return "unfinished";
    return where === "copied" || enrolAnewNoted(store) ? "must-enrol" : "member";
  } finally {
    store.close();
  }
}

function asideAt(paths: HomePaths, id: string, n: number): VaultPlace {
  const place = placeOf(paths, id);
  const folder = `${place.folder}.before-${n}`;
  return { ...place, folder, replica: `${folder}/replica.db` };
}

function freeAside(paths: HomePaths, id: string): VaultPlace {
  for (let n = 1; ; n++) {
    const aside = asideAt(paths, id, n);
    if (!existsSync(aside.folder)) return aside;
  }
}

function lastAside(paths: HomePaths, id: string): VaultPlace | undefined {
  let last: VaultPlace | undefined;
  for (let n = 1; existsSync(asideAt(paths, id, n).folder); n++) last = asideAt(paths, id, n);
  return last;
}
