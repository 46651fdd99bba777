/** Signing in, registering, one's own devices. */
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import { drawChallenge, register, signIn } from "../auth/sign-in.ts";
import { empty, json, readBody } from "../http/call.ts";
import { type Context, idParam, type Route, sessionOf } from "../http/route.ts";
import { notFound, Problem } from "../problem.ts";

const JSON_BODY = 64 << 10;

export async function jsonBody({ call }: Context): Promise<unknown> {
  const bytes = await readBody(call, JSON_BODY);
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
    handle: async (context) => json(201, await register(context.services, await jsonBody(context))),
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
      const { store, clock } = context.services;
      const device = idParam(context, "d");
      const done = await store.revokeDevice(sessionOf(context).person, device, clock.now());
      if (!done) throw notFound();
      context.services.signedOut(toBase64Url(device));
      return empty(204);
    },
  },
];
