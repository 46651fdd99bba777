/**
 * Names, links and places that somebody chose to do harm: in the log, by a member whose program says
 * what it likes, and on the disk. They are refused, spelled another way or told of; nothing leaves the folder.
 */
import { execFileSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { fold } from "@tidelock/core/kinds/files/fold";
import { RECOVERED, ROOT } from "@tidelock/core/kinds/files/names";
import type { FileChange, ItemId } from "@tidelock/core/kinds/files/types";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createNodeFolderFs } from "../fs/node-folder-fs.ts";
import { packBytes } from "../vault/content.ts";
import { madeNow, submitFiles } from "../vault/files-run.ts";
import type { SyncedFolder } from "./folder.ts";
import { caselessFs } from "./testing/caseless.ts";
import { createHomes, folderOver, type TestHome, type TestHomes, treeOf } from "./testing/homes.ts";

let all: TestHomes;
let a: TestHome;
/** Its program says what it likes. */
let evil: TestHome;

beforeEach(async () => {
  all = await createHomes(["a", "evil"]);
  [a, evil] = all.homes as [TestHome, TestHome];
  mkdirSync(join(all.root, "outside"));
  writeFileSync(join(all.root, "outside", "secret.txt"), "secret");
  writeFileSync(join(all.root, "beside.txt"), "beside");
}, 60_000);
afterEach(() => all.remove(), 60_000);

const read = (path: string): string => readFileSync(join(a.folder, path), "utf8");
const names = (): string[] => Object.keys(treeOf(a.folder));

/** As one run of its own; the id that the change makes. */
function say(change: (said: { op: never; base: number; time: number }) => FileChange): ItemId {
  const said = madeNow(evil.session)();
  submitFiles(evil.session, [], () => [change(said as never)]);
  return said.op as Uint8Array as ItemId;
}

const meta = { mtime: 1_700_000_000_000_000, executable: true };
const create = (name: string, parent: ItemId = ROOT, text = name): ItemId => {
  const { content } = packBytes(evil.session, name, encodeUtf8(text));
  return say((said) => ({ do: "create", ...said, parent, name, content, meta }));
};
const mkdir = (name: string, parent: ItemId = ROOT): ItemId =>
  say((said) => ({ do: "mkdir", ...said, parent, name }));
const link = (name: string, target: string, parent: ItemId = ROOT): ItemId =>
  say((said) => ({ do: "symlink", ...said, parent, name, target: encodeUtf8(target) }));

/** Sent, and taken in by the other; then a harmless file gets through as well: nothing was blocked. */
async function arrive(): Promise<void> {
  create("harmless.txt");
  await evil.session.engine.syncNow();
  await a.sync();
  expect(read("harmless.txt")).toBe("harmless.txt");
}

/** Of all that lies around the folder. */
function around(): Record<string, string> {
  const ours = /^(?:a|evil|remote|folder-a|folder-evil)(?:\/|$)/;
  return Object.fromEntries(Object.entries(treeOf(all.root)).filter(([path]) => !ours.test(path)));
}

describe("from a member", { timeout: 120_000 }, () => {
  test("[FIL3, FLD11] Y-28: a name that leads elsewhere, or is none, is refused; whatever else is legal arrives as it is", async () => {
    const before = around();
    const place = readdirSync(join(a.folder, ".tidelock"));
    const refused = [
      "..",
      ".",
      "",
      "../beside.txt",
      "../outside/new.txt",
      "a/../../beside.txt",
      "/tmp/tidelock-was-here",
      `${all.root}/outside/secret.txt`,
      "sub/file",
      "cut\0off",
      "e\u0301 decomposed",
      ".tidelock",
      ".TideLock",
      ".TIDELOCK",
      ".tideloc\u212a",
    ];
    const legal = [
      "CON",
      "a:b",
      "back\\..\\slash",
      "..x",
      "...",
      " .. ",
      "-rf",
      "\u001b]0;title\u0007",
      "line\nbreak",
      "\u202etxt.exe",
      "%2e%2e%2f",
      ".tidelock ",
      "x".repeat(255),
      "\u{1f600}".repeat(63),
    ];
    for (const name of [...refused, ...legal]) create(name, ROOT, "from evil");
    for (const name of refused) mkdir(name);
    // Above what a name may have, no run can be written: who does so all the same voids it (FIL2).
    for (const name of ["x".repeat(256), "\u{1f600}".repeat(64)])
      expect(() => create(name)).toThrow(/malformed/);
    await arrive();
    expect(names().sort()).toEqual([...legal, "harmless.txt"].sort());
    expect(around()).toEqual(before);
    expect(readdirSync(join(a.folder, ".tidelock")).sort()).toEqual(place.sort());
    expect(existsSync("/tmp/tidelock-was-here")).toBe(false);
    expect(a.session.folders.list()).toMatchObject([{ state: "live", waiting: 0 }]);
  });

  test("[FIL6, FLD11, PLN10] links lead nowhere outside, and nothing is put through one", async () => {
    const before = around();
    const out = [
      link("absolute", join(all.root, "outside")),
      link("up", "../outside"),
      link("far up", "../../../../../../../../tmp"),
      link("through", "sub/../../outside"),
    ];
    const inside = link("inside", "sub");
    const sub = mkdir("sub");
    for (const [i, parent] of [...out, inside].entries()) {
      create(`under ${i}.txt`, parent, "under a link");
      mkdir(`folder ${i}`, parent);
    }
    link("up from sub", "../../outside", sub);
    link("own place", "../.tidelock/root", sub);
    await arrive();
    // A link that was harmless where it lay is moved up to where it is not.
    const deep = link("deep", "../x", sub);
    await evil.session.engine.syncNow();
    const item = evil.session.replica.read((tx) => evil.session.kinds.files.item(tx, deep));
    say((said) => ({
      do: "move",
      ...said,
      id: deep,
      place: item?.place as never,
      parent: ROOT,
      name: "deep",
    }));
    await evil.session.engine.syncNow();
    await a.sync();
    const links = names().filter((path) => lstatSync(join(a.folder, path)).isSymbolicLink());
    expect(links.map((path) => [path, readlinkSync(join(a.folder, path))])).toEqual([
      ["inside", "sub"],
      ["sub/own place", "../.tidelock/root"],
    ]);
    // What was to lie in something that is no folder lies where it can be found.
    expect(readdirSync(join(a.folder, "Recovered")).filter((name) => name.startsWith("under"))).toHaveLength(
      5,
    );
    expect(around()).toEqual(before);
    const { aside } = a.session.folders.list()[0] ?? { aside: [] };
    expect(aside.map(({ code, count }) => [code, count])).toContainEqual(["link-not-created", 6]);
  });

  test("[FIL1, FIL6] ids that are reserved, unknown, its own or everybody's make no hole in the tree", async () => {
    const nobody = new Uint8Array(16).fill(0xee) as ItemId;
    const folder = mkdir("folder");
    for (const id of [ROOT, RECOVERED, nobody, folder]) {
      say((said) => ({ do: "move", ...said, id, place: said.op, parent: folder, name: "moved" }));
      say((said) => ({ do: "move", ...said, id, place: id as never, parent: id, name: "into itself" }));
      say((said) => ({ do: "restore", ...said, id, to: { parent: id, name: ".." } }));
      if (id !== folder) say((said) => ({ do: "delete", ...said, id }));
    }
    create("orphan.txt", nobody);
    // An id that another change has: the first one's stands.
    say((said) => ({ ...said, do: "mkdir", op: folder as never, parent: ROOT, name: "again" }));
    say((said) => ({ ...said, do: "mkdir", op: ROOT as never, parent: ROOT, name: "reserved" }));
    await arrive();
    expect(names()).toEqual(["Recovered", "Recovered/orphan.txt", "folder", "harmless.txt"]);
  });

  test("[FIL4, FIL3] Y-28: twins by case, by form and by a look that is alike: no two become one file, none is lost", async () => {
    const twins = [
      "Twin.txt",
      "TWIN.TXT",
      "twin.txt",
      "\u212aelvin",
      "kelvin",
      "Stra\u00dfe",
      "STRASSE",
      "\u03c3",
      "\u03c2",
    ];
    for (const [i, name] of twins.entries()) create(name, ROOT, `content ${i}`);
    await arrive();
    const contents = names()
      .filter((name) => name !== "harmless.txt")
      .map(read);
    expect(contents.sort()).toEqual(
      twins
        .filter((_, i) => i !== 3)
        .map((name) => `content ${twins.indexOf(name)}`)
        .sort(),
    );
    expect(new Set(names().map(fold)).size).toBe(names().length);
  });
});

describe("on the disk", { timeout: 120_000 }, () => {
  const write = (path: string | Buffer, text: string): void => writeFileSync(path, text);

  test("[PLN8, PLN9] Y-28: twins, no text, pipes and decomposed names: what the log takes goes, the rest is left alone and told of", async () => {
    const at = (name: string): string => join(a.folder, name);
    write(at("Twin.txt"), "one");
    await a.sync();
    write(at("TWIN.txt"), "its twin");
    write(at("e\u0301.txt"), "decomposed");
    write(at("esc\u001b[31m.txt"), "escape");
    write(at("..x"), "dots");
    write(Buffer.concat([Buffer.from(`${a.folder}/`), Buffer.of(0x66, 0xff, 0xfe)]), "no text");
    execFileSync("mkfifo", [at("pipe")]);
    symlinkSync("/etc/passwd", at("passwd"));
    mkdirSync(at("folder"));
    symlinkSync("../folder", at("folder/loop"));
    await a.sync();
    await evil.sync();
    const there = treeOf(evil.folder);
    expect(Object.keys(there).sort()).toEqual(
      ["Twin.txt", "\u00e9.txt", "esc\u001b[31m.txt", "..x", "folder", "folder/loop"].sort(),
    );
    expect(readFileSync(join(evil.folder, "Twin.txt"), "utf8")).toBe("one");
    const codes = a.session.folders.list()[0]?.aside.map(({ code }) => code) ?? [];
    expect(codes).toEqual(expect.arrayContaining(["name-clash", "name-not-text", "special-file"]));
    // Nobody touched them, nor the spelling that the disk has.
    expect([read("TWIN.txt"), read("e\u0301.txt"), readdirSync(a.folder, "buffer").length]).toEqual([
      "its twin",
      "decomposed",
      10,
    ]);
    // Where the first goes, its twin takes the name.
    rmSync(at("Twin.txt"));
    for (const home of [a, evil, a]) await home.sync();
    expect(readFileSync(join(evil.folder, "TWIN.txt"), "utf8")).toBe("its twin");
  });

  test("[FLD11] an ancestor that becomes a link while the vault changes what lies below it", async () => {
    mkdirSync(join(a.folder, "d", "e"), { recursive: true });
    write(join(a.folder, "d", "e", "x.txt"), "first");
    await a.sync();
    await evil.sync();
    write(join(evil.folder, "d", "e", "x.txt"), "second");
    write(join(evil.folder, "d", "e", "new.txt"), "new");
    rmSync(join(evil.folder, "d", "e", "x.txt"));
    await evil.sync();
    const before = around();
    renameSync(join(a.folder, "d"), join(all.root, "outside", "d"));
    symlinkSync("../outside/d", join(a.folder, "d"));
    const moved = around();
    await a.sync();
    expect(around()).toEqual(moved);
    expect(Object.keys(moved).length).toBeGreaterThan(Object.keys(before).length);
  });
});

describe("on a disk that takes several spellings for one name", { timeout: 120_000 }, () => {
  /** More than the log's folding: `\u00df` is `ss`, and what is not seen does not count. */
  const key = (name: string): string =>
    name
      .normalize("NFC")
      .replace(/\p{Default_Ignorable_Code_Point}/gu, "")
      .toUpperCase()
      .toLowerCase();
  let folder: SyncedFolder;
  const receive = async (): Promise<void> => {
    await evil.session.engine.syncNow();
    await a.session.engine.syncNow();
    await folder.pump();
  };
  const rename = (id: ItemId, name: string): void => {
    const item = evil.session.replica.read((tx) => evil.session.kinds.files.item(tx, id));
    say((said) => ({ do: "move", ...said, id, place: item?.place as never, parent: ROOT, name }));
  };
  beforeEach(() => {
    folder = folderOver(a, { fs: caselessFs(createNodeFolderFs(), a.folder, key) });
  });

  test("[FLD16, PLN5] Y-28: another case is a rename; two names that are one there: the first is made, the other is told of, and deleted nowhere", async () => {
    const readme = create("readme", ROOT, "readme");
    const first = mkdir("STRASSE");
    create("in it", first, "of the first");
    const second = mkdir("Stra\u00dfe");
    create("in it", second, "of the second");
    mkdir("deeper", second);
    rename(readme, "README");
    await receive();
    const head = a.session.replica.cursor().applied;
    const tree = [names(), read("STRASSE/in it")];
    expect(tree).toEqual([["README", "STRASSE", "STRASSE/in it"], "of the first"]);
    expect(folder.issues()).toMatchObject([
      { code: "name-clash", count: 1 },
      { code: "not-written", count: 2 },
    ]);
    expect(folder.due).toBe(0);
    rename(readme, "ReadMe");
    await receive();
    expect(names()[0]).toBe("ReadMe");
    // Nothing was said of what is not there.
    await a.session.engine.syncNow();
    expect(a.session.replica.cursor().applied).toBe(head + 1);
    rename(first, "elsewhere");
    await receive();
    await receive();
    expect(names()).toEqual([
      "ReadMe",
      "Stra\u00dfe",
      "Stra\u00dfe/deeper",
      "Stra\u00dfe/in it",
      "elsewhere",
      "elsewhere/in it",
    ]);
    expect([read("Stra\u00dfe/in it"), folder.issues()]).toEqual(["of the second", []]);
  });

  test("[FLD16, FLD11] nothing comes into our own place by a name that the disk takes for it", async () => {
    const place = (): object => treeOf(join(a.folder, ".tidelock"));
    await folder.pump();
    const before = place();
    const disguised = mkdir(".tide\u200clock");
    for (const name of ["root", "ignore.local", "new"]) create(name, disguised, "from evil");
    const trash = mkdir("trash", disguised);
    create("x", trash, "from evil");
    await receive();
    expect(place()).toEqual(before);
    expect(folder.issues()).toMatchObject([{ code: "name-clash", count: 1 }, { code: "not-written" }]);
    create("harmless.txt");
    await receive();
    expect(names()).toEqual(["harmless.txt"]);
  });
});
