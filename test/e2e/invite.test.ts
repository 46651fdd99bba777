/** Several people in one vault: one command each, a server that runs, and what the log says of them. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import { encodeInvite, inviteKeys, parseInvite } from "@tidelock/core/vault/invite";
import { loadSuite } from "@tidelock/node/crypto/load-suite";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cli, createCli, type Running, until } from "./cli.ts";
import { founded, freePort, type Home, makeDatabase, PLAIN, sql } from "./homes.ts";

let cli: Cli;
let server: Running;
let url: string;
let owner: Home & { readonly words: string };

interface Invited {
  readonly id: string;
  readonly code: string;
}
interface Item {
  readonly id: number;
  readonly state: string;
  readonly cause: string;
}

const file = (name: string): string => join(cli.folder, name);
const at = (name: string): readonly string[] => ["--home", file(name), ...PLAIN];
const code = (found: unknown): string => (found as { error: { code: string } }).error.code;
const texts = (name: string): unknown[] =>
  sql(file(name), "SELECT text FROM note ORDER BY text").map((row) => row["text"]);
const sync = (home: Pick<Home, "at">): Promise<unknown> =>
  cli.json("SyncResult", [...home.at, "sync", "--wait"]);
const invited = (...more: readonly string[]): Promise<Invited> =>
  cli.json<Invited>("Invite", [...owner.at, "invite", "create", ...more]);
const accepts = (name: string, timeout = "40"): readonly string[] => {
  const asked = ["--name", name, "--device", `${name}'s laptop`];
  return [...at(name), "--timeout", timeout, "join", "--code-from-env", "CODE", ...asked];
};

/** Runs the guest's command until it is in; the owner lets in who has answered. */
async function comesIn(name: string, invite: Invited): Promise<Home> {
  const joining = cli.json("Join", accepts(name), 0, { env: { CODE: invite.code } });
  await until(`${name} is let in`, async () => {
    const { admitted } = await cli.json<{ admitted: object[] }>("Admitted", [...owner.at, "invite", "admit"]);
    return admitted.length > 0 ? true : undefined;
  });
  await joining;
  return { home: file(name), at: at(name) };
}

beforeAll(async () => {
  cli = await createCli();
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  const open = ["--listen", `127.0.0.1:${port}`, "--registration", "open"];
  server = await cli.begin(
    ["--home", file("server"), "server", "run", "--sign-ins", "60000", ...open],
    /answers at/,
  );
  owner = await founded(cli, "owner", url);
  makeDatabase(file("owner.db"), "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT)");
  await cli.json("Attachment", [...owner.at, "db", "attach", file("owner.db")]);
  sql(file("owner.db"), "INSERT INTO note (text) VALUES ('before anna')");
  await sync(owner);
}, 60_000);

afterAll(async () => {
  await server.stop();
  await cli.remove();
});

describe("another person", { timeout: 240_000 }, () => {
  let anna: Home;

  test("[IFC44] [INV3] T-48, T-3 comes in by a code, reads what was written before, and writes", async () => {
    anna = await comesIn("anna", await invited("--role", "editor"));
    await cli.json("Attachment", [...anna.at, "db", "attach", file("anna.db")]);
    expect(texts("anna.db")).toEqual(["before anna"]);
    sql(file("anna.db"), "INSERT INTO note (text) VALUES ('of anna')");
    await sync(anna);
    await sync(owner);
    expect(texts("owner.db")).toEqual(["before anna", "of anna"]);
    for (const { at: who } of [owner, anna]) {
      const { members } = await cli.json<{ members: object[] }>("MemberList", [...who, "member", "ls"]);
      expect(members).toMatchObject([
        { member: 0, role: "owner", devices: 1, own: who === owner.at },
        { member: 1, role: "editor", name: "anna", devices: 1, own: who === anna.at },
      ]);
    }
    // A person of their own, with words of their own; the owner's open nothing of hers.
    expect(existsSync(join(anna.home, "recovery-sheet.txt"))).toBe(true);
    expect(await cli.json("InviteList", [...owner.at, "invite", "ls"])).toMatchObject({ invites: [] });
  });

  test("[IFC44] [INV3] T-48, M-34 a code is good for one; called off, run out or mistyped it says so and leaves nothing", async () => {
    const env = (invite: Invited): { env: Record<string, string> } => ({ env: { CODE: invite.code } });
    const gone = await invited();
    expect(await cli.json("InviteList", [...owner.at, "invite", "ls"])).toMatchObject({
      invites: [{ id: gone.id, role: "editor", known: true }],
    });
    await cli.json("InviteList", [...owner.at, "invite", "revoke", gone.id]);
    expect(code(await cli.json("Error", accepts("late"), 1, env(gone)))).toBe("code-expired");
    // Nobody need be at the machine: a daemon lets in who has answered.
    const used = await invited();
    const daemon = await cli.daemon(owner.home);
    try {
      await cli.json("Join", accepts("bert"), 0, env(used));
    } finally {
      await daemon.stop();
    }
    // Bert's answer still stands there.
    expect(code(await cli.json("Error", accepts("late"), 1, env(used)))).toBe("code-used");
    const cut = { ...used, code: used.code.slice(0, -5) };
    expect(code(await cli.json("Error", accepts("late"), 1, env(cut)))).toBe("code-wrong");
    expect(code(await cli.json("Error", [...at("late"), "join", "--code"], 2))).toBe("usage");
    const left = existsSync(file("late")) ? readdirSync(file("late"), { recursive: true }) : [];
    expect((left as string[]).filter((one) => /config|replica|keys|sheet/.test(one))).toEqual([]);
  });

  test("[IFC44] [INV4] nobody there to let one in: it says so, keeps keys and words, and the same command goes on", async () => {
    const invite = await invited("--role", "viewer", "--ttl", "1h");
    const env = { CODE: invite.code };
    expect(code(await cli.json("Error", accepts("cara", "1"), 14, { env }))).toBe("timeout");
    const words = readFileSync(join(file("cara"), "recovery-sheet.txt"), "utf8");
    const cara = await comesIn("cara", invite);
    expect(readFileSync(join(cara.home, "recovery-sheet.txt"), "utf8")).toBe(words);
    const { devices } = await cli.json<{ devices: { name: string }[] }>("DeviceList", [
      ...cara.at,
      "device",
      "ls",
    ]);
    expect(devices.filter((one) => one.name === "cara's laptop")).toHaveLength(1);
    // A viewer reads, and is told that this is all.
    await cli.json("Attachment", [...cara.at, "db", "attach", file("cara.db")]);
    expect(texts("cara.db")).toEqual(texts("owner.db"));
    expect(code(await cli.json("Error", [...cara.at, "invite", "create"], 12))).toBe("no-access");
    expect(code(await cli.json("Error", [...cara.at, "member", "role", "anna", "viewer"], 12))).toBe(
      "no-access",
    );
  });

  test("[INV4] a log that does not show the place which the code names is no log of this vault", async () => {
    const invite = await invited();
    const { suite } = await loadSuite();
    const link = parseInvite(suite, invite.code);
    if (link === null) throw new Error("no invite");
    const lied = encodeInvite(suite, { ...link, head: { ...link.head, hash: new Uint8Array(32) } });
    const joining = cli.json("Error", accepts("dora"), 17, { env: { CODE: lied } });
    await until("dora is let in", async () => {
      const { admitted } = await cli.json<{ admitted: object[] }>("Admitted", [
        ...owner.at,
        "invite",
        "admit",
      ]);
      return admitted.length > 0 ? true : undefined;
    });
    expect(code(await joining)).toBe("rollback");
    expect(existsSync(join(file("dora"), "config.toml"))).toBe(false);
  });

  test("[INV3] an answer that does not open ends the invite: nobody guesses twice", async () => {
    const invite = await invited();
    const { suite } = await loadSuite();
    const link = parseInvite(suite, invite.code);
    if (link === null) throw new Error("no invite");
    const { meeting } = inviteKeys(suite, link.vault, link.secret);
    const put = await fetch(`${url}/v1/rv/${toBase64Url(meeting)}/1`, {
      method: "PUT",
      headers: { "content-type": "application/vnd.tidelock" },
      body: new Uint8Array(200),
    });
    expect(put.status).toBe(204);
    expect(await cli.json("Admitted", [...owner.at, "invite", "admit"])).toMatchObject({ admitted: [] });
    expect(await cli.json("InviteList", [...owner.at, "invite", "ls"])).toMatchObject({ invites: [] });
    const env = { CODE: invite.code };
    expect(code(await cli.json("Error", accepts("late"), 1, { env }))).toBe("code-expired");
  });

  test("[IFC44] T-49 roles: who may what is said before it is sent", async () => {
    const role = (who: Home, name: string, given: string, exit: number): Promise<unknown> =>
      cli.json(exit === 0 ? "MemberActed" : "Error", [...who.at, "member", "role", name, given], exit);
    expect(code(await role(owner, "anna", "owner", 2))).toBe("usage");
    expect(code(await role(owner, "nobody", "viewer", 15))).toBe("not-found");
    await sync(anna);
    expect(code(await role(anna, "bert", "viewer", 12))).toBe("no-access");
    expect(await role(owner, "anna", "admin", 0)).toMatchObject({ member: 1, state: "accepted" });
    await sync(anna);
    expect(await role(anna, "bert", "viewer", 0)).toMatchObject({ state: "accepted" });
    expect(code(await role(anna, "0", "viewer", 12))).toBe("no-access");
    expect(code(await cli.json("Error", [...anna.at, "--yes", "member", "rm", "0"], 12))).toBe("no-access");
    expect(code(await cli.json("Error", [...anna.at, "--yes", "member", "transfer", "bert"], 12))).toBe(
      "no-access",
    );
    await sync(owner);
    await role(owner, "anna", "editor", 0);
    await sync(anna);
  });

  test("[IFC43] M-9, S-16 an edit that the vault did not take is listed; sent again it goes, given up it is gone and a copy is kept", async () => {
    await cli.json("Status", [...anna.at, "pause"]);
    sql(file("anna.db"), "INSERT INTO note (text) VALUES ('too late')");
    expect(code(await cli.json("Error", [...anna.at, "sync"], 14))).toBe("paused");
    await cli.json("MemberActed", [...owner.at, "member", "role", "anna", "viewer"]);
    await cli.json("Status", [...anna.at, "resume"]);
    const rejected = await cli.json<{ rejected: number }>("SyncResult", [...anna.at, "sync", "--wait"], 3);
    expect(rejected.rejected).toBe(1);
    expect(texts("anna.db")).not.toContain("too late");
    const list = (): Promise<Item[]> =>
      cli.json<{ items: Item[] }>("QueueList", [...anna.at, "queue", "ls"]).then(({ items }) => items);
    const [item] = await list();
    expect(item).toMatchObject({ state: "rejected", cause: "role" });
    const id = String(item?.id);
    expect(code(await cli.json("Error", [...anna.at, "queue", "retry", id], 12))).toBe("no-access");
    await cli.json("MemberActed", [...owner.at, "member", "role", "anna", "editor"]);
    await sync(anna).catch(() => undefined);
    expect(await cli.json("QueueActed", [...anna.at, "queue", "retry", id])).toMatchObject({
      state: "accepted",
    });
    expect([await list(), texts("anna.db").includes("too late")]).toEqual([[], true]);
    await sync(owner);
    expect(texts("owner.db")).toContain("too late");
  });

  test("[IFC44] T-56 taken out, she reads nothing that comes after, and keeps what she has", async () => {
    expect(code(await cli.json("Error", [...owner.at, "member", "rm", "anna"], 2))).toBe("usage");
    expect(await cli.json("MemberActed", [...owner.at, "--yes", "member", "rm", "anna"])).toMatchObject({
      name: "anna",
      state: "accepted",
    });
    sql(file("owner.db"), "INSERT INTO note (text) VALUES ('after anna')");
    await sync(owner);
    expect(code(await cli.json("Error", [...anna.at, "sync"], 12))).toMatch(/device-removed|no-access/);
    expect(await cli.json("Status", [...anna.at, "status"], 12)).toMatchObject({ label: "No access" });
    expect(texts("anna.db")).not.toContain("after anna");
    expect(texts("anna.db")).toContain("of anna");
    const { members } = await cli.json<{ members: { removed?: string }[] }>("MemberList", [
      ...owner.at,
      "member",
      "ls",
    ]);
    expect(members[1]?.removed).toBeDefined();
  });

  test("[IFC44] T-49 a member takes himself out, without anybody's leave", async () => {
    const emil = await comesIn("emil", await invited());
    expect(await cli.json("MemberActed", [...emil.at, "--yes", "member", "rm", "emil"])).toMatchObject({
      name: "emil",
      state: "accepted",
    });
    expect(await cli.json("Status", [...emil.at, "status"], 12)).toMatchObject({ label: "No access" });
    await sync(owner);
    const { members } = await cli.json<{ members: { name: string; removed?: string }[] }>("MemberList", [
      ...owner.at,
      "member",
      "ls",
    ]);
    expect(members.filter((one) => one.removed === undefined).map((one) => one.name)).not.toContain("emil");
  });

  test("[IFC16] [INV1] T-8 no name, no code and no secret of an invite stands in what the server keeps", async () => {
    const invite = await invited("--role", "viewer");
    await server.stop();
    const db = new Database(join(file("server"), "data", "server", "server.db"), { readonly: true });
    const kept = Buffer.concat(
      (
        db.prepare("SELECT id, slot1, slot2 FROM rendezvous").all() as Record<string, Buffer | null>[]
      ).flatMap((row) => Object.values(row).map((value) => value ?? Buffer.alloc(0))),
    );
    db.close();
    expect(kept.length).toBeGreaterThan(500);
    for (const canary of ["anna", "cara", "laptop", invite.id, "127.0.0.1"])
      expect([canary, kept.includes(canary)]).toEqual([canary, false]);
    // The invite's id in the log is not the place where the two meet.
    expect(kept.includes(Buffer.from(invite.id, "hex"))).toBe(false);
  });
});
