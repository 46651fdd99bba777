/** What the operator of a server and an account's own person may do, over real HTTP. */
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import { encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { OPERATOR, type RigAnswer, ServerRig } from "@tidelock/testkit/server-rig";
import { type LogPoint, newPerson, type TestDevice, TestVault } from "@tidelock/testkit/vault-people";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eraseDeleted } from "../blobs/erase.ts";
import { routes } from "../routes.ts";
import { KEPT } from "../store.ts";

let rig: ServerRig;
beforeAll(async () => {
  rig = await ServerRig.start();
});
afterAll(() => rig.dispose());

const text = toBase64Url;
const at = (vault: TestVault, path = ""): string => `/v1/vaults/${text(vault.id)}${path}`;
const codeOf = ({ status, body }: RigAnswer): unknown => body["code"] ?? status;
const active = { version: 1, plans: ["sync_all"], state: "active" };

async function newVault(founder?: TestDevice): Promise<TestVault> {
  const vault = new TestVault(rig.suite, founder);
  expect((await rig.found(vault)).status).toBe(201);
  expect((await rig.append(vault, vault.founder, vault.first())).status).toBe(200);
  return vault;
}

async function pointOf(vault: TestVault): Promise<LogPoint> {
  const row = await rig.running.server.services.store.vault(vault.id);
  if (row === undefined) throw new Error("no such vault");
  return { seq: row.head.seq, link: row.head };
}

const entitle = (subject: Uint8Array, words: object): Promise<RigAnswer> =>
  rig.admin("PUT", `/entitlements/${text(subject)}`, words);
const read = (vault: TestVault, as: TestDevice): Promise<RigAnswer> =>
  rig.send("GET", at(vault, "/frames"), { as });
const upload = (vault: TestVault, as: TestDevice, bytes: Uint8Array): Promise<RigAnswer> =>
  rig.send("PUT", at(vault, `/blobs/${text(rig.suite.sha256(bytes))}`), { as, bytes });

const newGroup = () => {
  const id = rig.suite.random(16);
  const edge =
    (method: "PUT" | "DELETE") =>
    async (kind: "persons" | "devices" | "vaults", of: Uint8Array): Promise<void> => {
      expect((await rig.admin(method, `/groups/${text(id)}/${kind}/${text(of)}`)).status).toBe(204);
    };
  return { id, put: edge("PUT"), drop: edge("DELETE") };
};

describe("the operator", () => {
  const ofOperator = routes.filter(({ policy }) => policy === "operator");

  test("[SRV80] is who has the token: nothing else opens these addresses", async () => {
    const device = rig.newDevice();
    expect(ofOperator.length).toBeGreaterThan(10);
    const session = await rig.token(device);
    for (const token of [session, `${OPERATOR}x`, OPERATOR.slice(0, -1), OPERATOR.toUpperCase()])
      expect(codeOf(await rig.send("GET", "/v1/admin/usage", { token }))).toBe("bad-proof");
    expect((await rig.send("GET", "/v1/admin/usage", { token: OPERATOR })).status).toBe(200);
    // And it is nobody's session.
    expect(codeOf(await rig.send("GET", "/v1/vaults", { token: OPERATOR }))).toBe("bad-proof");
  });

  test("[SRV80] where there is none, the addresses are as absent as any other", async () => {
    const other = await ServerRig.start({ operatorToken: undefined } as object);
    try {
      for (const { method, path } of ofOperator) {
        const id = text(new Uint8Array(32));
        const real = path.replace("{g}", text(new Uint8Array(16))).replace(/\{\w\}/, id);
        const answers: unknown[] = [];
        for (const asked of [real, "/v1/absent"]) {
          const { status, body, headers } = await other.send(method, asked, { token: OPERATOR });
          answers.push([status, { ...body, requestId: "" }, [...headers.keys()].sort()]);
        }
        expect([path, answers[0]]).toEqual([path, answers[1]]);
        expect((await other.send("OPTIONS", real)).status).toBe(404);
      }
    } finally {
      await other.dispose();
    }
  });

  test("[SRV80] a token that could be guessed is refused at the start", async () => {
    for (const operatorToken of ["short", "with spaces, however long it may be", ""])
      await expect(ServerRig.start({ operatorToken })).rejects.toMatchObject({ code: "usage" });
  });

  test("[SRV22] the operator draws tokens that admit persons to a server that takes nobody else", async () => {
    const closed = await ServerRig.start({ registration: "token" });
    try {
      const register = async (registration?: unknown): Promise<unknown> =>
        codeOf(
          await closed.send("POST", "/v1/persons", {
            json: { ...(await closed.proof(closed.newDevice())), registration },
          }),
        );
      expect(await register()).toBe("registration-closed");
      const drawn = await closed.admin("POST", "/registration-tokens", { uses: 2 });
      expect(drawn.status).toBe(201);
      const { token } = drawn.body;
      expect([await register(token), await register(token), await register(token)]).toEqual([
        201,
        201,
        "registration-closed",
      ]);
      for (const wrong of [{ uses: 0 }, { uses: 1.5 }, { uses: 10_000 }, { lifeMs: -1 }, [], null])
        expect(codeOf(await closed.admin("POST", "/registration-tokens", wrong))).toBe("bad-request");
    } finally {
      await closed.dispose();
    }
  });
});

describe("entitlements", () => {
  test("[SRV81] the highest version counts, and the same words again are fine", async () => {
    const { person } = rig.newDevice();
    const words = { ...active, version: 5, seats: 3, quotaBytes: 1_000_000, until: null };
    expect((await entitle(person.id, words)).body).toMatchObject({ applied: true });
    expect((await entitle(person.id, words)).body).toMatchObject({ applied: true });
    const older = await entitle(person.id, { ...words, version: 4, state: "lapsed" });
    expect([older.status, older.body]).toMatchObject([
      200,
      { applied: false, entitlement: { version: 5, state: "active", seats: 3 } },
    ]);
    expect(codeOf(await entitle(person.id, { ...words, seats: 4 }))).toBe("exists");
    const wrong: readonly object[] = [
      { ...words, version: undefined },
      { ...words, version: -1 },
      { ...words, plans: "sync_all" },
      { ...words, plans: ["a plan"] },
      { ...words, plans: Array.from({ length: 33 }, () => "p") },
      { ...words, state: "paid" },
      { ...words, quotaBytes: "many" },
      [],
    ];
    for (const one of wrong) expect(codeOf(await entitle(person.id, one))).toBe("bad-request");
    expect(codeOf(await entitle(new Uint8Array(17), words))).toBe("not-found");
  });

  test("[SRV82] without a plan one reads and leaves, and adds nothing; a removal is never held up", async () => {
    const vault = await newVault();
    const { founder } = vault;
    const small = encodeUtf8("envelopes");
    await entitle(founder.person.id, { ...active, version: 1 });
    const before = await read(vault, founder);
    expect([before.status, before.headers.get("tidelock-plan")]).toEqual([200, null]);
    await entitle(founder.person.id, { ...active, version: 2, state: "lapsed" });

    const after = await read(vault, founder);
    expect([after.status, after.headers.get("tidelock-plan")]).toEqual([200, "none"]);
    expect((await rig.send("GET", at(vault, "/head"), { as: founder })).body["plan"]).toBe("none");
    const data = await rig.append(vault, founder, vault.data(founder, 0, 2, "x"));
    expect([data.status, codeOf(data)]).toEqual([402, "no-plan"]);
    expect(codeOf(await rig.found(new TestVault(rig.suite, founder)))).toBe("no-plan");
    expect((await upload(vault, founder, small)).status).toBe(201);
    expect(codeOf(await upload(vault, founder, new Uint8Array(1 << 20)))).toBe("no-plan");
    const sister = rig.newDevice(founder.person);
    expect((await rig.append(vault, sister, vault.admission(sister, 1, await pointOf(vault)))).status).toBe(
      200,
    );
    const revoke = { type: "device-revoke", device: 1, since: 2, cutoff: 1 } as const;
    const removal = vault.say(founder, 0, 2, [revoke], await pointOf(vault));
    expect((await rig.append(vault, founder, removal)).status).toBe(200);

    await entitle(founder.person.id, { ...active, version: 3 });
    expect((await rig.append(vault, founder, vault.data(founder, 0, 3, "again"))).status).toBe(200);
  });

  test("[SRV82] who has no plan syncs where a group has a seat for him, and nowhere else", async () => {
    const shared = await newVault();
    const { founder } = shared;
    const alone = await newVault(founder);
    await entitle(founder.person.id, { ...active, state: "lapsed" });
    const group = newGroup();
    await entitle(group.id, { ...active, seats: 1 });
    await group.put("vaults", shared.id);
    await group.put("persons", founder.person.id);
    expect((await rig.append(shared, founder, shared.data(founder, 0, 2, "seated"))).status).toBe(200);
    expect(codeOf(await rig.append(alone, founder, alone.data(founder, 0, 2, "not")))).toBe("no-plan");
    // Two persons and one seat: the one who was there first has it.
    const { person } = rig.newDevice();
    await group.put("persons", person.id);
    await group.drop("persons", founder.person.id);
    await group.put("persons", founder.person.id);
    expect(codeOf(await rig.append(shared, founder, shared.data(founder, 0, 3, "late")))).toBe("no-plan");
    await group.drop("persons", person.id);
    expect((await rig.append(shared, founder, shared.data(founder, 0, 3, "late"))).status).toBe(200);
  });

  test("[SRV83] a plan's room is that of all vaults of its owner; full, they are read and people leave", async () => {
    const vault = await newVault();
    const { founder } = vault;
    const second = await newVault(founder);
    const me = async (): Promise<{ readonly bytes: number }> =>
      (await rig.send("GET", "/v1/persons/me", { as: founder })).body as { bytes: number };
    const used = (await me()).bytes;
    await entitle(founder.person.id, { ...active, quotaBytes: used + (3 << 20) });
    const free = async (): Promise<unknown> =>
      (await rig.send("GET", at(second, "/head"), { as: founder })).body["free"];
    expect(await free()).toBe(3 << 20);
    // Each fits alone. Side by side there is room for one, whichever it is.
    const twice = [1, 2].map((n) => upload(vault, founder, new Uint8Array(2 << 20).fill(n)));
    const statuses = (await Promise.all(twice)).map(({ status }) => status);
    expect(statuses.sort()).toEqual([201, 507]);
    expect(await free()).toBe(1 << 20);
    expect((await upload(second, founder, new Uint8Array(1 << 20))).status).toBe(201);
    expect(await free()).toBe(0);
    const data = await rig.append(second, founder, second.data(founder, 0, 2, "x".repeat(2_000)));
    expect([data.status, codeOf(data)]).toEqual([507, "quota"]);
    expect((await read(second, founder)).status).toBe(200);
    const account = await rig.send("GET", "/v1/persons/me", { as: founder });
    expect(account.body).toMatchObject({
      person: text(founder.person.id),
      vaults: 2,
      entitlement: { version: 1 },
    });
  });
});

describe("groups", () => {
  test("[SRV84] [M-19] [M-20] a vault in groups is for those of one of them: union, no deny, no role", async () => {
    const vault = await newVault();
    const { founder } = vault;
    const [a, b] = [newGroup(), newGroup()];
    const other = await newVault();
    const state = async (): Promise<unknown> => codeOf(await read(vault, founder));
    expect(await state()).toBe(200);
    await a.put("vaults", vault.id);
    expect(await state()).toBe("not-in-group");
    expect(codeOf(await rig.append(vault, founder, vault.data(founder, 0, 2, "x")))).toBe("not-in-group");
    for (let twice = 0; twice < 2; twice++) await a.put("persons", founder.person.id);
    expect(await state()).toBe(200);
    await b.put("vaults", vault.id);
    expect(await state()).toBe(200);
    await a.drop("persons", founder.person.id);
    expect(await state()).toBe("not-in-group");
    // One device, and not its sister.
    await b.put("devices", founder.id);
    expect(await state()).toBe(200);
    const sister = rig.newDevice(founder.person);
    expect(codeOf(await read(vault, sister))).toBe("not-in-group");
    // A group lets nobody in whom the log has not: he learns nothing.
    const stranger = rig.newDevice();
    await b.put("persons", stranger.person.id);
    expect(codeOf(await read(vault, stranger))).toBe("not-found");
    // Nobody has said anything about that one.
    expect(codeOf(await read(other, other.founder))).toBe(200);
    for (const group of [a, b]) for (let twice = 0; twice < 2; twice++) await group.drop("vaults", vault.id);
    expect(codeOf(await read(vault, sister))).toBe(200);
  });

  test("[M-20] the ids of an edge have their forms", async () => {
    const person = text(newPerson(rig.suite).id);
    for (const path of [`/groups/x/persons/${person}`, `/groups/${person}/persons/${person}`])
      expect(codeOf(await rig.admin("PUT", path))).toBe("not-found");
    expect((await rig.admin("POST", `/groups/${text(new Uint8Array(16))}/persons/${person}`)).status).toBe(
      405,
    );
  });
});

describe("what goes", () => {
  const remove = (vault: TestVault, as: TestDevice) => rig.send("DELETE", at(vault), { as });
  const restore = (vault: TestVault, as: TestDevice) => rig.send("POST", at(vault, "/restore"), { as });

  test("[SRV86] an owner deletes a vault and takes it back; those in it are told, strangers nothing", async () => {
    const vault = await newVault();
    const { founder } = vault;
    const stranger = rig.newDevice();
    expect([codeOf(await remove(vault, stranger)), codeOf(await restore(vault, stranger))]).toEqual([
      "not-found",
      "not-found",
    ]);
    for (let twice = 0; twice < 2; twice++) expect((await remove(vault, founder)).status).toBe(204);
    expect([(await read(vault, founder)).status, codeOf(await read(vault, founder))]).toEqual([
      410,
      "vault-deleted",
    ]);
    expect(codeOf(await rig.append(vault, founder, vault.data(founder, 0, 2, "x")))).toBe("vault-deleted");
    expect(codeOf(await rig.found(vault))).toBe("vault-deleted");
    expect(codeOf(await read(vault, stranger))).toBe("not-found");
    expect((await rig.send("GET", "/v1/vaults", { as: founder })).body["vaults"]).toEqual([]);
    for (let twice = 0; twice < 2; twice++) expect((await restore(vault, founder)).status).toBe(204);
    expect((await read(vault, founder)).status).toBe(200);
  });

  test("[SRV86] what the operator deleted only the operator takes back", async () => {
    const vault = await newVault();
    const { founder } = vault;
    const path = `/vaults/${text(vault.id)}`;
    expect((await rig.admin("DELETE", path)).status).toBe(204);
    expect(codeOf(await restore(vault, founder))).toBe("vault-deleted");
    expect((await rig.admin("POST", `${path}/restore`)).status).toBe(204);
    expect((await read(vault, founder)).status).toBe(200);
    const absent = `/vaults/${text(rig.suite.random(32))}`;
    expect(codeOf(await rig.admin("DELETE", absent))).toBe("not-found");
    expect(codeOf(await rig.admin("POST", `${absent}/restore`))).toBe("not-found");
  });

  test("[SRV86] after its time nothing of a vault is left, and its id can be founded anew", async () => {
    const vault = await newVault();
    const { founder } = vault;
    const bytes = encodeUtf8("a blob");
    await upload(vault, founder, bytes);
    await remove(vault, founder);
    const { store, blobs } = rig.running.server.services;
    await eraseDeleted(store, blobs, Date.now() + KEPT - 60_000);
    expect(await store.vault(vault.id)).toBeDefined();
    await eraseDeleted(store, blobs, Date.now() + KEPT);
    expect(await store.vault(vault.id)).toBeUndefined();
    expect(await blobs.get(vault.id, rig.suite.sha256(bytes), 0, bytes.length)).toBeUndefined();
    expect(codeOf(await read(vault, founder))).toBe("not-found");
    expect((await rig.found(vault)).status).toBe(201);
    expect((await upload(vault, founder, bytes)).status).toBe(201);
    expect(
      (await rig.send("GET", at(vault, `/blobs/${text(rig.suite.sha256(bytes))}`), { as: founder })).bytes,
    ).toEqual(bytes);
  });

  test("[SRV87] a closed account is out with all its devices and vaults, until a token opens it again", async () => {
    const vault = await newVault();
    const { founder } = vault;
    const sister = rig.newDevice(founder.person);
    const token = await rig.token(sister);
    expect((await rig.send("DELETE", "/v1/persons/me", { as: founder })).status).toBe(204);
    expect(codeOf(await rig.send("GET", "/v1/vaults", { token }))).toBe("account-closed");
    const enter = async (path: string, more: object = {}): Promise<unknown> =>
      codeOf(await rig.send("POST", path, { json: { ...(await rig.proof(sister)), ...more } }));
    expect(await enter("/v1/auth/token")).toBe("account-closed");
    // Also here, where anybody may register: or its devices would open it by themselves.
    expect(await enter("/v1/persons")).toBe("account-closed");
    expect(await enter("/v1/persons", { registration: text(rig.suite.random(16)) })).toBe(
      "registration-closed",
    );
    const { token: registration } = (await rig.admin("POST", "/registration-tokens", {})).body;
    expect(await enter("/v1/persons", { registration })).toBe(201);
    expect(codeOf(await read(vault, sister))).toBe("vault-deleted");
  });

  test("[SRV87] the operator closes an account: what it owned is deleted by the operator", async () => {
    const vault = await newVault();
    const path = `/persons/${text(vault.founder.person.id)}`;
    expect((await rig.admin("DELETE", path)).status).toBe(204);
    expect(codeOf(await read(vault, vault.founder))).toBe("account-closed");
    expect((await rig.running.server.services.store.vault(vault.id))?.deleted?.by).toBe("operator");
    expect(codeOf(await rig.admin("DELETE", `/persons/${text(rig.suite.random(32))}`))).toBe("not-found");
  });
});

describe("what is told", () => {
  test("[SRV88] each act leaves when, who, what, to what, and from how far: for admins of their vault, for the operator of all", async () => {
    const vault = await newVault();
    const { founder } = vault;
    const sister = rig.newDevice(founder.person);
    await rig.append(vault, sister, vault.admission(sister, 1, await pointOf(vault)));
    const { body } = await rig.send("GET", at(vault, "/audit"), { as: founder });
    const events = body["events"] as readonly Record<string, unknown>[];
    expect(events.map(({ action, object, device }) => [action, object, device])).toEqual([
      ["device-add", text(sister.id), text(sister.id)],
      ["epoch", undefined, text(founder.id)],
      ["found", undefined, text(founder.id)],
    ]);
    for (const event of events)
      expect(event).toMatchObject({ address: "loopback", time: expect.any(Number) });

    await rig.send("DELETE", `/v1/devices/${text(sister.id)}`, { as: founder });
    await entitle(founder.person.id, active);
    const all = (await rig.admin("GET", "/audit")).body["events"] as readonly Record<string, unknown>[];
    expect(all.slice(0, 3)).toMatchObject([
      { action: "entitlement", object: text(founder.person.id), address: "loopback" },
      { action: "sign-out", object: text(sister.id), device: text(founder.id) },
      { action: "device-add", vault: text(vault.id) },
    ]);
    expect(all[0]).not.toHaveProperty("device");
    expect(all).toContainEqual(
      expect.objectContaining({
        action: "register",
        object: text(founder.person.id),
        device: text(founder.id),
      }),
    );
    const older = await rig.admin("GET", `/audit?before=${String(all[1]?.["n"])}`);
    expect((older.body["events"] as readonly { n: number }[])[0]?.n).toBe(all[2]?.["n"]);
  });

  test("[SRV89] the operator pages through what each person has and uses, and sees no content", async () => {
    const vault = await newVault();
    await upload(vault, vault.founder, encodeUtf8("ten bytes!"));
    const found: Record<string, unknown>[] = [];
    let after = "";
    for (;;) {
      const { body } = await rig.admin("GET", `/usage?after=${after}`);
      const page = body["persons"] as Record<string, unknown>[];
      if (page.length === 0) break;
      found.push(...page);
      after = String(page.at(-1)?.["person"]);
    }
    const mine = found.find((one) => one["person"] === text(vault.founder.person.id));
    const { services } = rig.running.server;
    const row = await services.store.vault(vault.id);
    expect(mine).toMatchObject({
      devices: 1,
      vaults: 1,
      bytes: 10 + (row?.logBytes ?? 0),
      entitlement: null,
    });
  });

  test("[SRV89] the operator lists groups, and what was put into one in its order", async () => {
    const [group, vault] = [newGroup(), await newVault()];
    const people = [rig.suite.random(32), rig.suite.random(32), rig.suite.random(32)];
    for (const one of people) await group.put("persons", one);
    await group.put("vaults", vault.id);
    await group.put("devices", vault.founder.id);
    await entitle(group.id, { ...active, seats: 2 });
    const all: Record<string, unknown>[] = [];
    for (let after = ""; ; after = String(all.at(-1)?.["group"])) {
      const { body } = await rig.admin("GET", `/groups?after=${after}`);
      const page = body["groups"] as Record<string, unknown>[];
      if (page.length === 0) break;
      all.push(...page);
    }
    const entitlement = { ...active, seats: 2 };
    const mine = all.filter((one) => one["group"] === text(group.id));
    expect(mine).toEqual([{ group: text(group.id), persons: 3, devices: 1, vaults: 1, entitlement }]);
    expect((await rig.admin("GET", `/groups/${text(group.id)}`)).body).toEqual({
      persons: people.map(text),
      devices: [text(vault.founder.id)],
      vaults: [text(vault.id)],
      entitlement,
    });
    expect((await rig.admin("GET", `/entitlements/${text(group.id)}`)).body).toEqual({ entitlement });
    expect((await rig.admin("GET", `/entitlements/${text(people[0] as Uint8Array)}`)).body).toEqual({
      entitlement: null,
    });
  });

  test("[SRV93] [SRV94] from nine tenths of the room on, every read says how much is used", async () => {
    const vault = await newVault();
    const { founder } = vault;
    const { logBytes = 0 } = (await rig.running.server.services.store.vault(vault.id)) ?? {};
    const remote = rig.remote(vault.id, founder, { wake: false });
    let version = 0;
    const usedOf = async (quotaBytes: number | undefined): Promise<unknown> => {
      await entitle(founder.person.id, { ...active, version: ++version, quotaBytes });
      const told = (await read(vault, founder)).headers.get("tidelock-used");
      const page = await remote.read(0, { frames: 10, bytes: 1 << 20 });
      expect(page.kind === "ok" && page.value.used).toBe(told === null ? undefined : Number(told));
      return told;
    };
    expect(await usedOf(undefined)).toBeNull();
    expect(await usedOf(logBytes * 2)).toBeNull();
    expect(await usedOf(Math.ceil(logBytes / 0.9) + 1)).toBeNull();
    expect(await usedOf(Math.floor(logBytes / 0.9))).toBe("90");
    expect(await usedOf(logBytes)).toBe("100");
    expect(await usedOf(1)).toBe("100");
  });
});
