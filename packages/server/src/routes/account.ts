/** Signing in, registering, one's own devices. */
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import { drawChallenge, register, signIn } from "../auth/sign-in.ts";
import { addressClass } from "../http/address-class.ts";
import { empty, json, readBody } from "../http/call.ts";
import { auditOf, type Context, idParam, type Route, sessionOf } from "../http/route.ts";
import { notFound, Problem } from "../problem.ts";
import type { Deletion } from "../store.ts";
import { usageJson } from "./usage.ts";

const JSON_BODY = 64 << 10;

export async function jsonBody({ call }: Context, most: number = JSON_BODY): Promise<unknown> {
  const bytes = await readBody(call, most);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new Problem("bad-request", "the body is no JSON");
  }
}

export const accountRoutes: readonly Route[] = [
  {
    method: "POST",
    path: "/v1/auth/challenge",
    policy: "open",
    body: "json",
    most: JSON_BODY,
    rate: "challenge",
    summary: "Draws a challenge for a device to sign",
    answers: { 200: "{challenge, aud, expires}" },
    handle: async (context) => json(200, await drawChallenge(context.services, await jsonBody(context))),
  },
  {
    method: "POST",
    path: "/v1/auth/token",
    policy: "open",
    body: "json",
    most: JSON_BODY,
    rate: "sign-in",
    summary: "Signs a device in: {device, challenge, certificates, signature}",
    answers: { 200: "{person, token, expires}" },
    handle: async (context) => json(200, await signIn(context.services, await jsonBody(context))),
  },
  {
    method: "POST",
    path: "/v1/persons",
    policy: "open",
    body: "json",
    most: JSON_BODY,
    rate: "sign-in",
    summary: "Registers a person, and signs its device in: as above, with {registration}",
    answers: { 201: "{person, token, expires}" },
    handle: async (context) => {
      const from = addressClass(context.call.address);
      return json(201, await register(context.services, await jsonBody(context), from));
    },
  },
  {
    method: "GET",
    path: "/v1/persons/me",
    policy: "device",
    body: "none",
    most: 0,
    rate: "read",
    summary: "The account that is signed in: what it has, and what the operator says of it",
    answers: { 200: "{person, created, devices, vaults, bytes, entitlement}" },
    handle: async (context) => {
      const usage = await context.services.store.usageOf(sessionOf(context).person);
      if (usage === undefined) throw notFound();
      return json(200, usageJson(usage));
    },
  },
  {
    method: "DELETE",
    path: "/v1/persons/me",
    policy: "device",
    fresh: true,
    body: "none",
    most: 0,
    rate: "write",
    summary: "Closes the account and deletes its vaults; a registration token opens it again for 30 days",
    answers: { 204: "closed" },
    handle: async (context) => {
      await closeAccount(context, sessionOf(context).person, "owner");
      return empty(204);
    },
  },
  {
    method: "GET",
    path: "/v1/devices",
    policy: "device",
    body: "none",
    most: 0,
    rate: "read",
    summary: "The devices of the person who is signed in",
    answers: { 200: "{devices: [{device, added, seen, revoked}]}" },
    handle: async (context) => {
      const devices = await context.services.store.accountDevices(sessionOf(context).person);
      return json(200, {
        devices: devices.map(({ device, added, seen, revoked }) => ({
          device: toBase64Url(device),
          added,
          seen,
          revoked,
        })),
      });
    },
  },
  {
    method: "DELETE",
    path: "/v1/devices/{d}",
    policy: "device",
    fresh: true,
    body: "none",
    most: 0,
    rate: "write",
    summary: "Signs one of one's own devices out, for good; a vault's members are in its log",
    answers: { 204: "signed out" },
    handle: async (context) => {
      const { store, disconnect } = context.services;
      const device = idParam(context, "d");
      const { person } = sessionOf(context);
      const done = await store.revokeDevice(person, device, auditOf(context, "sign-out", device));
      if (!done) throw notFound();
      disconnect(device);
      return empty(204);
    },
  },
];

/** False where there is no such person. */
export async function closeAccount(
  context: Context,
  person: Uint8Array,
  by: Deletion["by"],
): Promise<boolean> {
  const { store, clock, disconnect, disconnectVault } = context.services;
  const deletion = { at: clock.now(), by };
  const vaults = await store.vaultsOf(person);
  const done = await store.closePerson(person, deletion, auditOf(context, "close-account", person));
  for (const { device } of await store.accountDevices(person)) disconnect(device);
  // Those whom he shared a vault with have lost it too.
  for (const { row, member } of vaults) if (member.level === "owner") disconnectVault(row.vault);
  return done;
}
