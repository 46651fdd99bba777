/** The remote over HTTP under the contract of all remotes: real server, real SQLite, real sockets. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Sealed } from "@tidelock/core/bytes/brand";
import { decodeUtf8, encodeUtf8, equalBytes, toHex } from "@tidelock/core/bytes/bytes";
import type { Remote, Result } from "@tidelock/core/ports";
import { createServerRemote } from "@tidelock/remotes/server-remote";
import type { Fetch } from "@tidelock/remotes/transport";
import { realClock, realScheduler, ServerRig } from "@tidelock/testkit/server-rig";
import { GENESIS } from "@tidelock/testkit/suites/remote/fixture";
import {
  type CreateRemote,
  describeAssigningRemote,
  type FaultPoint,
} from "@tidelock/testkit/suites/remote-contract";
import { newDevice, type TestDevice, TestVault, textOf } from "@tidelock/testkit/vault-people";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { WebSocket } from "ws";

/** One device's handle: the suite's texts go out as frames of this device, and come back as texts. */
interface Speaker {
  readonly device: TestDevice;
  readonly index: number;
  readonly frames: Map<string, Sealed>;
}

const overHttp: CreateRemote = async () => {
  const rig = await ServerRig.start();
  const { suite } = rig;
  const vault = new TestVault(suite);
  const handles: Remote[] = [];
  const speakers = new Map<Remote, Speaker>();
  let fault: FaultPoint | undefined;
  let admitted = 0;

  const faulty: Fetch = async (url, init) => {
    const broken = Object.assign(new TypeError("fetch failed"), { cause: { code: "ECONNRESET" } });
    const hit = fault !== undefined && init.method === "POST" && url.endsWith("/frames");
    const at = fault;
    if (hit) fault = undefined;
    if (hit && at === "send") throw broken;
    const response = await fetch(url, init);
    if (hit) throw broken;
    return response;
  };

  function open(of: TestVault, speaker: Speaker): Remote {
    const { keys, person, certificate } = speaker.device;
    const remote = createServerRemote({
      url: rig.url,
      vault: of.id,
      suite,
      clock: realClock,
      scheduler: realScheduler,
      fetch: faulty,
      openSocket: (url) => new WebSocket(url),
      identity: {
        person: person.keys,
        device: keys,
        signSecret: keys.signSecret,
        certificates: [certificate],
        registration: suite.random(16),
      },
    });
    handles.push(remote);
    const translated = inTexts(remote, of, speaker);
    speakers.set(translated, speaker);
    return translated;
  }

  /** As its admission in the log would: the suite counts on a log that begins empty. */
  function admit(device: TestDevice, index: number): void {
    withDatabase((db) => {
      const n = db.prepare("SELECT n FROM vaults WHERE vault = ?").pluck().get(vault.id);
      if (n === undefined) return;
      db.prepare(
        "INSERT INTO devices (vault_n, device, person, sign_key, device_index, since) VALUES (?, ?, ?, ?, ?, 0)",
      ).run(n, device.id, device.person.id, device.keys.sign, index);
    });
  }

  function withDatabase(work: (db: Database.Database) => void): void {
    const db = new Database(join(rig.folder, "server.db"), { timeout: 5_000 });
    work(db);
    db.close();
  }

  return {
    sha256: (bytes) => suite.sha256(bytes),
    device: async () => {
      const index = admitted++;
      if (index === 0) return open(vault, { device: vault.founder, index, frames: new Map() });
      const device = newDevice(suite, vault.founder.person);
      admit(device, index);
      return open(vault, { device, index, frames: new Map() });
    },
    again: async (of) => open(vault, speakers.get(of) as Speaker),
    neighbour: async () => {
      const other = new TestVault(suite);
      return open(other, { device: other.founder, index: 0, frames: new Map() });
    },
    tamper: {
      put: () => Promise.reject(new Error("nobody puts objects into a server's log")),
      drop: async (number) =>
        withDatabase((db) => {
          db.prepare("DELETE FROM log WHERE seq = ?").run(number);
          const newest = db.prepare("SELECT max(seq) FROM log").pluck().get();
          db.prepare("UPDATE vaults SET head_seq = ?").run(newest);
        }),
      damageBlob: async (id) => {
        const [v, b] = [toHex(vault.id), toHex(id)];
        writeFileSync(
          join(rig.folder, "blobs", v.slice(0, 2), v, b.slice(0, 2), b),
          "damaged, and of another length",
        );
      },
    },
    age: async (ms) =>
      withDatabase((db) => {
        db.prepare("UPDATE log SET time = time - ?").run(ms);
        db.prepare("UPDATE blobs SET stored_at = stored_at - ?").run(ms);
      }),
    failNextAppend: (at) => {
      fault = at;
    },
    reachable: (now) => (now ? rig.up() : rig.down()),
    readOnly: (now) =>
      withDatabase((db) => db.prepare("UPDATE members SET level = ?").run(now ? "viewer" : "owner")),
    dispose: async () => {
      for (const one of handles) one.close();
      await rig.dispose();
    },
  };
};

/** The suite speaks plain texts; a server takes only what some device has signed. */
function inTexts(remote: Remote, vault: TestVault, { device, index, frames }: Speaker): Remote {
  const sealedOf = (text: Uint8Array): Sealed => {
    const key = decodeUtf8(text) ?? "";
    const known = frames.get(key) ?? vault.data(device, index, frames.size + 1, key);
    frames.set(key, known);
    return known;
  };
  const genesis = encodeUtf8("another genesis");
  return {
    ...remote,
    create: (bytes) => {
      const ours = equalBytes(bytes, GENESIS) || equalBytes(bytes, genesis);
      return remote.create(ours ? vault.genesis.bytes : bytes);
    },
    genesis: async (): Promise<Result<Uint8Array | undefined>> => {
      const found = await remote.genesis();
      if (found.kind !== "ok" || found.value === undefined) return found;
      expect(found.value).toEqual(new Uint8Array(vault.genesis.bytes));
      return { kind: "ok", value: new Uint8Array(GENESIS) };
    },
    append: async (texts, seen) => {
      const oversized = texts.length > 256 || texts.some((one) => one.length === 0);
      return remote.append(oversized || seen.hash.length !== 32 ? texts : texts.map(sealedOf), seen);
    },
    read: async (after, want) => {
      const result = await remote.read(after, want);
      if (result.kind !== "ok") return result;
      const objects = result.value.objects.map((object) =>
        object.kind === "garbage"
          ? object
          : {
              ...object,
              entries: object.entries.map(({ time, frame }) => ({
                time,
                frame: encodeUtf8(textOf(frame) ?? "?"),
              })),
            },
      );
      return { kind: "ok", value: { ...result.value, objects } };
    },
  };
}

describeAssigningRemote("HTTP, SQLite", overHttp);

const marked = { "tidelock-proto": "1", "tidelock-head": "1" };
const problemType = { "content-type": "application/problem+json" };

test("[SRV72] a server that answers without end, or with what is no page, is `corrupt`, and nothing of it is taken", async () => {
  const rig = await ServerRig.start();
  const device = rig.newDevice();
  const endless = (): Response =>
    new Response(
      new ReadableStream({
        pull: (controller) => controller.enqueue(new Uint8Array(1 << 20)),
      }),
      { headers: marked },
    );
  const answers: (() => Response)[] = [
    endless,
    () => new Response(encodeUtf8("<html>"), { headers: marked }),
    () => new Response(new Uint8Array(0), { headers: { "tidelock-proto": "1" } }),
    () => new Response(new Uint8Array(0), { headers: { "tidelock-head": "0" } }),
  ];
  for (const answer of answers) {
    const spoiled: Fetch = async (url, init) => (url.includes("/frames?") ? answer() : fetch(url, init));
    const remote = createServerRemote({
      url: rig.url,
      vault: new Uint8Array(32),
      suite: rig.suite,
      clock: realClock,
      scheduler: realScheduler,
      fetch: spoiled,
      identity: {
        person: device.person.keys,
        device: device.keys,
        signSecret: device.keys.signSecret,
        certificates: [device.certificate],
        registration: new Uint8Array(16),
      },
    });
    expect((await remote.read(0, { frames: 9, bytes: 999 })).kind).toBe("corrupt");
  }
  await rig.dispose();
});

test("[SRV73] only a refusal in the server's own words is certain: whatever stands between leaves an append open", async () => {
  const rig = await ServerRig.start();
  const vault = new TestVault(rig.suite);
  await rig.found(vault);
  const { founder } = vault;
  const frame = vault.data(founder, 0, 1, "x");
  const problem = (status: number, code: string): Response =>
    new Response(JSON.stringify({ code, why: "because", retryAfterMs: 1500 }), {
      status,
      headers: { "content-type": "application/problem+json", "tidelock-proto": "1" },
    });
  const hash = "A".repeat(43);
  const cases: readonly [() => Response, unknown][] = [
    [() => new Response("bad gateway", { status: 502 }), { kind: "unknown" }],
    [() => new Response("later", { status: 503 }), { kind: "unknown" }],
    [() => new Response("{}", { status: 200 }), { kind: "unknown" }],
    [() => new Response("{}", { status: 200, headers: marked }), { kind: "unknown" }],
    [() => Response.json({ first: 1 }), { kind: "unknown" }],
    // What is no receipt is none, and the frames are placed all the same.
    ...[
      null,
      7,
      "head",
      [],
      {},
      { seq: 2, hash },
      { seq: 1 },
      { seq: 1, hash: [hash] },
      { seq: 1, hash: "AAAA" },
    ].map((head): [() => Response, unknown] => [
      () => Response.json({ first: 1, time: 5, head }, { headers: marked }),
      { kind: "committed", first: 1 },
    ]),
    ...[null, "5", {}].map((time): [() => Response, unknown] => [
      () => Response.json({ first: 1, time, head: { seq: 1, hash } }, { headers: marked }),
      { kind: "committed", first: 1 },
    ]),
    [
      () => Response.json({ first: 1, time: 5, head: { seq: 1, hash } }, { headers: marked }),
      { kind: "committed", first: 1, receipt: { time: 5, hash: new Uint8Array(32) } },
    ],
    [() => Response.json({ code: "quota" }, { status: 507, headers: problemType }), { kind: "unknown" }],
    [() => problem(500, "internal"), { kind: "unknown" }],
    [() => problem(503, "busy"), { kind: "busy", retryAfter: 1500 }],
    [() => problem(429, "too-many"), { kind: "busy", retryAfter: 1500 }],
    [() => problem(507, "quota"), { kind: "quota", why: "because" }],
    [() => problem(403, "device-removed"), { kind: "denied", why: "because", cause: "device-removed" }],
    [() => problem(403, "signed-out"), { kind: "denied", why: "because", cause: "signed-out" }],
    [() => problem(403, "account-closed"), { kind: "denied", why: "because", cause: "account-closed" }],
    [() => problem(403, "not-in-group"), { kind: "denied", why: "because", cause: "not-in-group" }],
    [() => problem(410, "vault-deleted"), { kind: "denied", why: "because", cause: "vault-deleted" }],
    [() => problem(402, "no-plan"), { kind: "denied", why: "because", cause: "payment" }],
    [() => problem(403, "no-access"), { kind: "denied", why: "because" }],
    [() => problem(403, "toString"), { kind: "denied", why: "because" }],
    [() => problem(412, "behind"), { kind: "behind" }],
    [() => problem(422, "op-reused"), { kind: "behind" }],
  ];
  for (const [answer, expected] of cases) {
    const spoiled: Fetch = async (url, init) => (url.endsWith("/frames") ? answer() : fetch(url, init));
    const remote = createServerRemote({
      url: rig.url,
      vault: vault.id,
      suite: rig.suite,
      clock: realClock,
      scheduler: realScheduler,
      fetch: spoiled,
      identity: {
        person: founder.person.keys,
        device: founder.keys,
        signSecret: founder.keys.signSecret,
        certificates: [founder.certificate],
      },
    });
    expect(await remote.append([frame], { seq: 0, hash: new Uint8Array(32) })).toEqual(expected);
  }
  await rig.dispose();
});

test("[P1] [SRV72] a portal that says yes to everything has founded, stored and handed out nothing", async () => {
  const rig = await ServerRig.start();
  const vault = new TestVault(rig.suite);
  const { person, keys, certificate } = vault.founder;
  const remote = createServerRemote({
    url: rig.url,
    vault: vault.id,
    suite: rig.suite,
    clock: realClock,
    scheduler: realScheduler,
    fetch: async (url, init) =>
      url.includes("/v1/vaults") ? new Response("<html>welcome</html>") : fetch(url, init),
    identity: {
      person: person.keys,
      device: keys,
      signSecret: keys.signSecret,
      certificates: [certificate],
    },
  });
  const bytes = encodeUtf8("a blob") as Sealed;
  const answers = [
    await remote.create(vault.genesis.bytes),
    await remote.genesis(),
    await remote.putBlob(rig.suite.sha256(bytes), bytes),
    await remote.getBlob(rig.suite.sha256(bytes)),
  ];
  expect(answers.map((one) => one.kind)).toEqual(["corrupt", "corrupt", "corrupt", "corrupt"]);
  await rig.dispose();
});

test("[SRV70] a challenge that was spent or ran out on its way is drawn anew, once", async () => {
  const rig = await ServerRig.start();
  const vault = new TestVault(rig.suite);
  await rig.found(vault);
  let proofs = 0;
  const remote = (spoiled: number): Remote => {
    const { person, keys, certificate } = vault.founder;
    proofs = 0;
    return createServerRemote({
      url: rig.url,
      vault: vault.id,
      suite: rig.suite,
      clock: realClock,
      scheduler: realScheduler,
      // What comes second is what the device hears of.
      fetch: async (url, init) => {
        if (url.endsWith("/auth/token") && ++proofs <= spoiled) await fetch(url, init);
        return fetch(url, init);
      },
      identity: {
        person: person.keys,
        device: keys,
        signSecret: keys.signSecret,
        certificates: [certificate],
      },
    });
  };
  expect(await remote(1).genesis()).toMatchObject({ kind: "ok" });
  expect(proofs).toBe(2);
  expect(await remote(9).genesis()).toMatchObject({ kind: "denied", cause: "login" });
  expect(proofs).toBe(2);
  await rig.dispose();
});
