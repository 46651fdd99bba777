/** Founding and looking at vaults. */
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import { equalBytes } from "@tidelock/core/bytes/bytes";
import { limits } from "@tidelock/core/bytes/limits";
import { personId } from "@tidelock/core/crypto/identity";
import { parseGenesis } from "@tidelock/core/vault/genesis";
import { founderRoster } from "@tidelock/core/vault/roster";
import { termsOf } from "../auth/terms.ts";
import { binary, empty, json, readBody } from "../http/call.ts";
import { auditOf, type Context, numberQuery, type Route, sessionOf, vaultOf } from "../http/route.ts";
import { accessRow } from "../log/access.ts";
import { Problem } from "../problem.ts";
import type { Services } from "../services.ts";
import { type Deletion, KEPT, type VaultRow } from "../store.ts";
import { AUDIT_PAGE, auditJson, freeOf } from "./usage.ts";

const FAR = 2 ** 52;

export const vaultRoutes: readonly Route[] = [
  {
    method: "POST",
    path: "/v1/vaults",
    policy: "device",
    body: "binary",
    most: limits.genesis,
    rate: "write",
    summary: "Founds a vault: the body is its genesis",
    answers: { 200: "it was founded before", 201: "{vault, head}" },
    handle: async (context) => {
      const { services, call } = context;
      const session = sessionOf(context);
      const genesis = parseGenesis(services.suite, await readBody(call, limits.genesis));
      if (genesis === null) throw new Problem("rejected", "the genesis does not verify");
      const { vault, owner, certificate, bytes } = genesis;
      const time = services.clock.now();
      const person = personId(services.suite, owner.sign, owner.box);
      const device = accessRow(founderRoster(services.suite, owner, certificate.device), 0);
      // Whoever gets hold of a genesis must not found its vault on another server in the founder's name.
      if (!equalBytes(person, session.person))
        throw new Problem("no-access", "a vault is founded by the person its genesis names");
      const row: VaultRow = {
        vault,
        genesis: bytes,
        owner: person,
        created: time,
        head: { seq: 0, hash: vault, members: vault, time },
        logBytes: 0,
        blobBytes: 0,
        deleted: undefined,
      };
      const { store } = services;
      const known = await store.vault(vault);
      if (known === undefined) await needPlan(services, row, session.device);
      const done = await store.createVault(
        row,
        { person, level: "owner", since: 0, ended: undefined },
        device,
        auditOf(context, "found"),
      );
      const now = (await store.vault(vault)) ?? row;
      if (now.deleted !== undefined)
        throw new Problem("vault-deleted", "the vault was deleted on this server");
      return json(done === "created" ? 201 : 200, {
        vault: toBase64Url(vault),
        head: headJson(services, now),
      });
    },
  },
  {
    method: "GET",
    path: "/v1/vaults",
    policy: "device",
    body: "none",
    most: 0,
    rate: "read",
    summary: "The vaults in which the person who is signed in is a member",
    answers: { 200: "{vaults: [{vault, level, head}]}" },
    handle: async (context) => {
      const { services } = context;
      const found = await services.store.vaultsOf(sessionOf(context).person);
      return json(200, {
        vaults: found.map(({ row, member }) => ({
          vault: toBase64Url(row.vault),
          level: member.level,
          head: headJson(services, row),
        })),
      });
    },
  },
  {
    method: "GET",
    path: "/v1/vaults/{v}/genesis",
    policy: "past",
    body: "none",
    most: 0,
    rate: "read",
    summary: "The vault's genesis",
    answers: { 200: "its bytes" },
    handle: async (context) => binary(vaultOf(context).row.genesis),
  },
  {
    method: "GET",
    path: "/v1/vaults/{v}/head",
    policy: "join",
    body: "none",
    most: 0,
    rate: "read",
    summary: "How far the log goes, and how much room the vault uses",
    answers: { 200: "{seq, hash, members, time, usage: {log, blobs, room}, free, plan}" },
    handle: async (context) => {
      const { services } = context;
      const { row, terms } = vaultOf(context);
      return json(200, {
        ...headJson(services, row),
        free: freeOf(services, row, terms),
        plan: terms.covered ? "active" : "none",
      });
    },
  },
  {
    method: "GET",
    path: "/v1/vaults/{v}/access",
    policy: "join",
    body: "none",
    most: 0,
    rate: "read",
    summary: "Members and devices as the server has them from the log",
    answers: { 200: "{members, devices}" },
    handle: async (context) => {
      const { members, devices } = await context.services.store.access(vaultOf(context).row.vault);
      return json(200, {
        members: members.map(({ person, level, since, ended }) => ({
          person: toBase64Url(person),
          level,
          since,
          ended,
        })),
        devices: devices.map(({ device, person, index, since, ended }) => ({
          device: toBase64Url(device),
          person: toBase64Url(person),
          index,
          since,
          ended,
        })),
      });
    },
  },
  {
    method: "GET",
    path: "/v1/vaults/{v}/audit",
    policy: "admin",
    body: "none",
    most: 0,
    rate: "read",
    summary: "What was done to the vault, newest first: ?before",
    answers: { 200: "{events: [{n, time, device, action, object, address}]}" },
    handle: async (context) => {
      const before = numberQuery(context.call, "before", FAR, FAR);
      const rows = await context.services.store.audit(vaultOf(context).row.vault, before, AUDIT_PAGE);
      return json(200, { events: rows.map(({ vault: _same, ...row }) => auditJson(row)) });
    },
  },
  {
    method: "DELETE",
    path: "/v1/vaults/{v}",
    policy: "owner",
    fresh: true,
    body: "none",
    most: 0,
    rate: "write",
    summary: "Deletes the vault for everybody; for 30 days that can be taken back",
    answers: { 204: "deleted" },
    handle: async (context) => {
      await deleteVault(context, vaultOf(context).row.vault, "owner");
      return empty(204);
    },
  },
  {
    method: "POST",
    path: "/v1/vaults/{v}/restore",
    policy: "owner",
    fresh: true,
    body: "none",
    most: 0,
    rate: "write",
    summary: "Takes the owner's deletion back",
    answers: { 204: "it is there again" },
    handle: async (context) => {
      const { row } = vaultOf(context);
      if (row.deleted !== undefined) await restoreVault(context, row.vault, "owner");
      return empty(204);
    },
  },
];

/** False where there is no such vault. */
export async function deleteVault(context: Context, vault: Uint8Array, by: Deletion["by"]): Promise<boolean> {
  const { store, clock, disconnectVault } = context.services;
  const done = await store.deleteVault(
    vault,
    { at: clock.now(), by },
    auditOf(context, "delete-vault", vault),
  );
  disconnectVault(vault);
  return done;
}

export async function restoreVault(context: Context, vault: Uint8Array, by: Deletion["by"]): Promise<void> {
  const { store, clock } = context.services;
  const row = auditOf(context, "restore-vault", vault);
  if (!(await store.restoreVault(vault, by, clock.now() - KEPT, row)))
    throw new Problem("vault-deleted", "it was deleted by somebody else, or too long ago");
}

/** Who founds a vault will own it, so it is his own plan that has to have room for it. */
async function needPlan(services: Services, { vault, owner }: VaultRow, device: Uint8Array): Promise<void> {
  const { store, clock } = services;
  const terms = termsOf(await store.terms({ vault, owner, person: owner, device }), clock.now());
  if (!terms.covered) throw new Problem("no-plan", "no plan covers this person");
  if (terms.room === 0) throw new Problem("quota", "the plan has no room left");
}

function headJson({ quota }: Services, { head, logBytes, blobBytes }: VaultRow): object {
  return {
    seq: head.seq,
    hash: toBase64Url(head.hash),
    members: toBase64Url(head.members),
    time: head.time,
    usage: { log: logBytes, blobs: blobBytes, room: quota },
  };
}
