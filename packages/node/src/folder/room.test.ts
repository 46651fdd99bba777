import { randomFillSync } from "node:crypto";
import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Sealed } from "@tidelock/core/bytes/brand";
import { type OutRun, putRun, runs } from "@tidelock/core/engine/outbox";
import type { Remote } from "@tidelock/core/ports";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { dropEdit, retryEdit } from "../vault/queue.ts";
import { setMaxFileSize } from "../vault/settings.ts";
import { statusOf } from "../vault/status.ts";
import { createHomes, folderOver, type TestHome, type TestHomes, treeOf } from "./testing/homes.ts";

const MIB = 1 << 20;
const PACK = 8 * MIB;

let all: TestHomes;
let a: TestHome;
let b: TestHome;

beforeEach(async () => {
  all = await createHomes(["a", "b"]);
  [a, b] = all.homes as [TestHome, TestHome];
}, 60_000);
afterEach(() => all.remove(), 60_000);

const noise = (size: number): Uint8Array => randomFillSync(new Uint8Array(size));
const names = (home: TestHome): string[] => Object.keys(treeOf(home.folder));
/** A turn of the event loop at a time. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => void setImmediate(resolve));
}
const remoteAt = (away: boolean): void => {
  const [here, there] = [join(all.root, "remote"), join(all.root, "remote-away")];
  renameSync(away ? here : there, away ? there : here);
};

describe("what waits to be sent", { timeout: 40_000 }, () => {
  test("[FLD20] cutting stops where as much waits here as may, and goes on by itself once some has left", async () => {
    const spool = 2 * PACK;
    const folder = folderOver(a, { spool });
    await folder.pump();
    remoteAt(true);
    writeFileSync(join(a.folder, "large.bin"), noise(5 * PACK));
    while (folder.undone === 0) await folder.scan();
    const { replica, engine } = a.session;
    expect([folder.undone, folder.due]).toEqual([1, 1]);
    const waits = replica.spooledBytes();
    expect(waits).toBeGreaterThanOrEqual(spool);
    expect(waits).toBeLessThan(spool + 3 * PACK);
    // Nothing is cut anew while nothing has left.
    await folder.pump();
    expect(replica.spooledBytes()).toBe(waits);
    await folder.close();

    remoteAt(false);
    const working = folderOver(a, { spool }, true);
    engine.start();
    while (Object.keys(treeOf(b.folder)).length === 0) await b.sync();
    await working.close();
    expect(replica.spooledBytes()).toBe(0);
    expect(treeOf(b.folder)).toEqual(treeOf(a.folder));
  });

  test("[FLD21] Y-22: a file above the vault's size stays where it is, with its size and the limit, and all else goes on", async () => {
    await setMaxFileSize(a.session, 50_000_000);
    await b.sync();
    writeFileSync(join(b.folder, "film.bin"), new Uint8Array(51_000_000));
    writeFileSync(join(b.folder, "note.txt"), "small");
    await b.sync();
    await a.sync();
    expect(Object.keys(treeOf(a.folder))).toEqual(["note.txt"]);
    const [info] = b.session.folders.list();
    expect(info?.aside).toEqual([
      { code: "too-large", count: 1, path: "film.bin", why: "it has 51 MB, and the vault takes 50 MB" },
    ]);
    const { issues, dot } = statusOf(b.session);
    expect(issues.map(({ code }) => code)).toContain("too-large");
    expect(JSON.stringify(issues)).not.toContain("film");
    expect(dot).not.toBe("red");

    // Once the vault takes more, it goes with the next look.
    await setMaxFileSize(a.session, 60_000_000);
    await b.sync();
    await b.session.folders.scan(undefined);
    await b.sync();
    await a.sync();
    expect(treeOf(a.folder)).toEqual(treeOf(b.folder));
  });

  test("[FLD24] Y-27: a large file is sent beside all else: what is saved meanwhile arrives before it", async () => {
    const { remote, engine } = a.session;
    let [held, release] = [0, (): void => undefined];
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow = Object.create(remote ?? {}, {
      putBlob: {
        value: async (id: Uint8Array, bytes: Sealed): Promise<unknown> => {
          held++;
          await gate;
          return remote?.putBlob(id, bytes);
        },
      },
    }) as Remote;
    const { moving } = a.session;
    const folder = folderOver(a, { remote: slow, large: PACK, moving }, true);
    engine.start();
    writeFileSync(join(a.folder, "large.bin"), noise(6 * PACK));
    await until(() => held > 0);
    expect(moving.list().items).toMatchObject([
      { name: join(a.folder, "large.bin"), direction: "up", total: 6 * PACK },
    ]);
    expect([folder.undone, folder.due > 0]).toEqual([1, true]);
    for (const name of ["one.txt", "two.txt"]) {
      writeFileSync(join(a.folder, name), "small");
      while (!names(b).includes(name)) await b.sync();
    }
    // No more of it is in memory, or waits here, than is on its way.
    expect(held).toBe(3);
    expect(a.session.replica.spooledBytes()).toBe(0);
    expect(names(b)).not.toContain("large.bin");
    release();
    while (!names(b).includes("large.bin")) await b.sync();
    expect([held >= 6, folder.undone, moving.list().items]).toEqual([true, 0, []]);
    await folder.close();
    expect(treeOf(b.folder)).toEqual(treeOf(a.folder));
  });

  test("[FLD24] what had arrived of a large file when the remote went away is not sent again", async () => {
    const { remote, engine } = a.session;
    const sent: number[] = [];
    let most = 3;
    const flaky = Object.create(remote ?? {}, {
      putBlob: {
        value: async (id: Uint8Array, bytes: Sealed): Promise<unknown> => {
          if (sent.length >= most) return { kind: "unreachable", why: "gone" };
          sent.push(bytes.length);
          return remote?.putBlob(id, bytes);
        },
      },
    }) as Remote;
    const folder = folderOver(a, { remote: flaky, large: PACK }, true);
    engine.start();
    writeFileSync(join(a.folder, "large.bin"), noise(6 * PACK));
    await until(() => sent.length === 3);
    // What it did not take goes by itself, and then the rest.
    await until(() => a.session.replica.spooledBytes() > 0);
    most = 100;
    while (!names(b).includes("large.bin")) await b.sync();
    await folder.close();
    const total = sent.reduce((sum, size) => sum + size, 0);
    expect(total).toBeLessThan(7.5 * PACK);
    expect(treeOf(b.folder)).toEqual(treeOf(a.folder));
  });

  test("[FLD22] who only reads the vault keeps his changes, is told so, and goes on receiving; with another role they go", async () => {
    writeFileSync(join(a.folder, "both.txt"), "one");
    writeFileSync(join(a.folder, "other.txt"), "one");
    await a.sync();
    await b.sync();
    let role: "reader" | "writer" = "reader";
    const { replica } = b.session;
    const reading = Object.create(replica, { ownStanding: { value: () => role } }) as typeof replica;
    const folder = folderOver(b, { replica: reading });
    await folder.pump();
    writeFileSync(join(b.folder, "both.txt"), "by the reader");
    writeFileSync(join(b.folder, "new.txt"), "by the reader");
    writeFileSync(join(a.folder, "both.txt"), "by the writer");
    writeFileSync(join(a.folder, "other.txt"), "two");
    await a.sync();
    await b.session.engine.syncNow();
    while ((folder.issues().find(({ code }) => code === "rejected")?.count ?? 0) < 2) await folder.scan();
    expect(folder.paused).toBeUndefined();
    expect(folder.due).toBe(0);
    expect(readFileSync(join(b.folder, "other.txt"), "utf8")).toBe("two");
    expect(readFileSync(join(b.folder, "both.txt"), "utf8")).toBe("by the reader");

    role = "writer";
    await folder.scan();
    await folder.close();
    expect(folder.issues()).toEqual([]);
    for (const home of [b, a, b]) await home.sync();
    expect(treeOf(a.folder)).toEqual(treeOf(b.folder));
    const texts = Object.keys(treeOf(a.folder)).map((name) => readFileSync(join(a.folder, name), "utf8"));
    expect(texts.sort()).toEqual(["by the reader", "by the reader", "by the writer", "two"]);
  });

  test("[FLD12] M-9: what was refused goes again from the queue, or is given up there: then it lies in the trash", async () => {
    const { session } = a;
    const { engine, replica, folders } = session;
    const refuse = async (): Promise<number> => {
      for (await folders.settle(true); replica.waiting().pending === 0; ) await folders.settle(false);
      const [run] = engine.read((tx) => runs(tx)) as [OutRun];
      engine.write((tx) => {
        for (const kind of session.kinds.all) kind.release(tx, run.id);
        putRun(tx, { ...run, parked: "role" });
      });
      await folders.settle(true);
      expect(folders.list()).toMatchObject([{ state: "paused", code: "rejected" }]);
      return run.id;
    };
    writeFileSync(join(a.folder, "x.txt"), "one");
    await retryEdit(session, await refuse());
    await a.sync();
    await b.sync();
    expect(folders.list()).toMatchObject([{ state: "live" }]);
    expect(readFileSync(join(b.folder, "x.txt"), "utf8")).toBe("one");

    writeFileSync(join(a.folder, "x.txt"), "two");
    // Not under way yet: what was sent has its verdict first.
    engine.pause();
    await dropEdit(session, await refuse());
    engine.resume();
    await a.sync();
    expect(folders.list()).toMatchObject([{ state: "live" }]);
    expect(readFileSync(join(a.folder, "x.txt"), "utf8")).toBe("one");
    const kept = readdirSync(join(a.folder, ".tidelock"), { recursive: true, withFileTypes: true });
    const texts = kept
      .filter((one) => one.isFile())
      .map((one) => readFileSync(join(one.parentPath, one.name), "utf8"));
    expect(texts).toContain("two");
  });
});
