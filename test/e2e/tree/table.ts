/** What two people do to one small folder while neither sees the other, and what is there afterwards. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const doings = ["create", "write", "move", "delete", "deleteParent", "moveParent"] as const;
export type Doing = (typeof doings)[number];
export type Who = "a" | "b";

/** `p/x` and `p/y` in a folder of its own. */
export function prepare(cell: string): void {
  mkdirSync(join(cell, "p"), { recursive: true });
  writeFileSync(join(cell, "p", "x.txt"), "old");
  writeFileSync(join(cell, "p", "y.txt"), "keep");
}

export function act(cell: string, doing: Doing, who: Who): void {
  const at = (path: string): string => join(cell, path);
  const work: Readonly<Record<Doing, () => void>> = {
    create: () => writeFileSync(at("p/n.txt"), `new ${who}`),
    write: () => writeFileSync(at("p/x.txt"), `written ${who}`),
    move: () => renameSync(at("p/x.txt"), at(`x-${who}.txt`)),
    delete: () => rmSync(at("p/x.txt")),
    deleteParent: () => rmSync(at("p"), { recursive: true }),
    moveParent: () => renameSync(at("p"), at(`q-${who}`)),
  };
  work[doing]();
}

/**
 * By what `a` did, which comes first in the log, and by what `b` did. `x` stands for `x.txt` as it was; `x:a` and `n:a`
 * for what `a` put into it; a quote for the conflict copy.
 */
export const table: Readonly<Record<Doing, Readonly<Record<Doing, string>>>> = {
  create: {
    create: "p/n':b p/n:a p/x p/y",
    write: "p/n:a p/x:b p/y",
    move: "p/n:a p/y x-b",
    delete: "p/n:a p/y",
    deleteParent: "p/n:a",
    moveParent: "q-b/n:a q-b/x q-b/y",
  },
  write: {
    create: "p/n:b p/x:a p/y",
    write: "p/x':b p/x:a p/y",
    move: "p/y x-b:a",
    delete: "p/x:a p/y",
    deleteParent: "p/x:a",
    moveParent: "q-b/x:a q-b/y",
  },
  move: {
    create: "p/n:b p/y x-a",
    write: "p/y x-a:b",
    move: "p/y x-a",
    delete: "p/y x-a",
    deleteParent: "x-a",
    moveParent: "q-b/y x-a",
  },
  delete: {
    create: "p/n:b p/y",
    write: "p/x:b p/y",
    move: "p/y x-b",
    delete: "p/y",
    deleteParent: "",
    moveParent: "q-b/y",
  },
  deleteParent: {
    create: "p/n:b",
    write: "p/x:b",
    move: "x-b",
    delete: "",
    deleteParent: "",
    moveParent: "q-b/x q-b/y",
  },
  moveParent: {
    create: "q-a/n:b q-a/x q-a/y",
    write: "q-a/x:b q-a/y",
    move: "q-a/y x-b",
    delete: "q-a/y",
    deleteParent: "q-a/x q-a/y",
    moveParent: "q-a/x q-a/y",
  },
};

/** A folder in the words of the table; a folder with nothing in it ends in `/`. */
export function tell(cell: string, under = ""): string {
  const said: string[] = [];
  for (const entry of readdirSync(join(cell, under), { withFileTypes: true })) {
    const path = under === "" ? entry.name : `${under}/${entry.name}`;
    if (entry.isDirectory()) said.push(tell(cell, path) || `${path}/`);
    else said.push(word(path, readFileSync(join(cell, path), "utf8")));
  }
  return said
    .flatMap((one) => one.split(" "))
    .sort()
    .join(" ");
}

function word(path: string, text: string): string {
  const name = path.replace(/ \([^()]* conflict[^()]*\)/, "'").replace(/\.txt$/, "");
  return text === "old" || text === "keep" ? name : `${name}:${text.slice(-1)}`;
}
