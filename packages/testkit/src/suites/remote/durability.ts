import { toHex } from "@tidelock/core/bytes/bytes";
import { endOf } from "@tidelock/core/log/page";
import type { LogObject, Remote } from "@tidelock/core/ports";
import { expect } from "vitest";
import type { ContractCase } from "../cases.ts";
import { draws, forSeeds } from "../seeds.ts";
import {
  append,
  type CreateRemote,
  GENESIS,
  okOf,
  pageAfter,
  type RemoteFixture,
  readAll,
  sealed,
  textsOf,
} from "./fixture.ts";

/** What the world outside holds against a place after power was cut: everything it was told. */
class Witness {
  readonly #read = new Map<number, string>();
  readonly #committed = new Map<string, number>();
  readonly #blobs = new Map<string, Uint8Array>();
  founded = false;
  /** Frames that were sent and have no position for certain, each with its author. */
  readonly open = new Set<string>();

  read(objects: readonly LogObject[]): void {
    for (const object of objects) this.#read.set(object.first, toHex(object.hash));
  }

  committed(text: string, seq: number): void {
    this.#committed.set(text, seq);
    this.open.delete(text);
  }

  stored(id: Uint8Array): void {
    this.#blobs.set(toHex(id), id);
  }

  /** [P1]: nothing that was answered may have changed or gone. */
  async check(remote: Remote): Promise<void> {
    if (!this.founded) return;
    expect(okOf(await remote.genesis())).toEqual(new Uint8Array(GENESIS));
    const objects = await readAll(remote);
    const hashByNumber = new Map(objects.map((object) => [object.first, toHex(object.hash)]));
    for (const [number, hash] of this.#read) {
      if (hashByNumber.get(number) !== hash) throw new Error(`what was read at ${number} is not there`);
    }
    const texts = objects.map((object) => textsOf(object)?.[0]);
    for (const [text, seq] of this.#committed) {
      if (texts[seq - 1] !== text)
        throw new Error(`${text} was committed at ${seq}, there is ${texts[seq - 1]}`);
    }
    expect(new Set(texts).size).toBe(texts.length);
    for (const id of this.#blobs.values()) {
      if (okOf(await remote.getBlob(id)) === undefined)
        throw new Error(`blob ${toHex(id)} was stored and is not there`);
    }
    this.read(objects);
  }
}

/** One device: reads to the head, sends, again and again. Ends only with the power. */
async function live(
  remote: Remote,
  name: string,
  witness: Witness,
  fixture: RemoteFixture,
  random: () => number,
): Promise<void> {
  let seq = 0;
  let sent = false;
  /** The moment after an answer is when it is most likely not to be durable. */
  const perhapsCut = (): void => {
    if (random() < 0.02) fixture.cutSoon?.();
  };
  for (let n = 0; ; ) {
    const page = await remote.read(seq, { frames: 8, bytes: 4000 });
    if (page.kind === "ok") {
      witness.read(page.value.objects);
      if (page.value.objects.length > 0) perhapsCut();
      for (const object of page.value.objects) {
        seq = endOf(object);
        for (const text of textsOf(object) ?? [])
          if (witness.open.has(text as string)) witness.committed(text as string, object.first);
      }
    }
    if (random() < 0.2) {
      const blob = sealed(`blob ${Math.floor(random() * 1000)}`);
      const id = fixture.sha256(blob);
      if ((await remote.putBlob(id, blob)).kind === "ok") {
        witness.stored(id);
        perhapsCut();
      }
    }
    if (sent && !witness.open.has(`${name}${n}`)) {
      n++;
      sent = false;
    }
    if (sent || random() < 0.7) {
      const text = `${name}${n}`;
      witness.open.add(text);
      sent = true;
      const result = await append(remote, seq, text);
      if (result.kind === "committed") {
        witness.committed(text, result.first);
        perhapsCut();
      }
    }
  }
}

/** Calls of the storage until power is cut: also amid founding, which takes some hundreds. */
const LONGEST = 2500;
const BOOTS = 5;

/** One history: three devices, and five power cuts. Throws for what it finds lost, changed or doubled. */
export async function survivePowerCuts(create: CreateRemote, seed: number): Promise<void> {
  const fixture = await create(seed);
  const random = draws(seed * 31 + 7);
  const witness = new Witness();
  try {
    for (let boot = 0; boot < BOOTS && fixture.cutPower !== undefined; boot++) {
      const cut = fixture.cutPower(20 + Math.floor(random() * LONGEST));
      const devices = [await fixture.device(), await fixture.device(), await fixture.device()];
      const lives = devices.map(async (remote, i) => {
        while ((await remote.create(GENESIS)).kind !== "ok");
        witness.founded = true;
        await live(remote, `${boot}${"abc"[i]}`, witness, fixture, random);
      });
      // A life ends with the power; before it, only by failing.
      await Promise.race([cut, ...lives]);
      await cut;
      const after = await fixture.device();
      await witness.check(after);
      await settleOpen(after, witness);
      await witness.check(await fixture.device());
    }
  } finally {
    await fixture.dispose();
  }
}

/** What was sent without a certain answer is sent again, the same bytes: it ends up there once. */
async function settleOpen(remote: Remote, witness: Witness): Promise<void> {
  if (!witness.founded) return;
  const objects = await readAll(remote);
  let seq = objects.length === 0 ? 0 : endOf(objects[objects.length - 1] as LogObject);
  const there = new Map(objects.map((object) => [textsOf(object)?.[0], object.first]));
  for (const text of witness.open) {
    const found = there.get(text);
    if (found === undefined)
      expect(await append(remote, seq, text)).toMatchObject({ kind: "committed", first: ++seq });
    witness.committed(text, found ?? seq);
  }
  expect((await pageAfter(remote, seq)).head).toBe(seq);
}

export const durabilityCases: readonly ContractCase<CreateRemote>[] = [
  {
    title:
      "[P1] [P4] [REM14] whatever power cut comes, nothing that was answered or read is lost, changed or doubled",
    timeout: 600_000,
    run: async (create) => {
      const fixture = await create(0);
      await fixture.dispose();
      if (fixture.cutPower !== undefined) await forSeeds(50, (seed) => survivePowerCuts(create, seed));
    },
  },
];
