/** Both devices do something to the same thing, and send at once. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fileWhy } from "../vault/drive-why.ts";
import { createHomes, treeOf } from "./testing/homes.ts";

const FILES = 100;

test("[FIL9, FIL12, FLD6] Y-8: of a hundred races each has one that stands, and one beside it under a name that says whose it is", async () => {
  const all = await createHomes(["Desk", "Laptop"]);
  try {
    const names = Array.from({ length: FILES }, (_, i) => `report ${i}.docx`);
    const write = (text: string): void => {
      for (const { folder, session } of all.homes)
        for (const name of names)
          writeFileSync(join(folder, name), text === "old" ? text : `${text} ${session.deviceName()}`);
    };
    const [desk, laptop] = all.homes as [(typeof all.homes)[number], (typeof all.homes)[number]];
    write("old");
    for (const home of [desk, laptop, desk]) await home.sync();
    write("by");
    await Promise.all(all.homes.map((home) => home.sync()));
    for (const home of [desk, laptop, desk, laptop]) await home.sync();
    expect(treeOf(laptop.folder)).toEqual(treeOf(desk.folder));
    const read = (name: string): string => readFileSync(join(desk.folder, name), "utf8");
    const copies = readdirSync(desk.folder).filter((name) => name.includes("conflict"));
    expect(copies.length).toBe(FILES);
    for (const name of names) {
      const winner = read(name);
      const loser = winner === "by Desk" ? "Laptop" : "Desk";
      const shape = new RegExp(
        `^${name.replace(".docx", "")} \\(${loser} conflict \\d{4}-\\d\\d-\\d\\d\\)\\.docx$`,
      );
      const beside = copies.filter((copy) => shape.test(copy));
      expect([winner, ...beside.map(read)]).toEqual([
        `by ${loser === "Desk" ? "Laptop" : "Desk"}`,
        `by ${loser}`,
      ]);
    }
    const open = ({ session }: (typeof all.homes)[number]): number =>
      session.replica.read((tx) => session.kinds.files.conflicts(tx, { open: true })).length;
    expect(all.homes.map(open)).toEqual([FILES, FILES]);
  } finally {
    await all.remove();
  }
}, 120_000);

test("[FIL10, FIL12, IFC62] M-13: one moves X into Y, the other Y into X: the first is done, the second is told of, on both alike", async () => {
  const all = await createHomes(["Desk", "Laptop"]);
  try {
    const [desk, laptop] = all.homes as [(typeof all.homes)[number], (typeof all.homes)[number]];
    for (const name of ["x", "y"]) {
      mkdirSync(join(desk.folder, name));
      writeFileSync(join(desk.folder, name, "in.txt"), name);
    }
    for (const home of [desk, laptop, desk]) await home.sync();
    renameSync(join(desk.folder, "x"), join(desk.folder, "y", "x"));
    renameSync(join(laptop.folder, "y"), join(laptop.folder, "x", "y"));
    // Both have planned before they hear of each other.
    await Promise.all(all.homes.map(({ session }) => session.folders.settle(true)));
    for (const home of [desk, laptop, desk, laptop]) await home.sync();
    const [outer, inner, first, second] = existsSync(join(desk.folder, "y"))
      ? (["y", "x", "Desk", "Laptop"] as const)
      : (["x", "y", "Laptop", "Desk"] as const);
    for (const { folder, session } of all.homes) {
      expect(Object.keys(treeOf(folder))).toEqual(
        [outer, `${outer}/in.txt`, `${outer}/${inner}`, `${outer}/${inner}/in.txt`].sort(),
      );
      expect(fileWhy(session, outer).told).toMatchObject([{ why: "cycle", deviceName: second }]);
      const { parts, told } = fileWhy(session, `${outer}/${inner}`);
      expect([parts, told]).toMatchObject([[{ part: "place", deviceName: first }], []]);
    }
    expect(fileWhy(desk.session, outer)).toEqual(fileWhy(laptop.session, outer));
  } finally {
    await all.remove();
  }
}, 120_000);
