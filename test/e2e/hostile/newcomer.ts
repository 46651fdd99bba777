/** What the holder of a place shows to a device that comes with the words: it does not get in, and comes again. */
import { findVault } from "@tidelock/core/engine/join";
import { encodeEnvelopePack } from "@tidelock/core/vault/epoch";
import type { MemoryVaultLog } from "@tidelock/testkit/memory-remote";
import { Kit } from "@tidelock/testkit/vault-kit";
import { expect } from "vitest";
import { type Attack, together } from "./attack.ts";
import { entryAt, flipped, put } from "./one-reader.ts";
import type { Scene } from "./scene.ts";

const codeOf = (error: unknown): string => (error as { readonly code?: string }).code ?? String(error);

/** A newcomer is shown this, is refused, places nothing; then it is shown the truth, and is in. */
async function refused(
  s: Scene,
  codes: readonly string[],
  change: (log: MemoryVaultLog) => void,
): Promise<string> {
  const { kit } = s;
  const name = s.fresh();
  const device = kit.open(name, s.a.replica.genesis);
  const before = (await s.place.found()).head();
  await s.show(change, device);
  const shown = (await s.place.found(device)).head();
  const joining = findVault(kit.suite, s.door(device), kit.person).then(() => kit.admit(device));
  const code = await kit.time.until(joining).then(() => "joined", codeOf);
  expect(codes).toContain(code);
  expect((await s.place.found(device)).head()).toBe(shown);
  expect((await s.place.found()).head()).toBe(before);
  expect(device.replica.read((tx) => device.replica.ownDevice(tx))).toBeUndefined();
  await s.place.show(undefined, device);
  return code;
}

/** The one blob that a join needs: the envelopes of the newest epoch. */
const spoil =
  (bytes: (pack: Uint8Array) => Uint8Array | undefined) =>
  (log: MemoryVaultLog): void => {
    for (const [id, pack] of log.blobs) {
      const spoiled = bytes(pack);
      if (spoiled === undefined) log.blobs.delete(id);
      else log.blobs.set(id, spoiled);
    }
  };

async function getsIn(s: Scene): Promise<void> {
  const device = s.kit.open(s.fresh(), s.a.replica.genesis);
  await s.kit.time.until(s.kit.admit(device));
  await s.kit.sync(device);
  await s.sync(s.a);
  expect(device.replica.digest()).toBe(s.a.replica.digest());
  device.engine.pause();
  await together(s);
}

export const newcomer: readonly Attack[] = [
  {
    ids: "K1",
    what: "genesis is another vault's, a changed one, or missing",
    run: async (s) => {
      const other = new Kit({ suite: s.kit.suite });
      const { genesis } = (await other.found()).replica;
      const said = [
        await refused(s, ["key-mismatch"], (log) => {
          log.genesis = genesis.bytes;
        }),
        await refused(s, ["remote-corrupt"], (log) => {
          log.genesis = flipped(s.a.replica.genesis.bytes, 10);
        }),
        await refused(s, ["not-found", "unreachable"], (log) => {
          log.genesis = undefined;
        }),
      ];
      await getsIn(s);
      return said.join(", ");
    },
  },
  {
    ids: "K1, H23",
    what: "a device's key is another one in its admission",
    run: async (s) => {
      const code = await refused(s, ["fork"], (log) => {
        const entry = entryAt(log, 2);
        put(log, 2, { ...entry, frame: flipped(entry.frame, 200) });
      });
      await getsIn(s);
      return code;
    },
  },
  {
    ids: "K3, K4, K9, K10, H18, H19, H20, H21",
    what: "the envelopes are of the place's own making, flipped, another vault's, or none",
    run: async (s) => {
      const other = new Kit({ suite: s.kit.suite });
      await other.found();
      const theirs = [...other.log.blobs.values()][0] as Uint8Array;
      const own = encodeEnvelopePack(s.kit.suite, [s.kit.suite.random(112), s.kit.suite.random(112)]).bytes;
      let code = "";
      for (const make of [
        () => own,
        () => theirs,
        (pack: Uint8Array) => flipped(pack, 50),
        () => new Uint8Array(0),
      ])
        code = await refused(s, ["blob-damaged"], spoil(make));
      await getsIn(s);
      return code;
    },
  },
  {
    ids: "H25, H26, H27, B3",
    what: "a blob is swapped, truncated, of another vault, or without an end",
    run: async (s) => {
      const said = new Set<string>();
      for (const make of [
        (pack: Uint8Array) => pack.slice(0, -1),
        (pack: Uint8Array) => pack.toReversed(),
        () => s.a.replica.genesis.bytes,
        () => new Uint8Array(20 << 20),
      ])
        said.add(await refused(s, ["blob-damaged", "remote-corrupt"], spoil(make)));
      await getsIn(s);
      return [...said].join(", ");
    },
  },
  {
    ids: "K12",
    what: "the envelopes are withheld",
    run: async (s) => {
      const code = await refused(
        s,
        ["key-missing"],
        spoil(() => undefined),
      );
      await getsIn(s);
      return code;
    },
  },
  {
    ids: "L2, L13, H02, H13",
    what: "a log that does not join: an entry left out, another retimed",
    run: async (s) => {
      const said = [
        await refused(s, ["chain-broken"], (log) => log.drop(3)),
        await refused(s, ["fork"], (log) => put(log, 1, { ...entryAt(log, 1), time: 7 })),
      ];
      await getsIn(s);
      return said.join(", ");
    },
  },
];
