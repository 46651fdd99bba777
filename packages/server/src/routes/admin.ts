/** What the operator of a server may do: plans, groups, accounts. Nothing here gives a role or a key. */
import { fromBase64Url, toBase64Url } from "@tidelock/core/bytes/base64url";
import { fieldOf } from "../auth/sign-in.ts";
import { empty, json } from "../http/call.ts";
import { auditOf, type Context, idParam, numberQuery, type Route } from "../http/route.ts";
import { notFound, Problem } from "../problem.ts";
import type { Edge, EdgeKind } from "../store.ts";
import { closeAccount, jsonBody } from "./account.ts";
import { parseEntitlement } from "./entitlement.ts";
import { AUDIT_PAGE, auditJson, entitlementJson, groupJson, usageJson } from "./usage.ts";
import { deleteVault, restoreVault } from "./vaults.ts";

const FAR = 2 ** 52;
const USAGE_PAGE = 200;
const GROUP_PAGE = 200;
const DAY = 86_400_000;
const MOST_TOKEN = { uses: 1_000, lifeMs: 365 * DAY };

const operator = { policy: "operator", rate: "operator" } as const;
const plain = { ...operator, body: "none", most: 0 } as const;
const withJson = { ...operator, body: "json", most: 64 << 10 } as const;

export const adminRoutes: readonly Route[] = [
  {
    method: "PUT",
    path: "/v1/admin/entitlements/{s}",
    ...withJson,
    summary:
      "What a person or a group has: {version, plans, seats?, quotaBytes?, state, until?}; a lower version is ignored",
    answers: { 200: "{applied, entitlement}: the one that counts", 409: "this version says something else" },
    handle: async (context) => {
      const { store } = context.services;
      const subject = idParam(context, "s");
      const entitlement = parseEntitlement(await jsonBody(context));
      const done = await store.putEntitlement(subject, entitlement, auditOf(context, "entitlement", subject));
      if (done === "conflict") throw new Problem("exists", "this version of it says something else");
      const kept = done === "kept" ? entitlement : await store.entitlement(subject);
      await lookAgain(context, subject);
      return json(200, { applied: done === "kept", entitlement: entitlementJson(kept) });
    },
  },
  {
    method: "GET",
    path: "/v1/admin/entitlements/{s}",
    ...plain,
    summary: "What a person or a group has",
    answers: { 200: "{entitlement}: null where nothing was said" },
    handle: async (context) => {
      const kept = await context.services.store.entitlement(idParam(context, "s"));
      return json(200, { entitlement: entitlementJson(kept) });
    },
  },
  {
    method: "GET",
    path: "/v1/admin/groups",
    ...plain,
    summary: "The groups, by id, and how much is in them: ?after",
    answers: { 200: "{groups: [{group, persons, devices, vaults, entitlement}]}" },
    handle: async (context) => {
      const rows = await context.services.store.groups(afterOf(context), GROUP_PAGE);
      return json(200, { groups: rows.map(groupJson) });
    },
  },
  {
    method: "GET",
    path: "/v1/admin/groups/{g}",
    ...plain,
    summary: "What stands in a group, in the order in which it was put there: that of seats",
    answers: { 200: "{persons, devices, vaults, entitlement}" },
    handle: async (context) => {
      const { store } = context.services;
      const group = idParam(context, "g");
      const ids = async (kind: EdgeKind) => (await store.edges(group, kind)).map(toBase64Url);
      return json(200, {
        persons: await ids("person"),
        devices: await ids("device"),
        vaults: await ids("vault"),
        entitlement: entitlementJson(await store.entitlement(group)),
      });
    },
  },
  ...edgeRoutes("person", "/persons/{p}", "p"),
  ...edgeRoutes("device", "/devices/{d}", "d"),
  ...edgeRoutes("vault", "/vaults/{v}", "v"),
  {
    method: "GET",
    path: "/v1/admin/usage",
    ...plain,
    summary: "What each person has and uses, by id: ?after",
    answers: { 200: "{persons: [{person, created, closed, devices, vaults, bytes, entitlement}]}" },
    handle: async (context) => {
      const rows = await context.services.store.usage(afterOf(context), USAGE_PAGE);
      return json(200, { persons: rows.map(usageJson) });
    },
  },
  {
    method: "GET",
    path: "/v1/admin/audit",
    ...plain,
    summary: "What was done on the server, newest first: ?before",
    answers: { 200: "{events: [{n, time, vault, device, action, object, address}]}" },
    handle: async (context) => {
      const before = numberQuery(context.call, "before", FAR, FAR);
      const rows = await context.services.store.audit(undefined, before, AUDIT_PAGE);
      return json(200, { events: rows.map(auditJson) });
    },
  },
  {
    method: "POST",
    path: "/v1/admin/registration-tokens",
    ...withJson,
    summary: "Draws a token that admits persons: {uses?, lifeMs?}, one for a day",
    answers: { 201: "{token, until}" },
    handle: async (context) => {
      const { store, clock, random, suite } = context.services;
      const body = await jsonBody(context);
      const uses = countOf(body, "uses", 1, MOST_TOKEN.uses);
      const until = clock.now() + countOf(body, "lifeMs", DAY, MOST_TOKEN.lifeMs);
      const token = random(16);
      const row = auditOf(context, "registration-token");
      await store.addRegistration(suite.sha256(token), uses, until, row);
      return json(201, { token: toBase64Url(token), until });
    },
  },
  {
    method: "DELETE",
    path: "/v1/admin/persons/{p}",
    ...plain,
    summary: "Closes an account and deletes its vaults",
    answers: { 204: "closed" },
    handle: async (context) => {
      if (!(await closeAccount(context, idParam(context, "p"), "operator"))) throw notFound();
      return empty(204);
    },
  },
  {
    method: "DELETE",
    path: "/v1/admin/vaults/{v}",
    ...plain,
    summary: "Deletes a vault; for 30 days the operator can take that back",
    answers: { 204: "deleted" },
    handle: async (context) => {
      if (!(await deleteVault(context, idParam(context, "v"), "operator"))) throw notFound();
      return empty(204);
    },
  },
  {
    method: "POST",
    path: "/v1/admin/vaults/{v}/restore",
    ...plain,
    summary: "Takes a deletion back, whoever's it was",
    answers: { 204: "it is there again" },
    handle: async (context) => {
      const found = await context.services.store.vault(idParam(context, "v"));
      if (found === undefined) throw notFound();
      if (found.deleted !== undefined) await restoreVault(context, found.vault, "operator");
      return empty(204);
    },
  },
];

function edgeRoutes(kind: EdgeKind, path: string, param: string): readonly Route[] {
  const edgeOf = (context: Context): Edge => ({
    group: idParam(context, "g"),
    kind,
    id: idParam(context, param),
  });
  const at = { path: `/v1/admin/groups/{g}${path}`, ...plain };
  return [
    {
      method: "PUT",
      ...at,
      summary: `Puts a ${kind} into a group`,
      answers: { 204: "it is in it" },
      handle: async (context) => {
        const edge = edgeOf(context);
        await context.services.store.addEdge(edge, auditOf(context, `group-${kind}`, edge.id));
        await lookAgain(context, edge.id, kind);
        return empty(204);
      },
    },
    {
      method: "DELETE",
      ...at,
      summary: `Takes a ${kind} out of a group`,
      answers: { 204: "it is not in it" },
      handle: async (context) => {
        const edge = edgeOf(context);
        await context.services.store.dropEdge(edge, auditOf(context, `ungroup-${kind}`, edge.id));
        await lookAgain(context, edge.id, kind);
        return empty(204);
      },
    },
  ];
}

/** Where a page begins: behind this id. */
function afterOf({ call }: Context): Uint8Array {
  const after = fromBase64Url(call.query.get("after") ?? "");
  if (after === undefined || after.length > 32) throw new Problem("bad-request", "after is no id");
  return after;
}

/** Whoever it may concern connects anew, and learns by that how it stands now. */
async function lookAgain(
  { services: { store, disconnect, disconnectVault } }: Context,
  id: Uint8Array,
  kind: EdgeKind | "group" = id.length === 32 ? "person" : "group",
): Promise<void> {
  switch (kind) {
    case "device":
      return disconnect(id);
    case "vault":
      return disconnectVault(id);
    case "group":
      for (const vault of await store.edges(id, "vault")) disconnectVault(vault);
      return undefined;
    case "person":
      for (const { device } of await store.accountDevices(id)) disconnect(device);
      return undefined;
  }
}

function countOf(body: unknown, name: string, fallback: number, most: number): number {
  const value = fieldOf(body, name) ?? fallback;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1 || value > most)
    throw new Problem("bad-request", `${name} is no whole number up to ${most}`);
  return value;
}
