/** Founding and looking at vaults. */
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import { equalBytes } from "@tidelock/core/bytes/bytes";
import { limits } from "@tidelock/core/bytes/limits";
import { personId } from "@tidelock/core/crypto/identity";
import { parseGenesis } from "@tidelock/core/vault/genesis";
import { founderRoster } from "@tidelock/core/vault/roster";
import { binary, json, readBody } from "../http/call.ts";
import { numberQuery, type Route, sessionOf, vaultOf } from "../http/route.ts";
import { accessRow } from "../log/access.ts";
import { Problem } from "../problem.ts";
import type { Services } from "../services.ts";
import type { VaultRow } from "../store.ts";

const AUDIT_PAGE = 200;
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
      };
      const done = await services.store.createVault(
        row,
        { person, level: "owner", since: 0, ended: undefined },
        device,
        { time, device: session.device, action: "found", object: undefined },
      );
      const now = (await services.store.vault(vault)) ?? row;
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
    answers: { 200: "{seq, hash, members, time, usage}" },
    handle: async (context) => json(200, headJson(context.services, vaultOf(context).row)),
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
    answers: { 200: "{events: [{n, time, device, action, object}]}" },
    handle: async (context) => {
      const before = numberQuery(context.call, "before", FAR, FAR);
      const rows = await context.services.store.audit(vaultOf(context).row.vault, before, AUDIT_PAGE);
      return json(200, {
        events: rows.map(({ n, time, device, action, object }) => ({
          n,
          time,
          device: toBase64Url(device),
          action,
          object: object === undefined ? undefined : toBase64Url(object),
        })),
      });
    },
  },
];

function headJson({ quota }: Services, { head, logBytes, blobBytes }: VaultRow): unknown {
  return {
    seq: head.seq,
    hash: toBase64Url(head.hash),
    members: toBase64Url(head.members),
    time: head.time,
    usage: { log: logBytes, blobs: blobBytes, room: quota },
  };
}
