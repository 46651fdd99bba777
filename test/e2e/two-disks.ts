/** Two homes of one vault with a folder of a real disk each; whoever dies or fails in between is somebody else. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { treeOf } from "@tidelock/node/folder/testing/homes";
import { homePaths } from "../../packages/node/src/home/paths.ts";
import { openVault } from "../../packages/node/src/index.ts";
import { openSession, type Session } from "../../packages/node/src/vault/session.ts";
import { ByteLedger } from "./byte-ledger.ts";

export type Who = "a" | "b";
const KEYS = { insecureKeyFile: true };
/** For everything to arrive once nobody saves, ms. */
export const QUIET = 90_000;

export interface TwoDisks {
  readonly ledger: ByteLedger;
  /** Its home. */
  readonly home: (who: Who) => string;
  /** Its folder. */
  readonly disk: (who: Who) => string;
  /** A home that is not there any more joins again, as a new device. */
  readonly enrol: (who: Who) => Promise<void>;
  readonly open: (who: Who, watch: boolean) => Promise<Session>;
  /** Opened, both ways, closed. */
  readonly sync: (who: Who) => Promise<void>;
  /** Both of them, until each has what the other had. */
  readonly meet: () => Promise<void>;
  /** What differs between both folders, and what of anybody is nowhere. Both homes must be at rest. */
  readonly wrong: () => Promise<readonly string[]>;
}

/** `disks`: where the folders are; they are made where they are not there. */
export async function twoDisks(folder: string, disks: Partial<Record<Who, string>> = {}): Promise<TwoDisks> {
  const home = (who: Who): string => join(folder, who);
  const disk = (who: Who): string => disks[who] ?? join(folder, `disk ${who}`);
  const ledger = new ByteLedger();
  let words: string | undefined;
  /** The first founds the vault, whoever comes later joins it. */
  const enrol = async (who: Who): Promise<void> => {
    const vault = await openVault({
      home: home(who),
      remote: join(folder, "remote"),
      ...KEYS,
      device: { name: who },
      ...(words === undefined ? {} : { words }),
      onPrompt: async (prompt) => {
        if (prompt.kind === "phrase") words = prompt.words.join(" ");
        return undefined;
      },
    });
    await vault.close();
  };
  for (const who of ["a", "b"] as const) await enrol(who);
  const open = async (who: Who, watch: boolean): Promise<Session> => {
    const session = await openSession({ paths: await homePaths({ home: home(who) }), keys: KEYS });
    await session.folders.resume(watch);
    return session;
  };
  const sync = async (who: Who): Promise<void> => {
    const session = await open(who, false);
    try {
      await session.sync({ wait: true, timeoutMs: QUIET });
    } finally {
      await session.close();
    }
  };
  const meet = async (): Promise<void> => {
    for (const who of ["a", "b", "a", "b"] as const) await sync(who);
  };
  for (const who of ["a", "b"] as const) {
    mkdirSync(disk(who), { recursive: true });
    const session = await open(who, false);
    await session.folders.add(disk(who), false);
    await session.close();
  }
  return {
    ledger,
    home,
    disk,
    enrol,
    open,
    sync,
    meet,
    async wrong() {
      const sessions = [await open("a", false), await open("b", false)];
      try {
        const both = [disk("a"), disk("b")];
        return [...ledger.lost(both, sessions), ...differences(disk("a"), disk("b"))];
      } finally {
        for (const session of sessions) await session.close();
      }
    },
  };
}

/** What two folders show otherwise; names that differ in case alone have no room in a vault and are left out. */
export function differences(one: string, other: string): string[] {
  const [left, right] = [composed(treeOf(one)), composed(treeOf(other))];
  const twins = new Set([...twinsIn(left), ...twinsIn(right)]);
  return [...new Set([...Object.keys(left), ...Object.keys(right)])]
    .filter((path) => left[path] !== right[path] && !twins.has(path.toLowerCase()))
    .map(
      (path) =>
        `${path} is ${left[path] ?? "not there"} on one disk and ${right[path] ?? "not there"} on the other`,
    );
}

/** Each disk keeps the letters of a name as somebody wrote them there. */
function composed(tree: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(tree).map(([path, is]) => [path.normalize("NFC"), is]));
}

function twinsIn(tree: Readonly<Record<string, string>>): string[] {
  const names = Object.keys(tree).map((path) => path.toLowerCase());
  return names.filter((name, i) => names.indexOf(name) !== i);
}
