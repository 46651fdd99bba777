import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningServer, startServer } from "@tidelock/server/host/start";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openVault, type Prompt, type Vault } from "./index.ts";

let folder: string;
let server: RunningServer;
let open: Vault[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidelock-invite-"));
  open = [];
  const where = { folder: join(folder, "server"), host: "127.0.0.1", port: 0 };
  server = await startServer({ ...where, registration: "open", writer: "inline" });
});

afterEach(async () => {
  for (const vault of open) await vault.close();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const start = async (name: string, more: Parameters<typeof openVault>[0]): Promise<Vault> => {
  const vault = await openVault({
    home: join(folder, name),
    insecureKeyFile: true,
    device: { name },
    ...more,
  });
  open.push(vault);
  return vault;
};

test("[IFC17, INV3, IFC44] T-48 a program invites, another comes in while both run, and is taken out again", async () => {
  const owner = await start("owner", { remote: server.url, name: "Shared" });
  const { code } = await owner.members.invite({ role: "editor" });
  const shown: Prompt[] = [];
  const anna = await start("anna", {
    invite: code,
    person: { name: "Anna" },
    onPrompt: async (prompt) => void shown.push(prompt),
  });
  expect([anna.id, anna.name, shown.map(({ kind }) => kind)]).toEqual([owner.id, "Shared", ["phrase"]]);
  expect(existsSync(join(folder, "anna", "recovery-sheet.txt"))).toBe(false);
  await owner.syncNow();
  for (const vault of [owner, anna])
    expect(vault.members.list()).toMatchObject([
      { role: "owner", own: vault === owner },
      { role: "editor", name: "Anna", own: vault === anna },
    ]);
  expect(owner.members.invites()).toEqual([]);
  await expect(anna.members.invite({ role: "viewer" })).rejects.toMatchObject({ code: "no-access" });
  await expect(start("bert", { invite: code.slice(0, -3) })).rejects.toMatchObject({ code: "code-wrong" });
  expect(await owner.members.setRole("Anna", "viewer")).toMatchObject({ member: 1, state: "accepted" });
  expect(await owner.members.remove("Anna")).toMatchObject({ member: 1, state: "accepted" });
  await expect(anna.syncNow()).rejects.toMatchObject({ exit: 12 });
  expect(anna.status()).toMatchObject({ label: "No access" });
}, 60_000);
