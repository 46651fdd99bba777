import { describe, expect, test } from "vitest";
import { type Device, hex, Kit, traps } from "../../../testkit/src/vault-kit.ts";
import { EMPTY, u64Key } from "../bytes/bytes.ts";
import { createPortableSuite } from "../crypto/sodium-portable.ts";
import { LOG } from "./entries.ts";
import type { EnginePoint } from "./points.ts";
import { engineSpaces } from "./replica.ts";
import { type Resynced, resync } from "./resync.ts";
import { recomputeDigest, verifyChain } from "./verify.ts";

const suite = await createPortableSuite();

interface Scene {
  readonly kit: Kit;
  readonly a: Device;
  readonly b: Device;
}

/** Two devices that hold the same; a has one more edit, which nobody has seen. */
async function scene(point?: (name: EnginePoint) => void): Promise<Scene> {
  const kit = new Kit(point === undefined ? { suite } : { suite, point });
  const a = await kit.found("a");
  const b = await kit.join("b");
  for (const note of ["b1", "b2"]) kit.write(b, note);
  kit.write(a, "a1");
  await kit.converge(a, b);
  kit.write(a, "waits");
  return { kit, a, b };
}

const again = ({ kit, a }: Scene, remote = kit.remote()): Promise<Resynced> =>
  kit.time.until(resync(a.replica, suite, remote));

/** As a disk or a fault of a program may have left it. */
function damageState({ store, kinds }: Device): void {
  const name = kinds[0]?.spaces[0]?.name as string;
  const rows = store.scan(name, EMPTY, undefined);
  store.delete(name, rows[0]?.[0] as Uint8Array);
  store.put(name, rows[1]?.[0] as Uint8Array, Uint8Array.of(1));
  store.put(name, u64Key(999), Uint8Array.of(2));
}

function damageEntry({ store }: Device, seq: number): void {
  const bytes = (store.get(LOG, u64Key(seq)) as Uint8Array).slice();
  bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
  store.put(LOG, u64Key(seq), bytes);
}

function contents({ kit, a }: Scene): readonly string[] {
  return kit.spaces.flatMap((space) =>
    a.store.scan(space, EMPTY, undefined).map(([key, value]) => `${space} ${hex(key)} ${hex(value)}`),
  );
}

/** Sound, the same as b, and what waited has arrived. */
async function isWhole({ kit, a, b }: Scene): Promise<void> {
  expect(a.replica.read((tx) => verifyChain(tx, suite, a.replica.vault))).toBeUndefined();
  const spaces = [...engineSpaces, ...a.replica.membership.spaces, ...kit.kinds.flatMap((k) => k.spaces)];
  expect(recomputeDigest(a.store, suite, spaces)).toBe(a.replica.digest());
  await kit.converge(a, b);
  expect(kit.held(a)).toEqual(kit.held(b));
  expect(kit.verdicts(a)).toEqual(kit.verdicts(b));
  expect(kit.notes(b).filter((note) => note === "waits")).toEqual(["waits"]);
}

describe("resync", () => {
  test("[ENG19] M-24 state that is wrong is as the log says again, and what waits is kept and shown", async () => {
    const s = await scene();
    damageState(s.a);
    expect(await again(s)).toMatchObject({ kind: "done", mended: 0 });
    expect(s.kit.heldNotes(s.a)).toEqual(["waits"]);
    expect(s.kit.notes(s.a)).toEqual(s.kit.notes(s.b));
    await isWhole(s);
  });

  test("[ENG19] entries that are damaged or gone are taken from the remote", async () => {
    const s = await scene();
    damageEntry(s.a, 3);
    s.a.store.delete(LOG, u64Key(5));
    damageState(s.a);
    expect(await again(s)).toMatchObject({ kind: "done", mended: 2 });
    await isWhole(s);
  });

  test("[ENG19] where nothing is wrong nothing changes", async () => {
    const s = await scene();
    const before = contents(s);
    expect(await again(s)).toMatchObject({ kind: "done", mended: 0 });
    expect(contents(s)).toEqual(before);
    await isWhole(s);
  });

  test("[ENG19, LOG6] another history, less of it, or no answer: nothing has changed", async () => {
    const s = await scene();
    const { kit } = s;
    const before = contents(s);
    const other = kit.copyLog();
    other.alter(4, ([entry]) => [{ ...(entry as NonNullable<typeof entry>), time: 7 }]);
    const shorter = kit.copyLog();
    shorter.rollBack(4);
    expect(await again(s, kit.remote(other))).toEqual({ kind: "halt", code: "fork" });
    expect(await again(s, kit.remote(shorter))).toEqual({ kind: "halt", code: "rollback" });
    const silent = { ...kit.remote(), read: async () => ({ kind: "unreachable", why: "gone" }) as const };
    expect(await again(s, silent)).toMatchObject({ kind: "unreachable" });
    expect(contents(s)).toEqual(before);
  });

  test("[ENG19, ENG2] an entry that a reducer failed on is tried again", async () => {
    const s = await scene();
    const { kit, a, b } = s;
    kit.write(b, `${traps.apply}later`);
    await kit.sync(b);
    await kit.sync(a);
    expect(a.replica.quarantined()).toBe(1);
    expect(await again(s)).toMatchObject({ kind: "done" });
    // Still at fault, and set aside again; nothing else of the log is.
    expect(a.replica.quarantined()).toBe(1);
    expect(kit.notes(a)).toContain("b2");
  });

  test.each(["rebuild.before-commit", "rebuild.after-commit"] as const)(
    "[ENG19, ENG1] M-24 ended at %s it is as before, or done",
    async (at) => {
      let dies = false;
      const s = await scene((name) => {
        if (dies && name === at) throw new Error("killed");
      });
      damageState(s.a);
      const before = contents(s);
      dies = true;
      await expect(again(s)).rejects.toThrow("killed");
      dies = false;
      const { kit, b } = s;
      const a = kit.restart(s.a, kit.log);
      if (at === "rebuild.before-commit") {
        expect(contents({ ...s, a })).toEqual(before);
        expect(await again({ ...s, a })).toMatchObject({ kind: "done" });
      }
      await isWhole({ kit, a, b });
    },
  );

  test("[ENG19] without a remote what is here is replayed as it is", async () => {
    const s = await scene();
    damageState(s.a);
    expect(await s.kit.time.until(resync(s.a.replica, suite, undefined))).toMatchObject({ kind: "done" });
    await isWhole(s);
  });
});
