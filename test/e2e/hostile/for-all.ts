/** What the holder of a place puts into the log for everybody: one entry without effect, and the log goes on. */
import { concat } from "@tidelock/core/bytes/bytes";
import { Writer } from "@tidelock/core/bytes/writer";
import { personKeys } from "@tidelock/core/crypto/identity";
import { frameFlags, parseFrame, signFrame } from "@tidelock/core/log/frame";
import { encodePage } from "@tidelock/core/log/page";
import { paddedLength } from "@tidelock/core/log/plaintext";
import type { MemoryVaultLog } from "@tidelock/testkit/memory-remote";
import { expect } from "vitest";
import { type Attack, together, told, unchanged } from "./attack.ts";
import { noteSection, type Scene } from "./scene.ts";

const DAY = 86_400_000;

export async function place(s: Scene, ...frames: readonly Uint8Array[]): Promise<void> {
  await s.show((log) => {
    for (const frame of frames) put(log, frame, s.kit.time.now());
  }, undefined);
}

function put(log: MemoryVaultLog, frame: Uint8Array, time: number): void {
  const first = log.head() + 1;
  log.put(first, encodePage({ first, prev: null, entries: [{ time, frame }] }));
}

/** Signed by nobody known: it waits, until a device that has something to send has waited a minute. */
export async function waitsThenVoid(s: Scene, reason: string, placed: () => Promise<void>): Promise<string> {
  const at = s.head;
  await placed();
  for (const device of [s.a, s.b])
    expect(await unchanged(s, device, async () => told(await s.sync(device)))).toBe("waits");
  s.write(s.a, s.fresh());
  await s.sync(s.a);
  await s.run(70_000);
  await together(s);
  expect(s.kit.verdicts(s.a)[at]).toBe(reason);
  expect(s.kit.verdicts(s.b)).toEqual(s.kit.verdicts(s.a));
  return `waits, then void \`${reason}\``;
}

/** Signed by somebody who may not say it: void at once, on every device. */
export async function isVoid(
  s: Scene,
  reasons: readonly string[],
  ...frames: readonly Uint8Array[]
): Promise<string> {
  const at = s.head;
  const rows = s.rows(s.a);
  await place(s, ...frames);
  expect(told(await s.sync(s.a))).toBe("live");
  expect(s.rows(s.a)).toEqual(rows);
  await together(s);
  expect(s.kit.verdicts(s.a).slice(at, at + frames.length)).toEqual(reasons);
  expect(s.kit.verdicts(s.b)).toEqual(s.kit.verdicts(s.a));
  return `void \`${[...new Set(reasons)].filter((one) => one !== "").join("`, `")}\``;
}

const nobodys =
  (reason: string, make: (s: Scene) => Uint8Array | Promise<Uint8Array>): Attack["run"] =>
  (s) =>
    waitsThenVoid(s, reason, async () => place(s, await make(s)));

export const forAll: readonly Attack[] = [
  {
    ids: "K8, H50",
    what: "a frame of a device that nobody admitted",
    run: nobodys("unsigned-device", (s) => {
      const ghost = { ...s.a, keys: s.kit.newKeys() };
      return s.kit.frame(ghost, { device: 77, deviceSeq: 1, key: s.kit.suite.random(32), note: "ghost" });
    }),
  },
  {
    ids: "H11",
    what: "a frame in the name of a device whose key the writer does not have",
    run: nobodys("signature", (s) => {
      const thief = { ...s.a, keys: s.kit.newKeys() };
      return s.kit.frame(thief, { device: 1, deviceSeq: 99, note: "in the name of b" });
    }),
  },
  {
    ids: "K7, H33",
    what: "a frame under a suite and a format that nobody announced",
    run: nobodys("suite", (s) => s.signed(s.hostile("editor"), { note: "suite 2" }).with(1, 2) as Uint8Array),
  },
  {
    ids: "K11, H14",
    what: "a stranger admits himself",
    run: nobodys("role", (s) => {
      const stranger = personKeys(s.kit.suite, s.kit.suite.random(32));
      return s.kit.admission(s.a, s.kit.newKeys(), { person: stranger });
    }),
  },
  {
    ids: "L5, H10",
    what: "a frame of another vault",
    run: nobodys("signature", (s) => s.foreignFrame()),
  },
  {
    ids: "L4, H05, H12",
    what: "frames of everybody again, later",
    run: async (s) => {
      const again = s.kit
        .verdicts(s.a)
        .flatMap((reason, i) => (reason === "" && i >= 2 ? [s.kit.frameAt(s.a, i + 1)] : []))
        .filter((bytes) => parseFrame(bytes)?.kind === 1)
        .slice(-4);
      return isVoid(
        s,
        again.map(() => "replay"),
        ...again,
      );
    },
  },
  {
    ids: "H35, R12",
    what: "an unknown record, and an unknown section, properly signed",
    run: async (s) => {
      const { kit } = s;
      const member = s.hostile("editor");
      const body = new Writer(64).fixed(kit.link(s.a, s.head).members).v(1).u8(200).bytes(new Uint8Array(3));
      const unknown = body.bytes(new Uint8Array(16)).done();
      const like = parseFrame(s.said(member, { type: "rename" }))?.header as Uint8Array;
      const head = like.with(like.length - 1, unknown.length) as Uint8Array;
      const record = signFrame(kit.suite, s.a.replica.vault, head, unknown, member.keys.signSecret);
      const section = new Writer(64).u8(0).bytes(new Writer(9).u8(77).bytes(new Uint8Array(2)).done());
      const future = section.fixed(new Uint8Array(paddedLength(section.length) - section.length)).done();
      const unread = s.signed(s.hostile("editor"), {
        plain: future,
        deviceSeq: s.nextSeq(s.hostile("editor")) + 1,
      });
      return isVoid(s, ["malformed", "malformed"], record, unread);
    },
  },
  {
    ids: "R8",
    what: "two frames under one device seq",
    run: (s) => {
      const seq = s.nextSeq(s.hostile("editor"));
      s.allow("first=forged");
      const [one, two] = ["first", "second"].map((note) =>
        s.signed(s.hostile("editor"), { note, deviceSeq: seq }),
      );
      const at = s.head;
      return (async () => {
        await place(s, one as Uint8Array, two as Uint8Array);
        await together(s);
        expect(s.kit.verdicts(s.a).slice(at, at + 2)).toEqual(["", "op-reused"]);
        expect(s.rows(s.a)).toContain("first=forged");
        return "first counts, second void `op-reused`";
      })();
    },
  },
  {
    ids: "R9, H41",
    what: "a bomb in a member's frame, and a length of 2^31",
    run: (s) => {
      const bomb = s.kit.suite.deflate(new Uint8Array(8 << 20));
      const seq = s.nextSeq(s.hostile("editor"));
      const frames = [8 << 20, 2 ** 31, Number.MAX_SAFE_INTEGER].map((claimed, i) => {
        const w = new Writer(bomb.length + 64).u8(1).v(claimed).bytes(bomb);
        const plain = w.fixed(new Uint8Array(paddedLength(w.length) - w.length)).done();
        return s.signed(s.hostile("editor"), { plain, deviceSeq: seq + i });
      });
      return isVoid(s, ["limit", "limit", "limit"], ...frames);
    },
  },
  {
    ids: "R10",
    what: "a member's clock of the year 2100",
    run: async (s) => {
      // A server's own clock has gone on while this one stood still.
      s.kit.time.offset = Math.max(s.kit.time.offset, s.a.replica.cursor().time - s.kit.time.mono);
      // Its clock counts as log time + 60 s: it wins that much, and no more.
      for (const later of [1_000, 61_000]) {
        const id = s.fresh();
        await s.says(s.b, id);
        await together(s);
        await place(
          s,
          s.signed(s.hostile("editor"), { sections: noteSection(id, "forged", 4_102_444_800_000) }),
        );
        s.kit.time.offset += later;
        s.edit(s.a, id, "honest");
        await together(s);
        const shown = `${id}=${later < 60_000 ? "forged" : "honest"}`;
        expect(s.rows(s.a)).toContain(shown);
        s.allow(shown);
      }
      return "clamped to log time + 60 s";
    },
  },
  {
    ids: "R14",
    what: "a member's run is left open, and closed a month later",
    run: async (s) => {
      const at = s.head;
      const seq = s.nextSeq(s.hostile("editor"));
      await place(s, s.signed(s.hostile("editor"), { note: "open", flags: frameFlags.more }));
      await together(s);
      s.kit.time.offset += 31 * DAY;
      await s.says(s.a, s.fresh());
      await together(s);
      await place(
        s,
        s.signed(s.hostile("editor"), { note: "close", flags: frameFlags.continues, deviceSeq: seq + 1 }),
      );
      await together(s);
      expect([s.kit.verdicts(s.a)[at], s.kit.verdicts(s.a)[s.head - 2]]).toContain("run");
      return "falls, void `run`";
    },
  },
  {
    ids: "L15, H13",
    what: "receive times of 2106, of 1970, and of the end of their range",
    run: async (s) => {
      for (const time of [4_294_967_295_000, 0, 2 ** 48 - 1]) {
        const before = s.a.replica.cursor().time;
        const sealed = s.kit.time.now();
        const note = s.fresh();
        s.allow(`${note}=forged`);
        await s.show((log) => put(log, s.signed(s.hostile("editor"), { note }), time), undefined);
        expect(told(await s.sync(s.a))).toBe("live");
        const after = s.a.replica.cursor().time;
        expect(after).toBeGreaterThanOrEqual(before);
        expect(after).toBeLessThanOrEqual(Math.max(before, sealed + DAY + 1000));
        s.kit.time.offset += 2 * DAY;
        await together(s);
      }
      return "log time a day at most past its author's";
    },
  },
  {
    ids: "L14, H49",
    what: "garbage, another number, another previous hash: where a page should be",
    on: "folder",
    run: async (s) => {
      const { kit } = s;
      const page = (first: number, prev: Uint8Array | null): Uint8Array =>
        kit.pageBytes(first, prev, [s.signed(s.hostile("editor"), { note: "inside" })]);
      const garbage: readonly ((at: number) => Uint8Array)[] = [
        () => kit.suite.random(5000),
        (at) => page(at + 1, null),
        (at) => page(at, kit.suite.random(32)),
        (at) => page(at, kit.link(s.a, at - 1).hash).slice(0, -1),
        (at) => concat(page(at, null), new Uint8Array(1)),
      ];
      let outcome = "";
      for (const make of garbage)
        outcome = await waitsThenVoid(s, "malformed", async () => {
          await s.show((log) => log.put(s.head + 1, make(s.head + 1)), undefined);
        });
      return outcome;
    },
  },
];
