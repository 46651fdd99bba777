/** Signed heads of devices, and the two slots through which devices meet. */
import { fromBase64Url, toBase64Url } from "@tidelock/core/bytes/base64url";
import { limits } from "@tidelock/core/bytes/limits";
import { fieldOf } from "../auth/sign-in.ts";
import { binary, empty, json, readBody } from "../http/call.ts";
import { type Context, idParam, numberQuery, type Route, sessionOf, vaultOf } from "../http/route.ts";
import { notFound, Problem } from "../problem.ts";
import type { Slot } from "../store.ts";
import { jsonBody } from "./account.ts";

/** Of an invite; a typed code asks for ten minutes. */
const LONGEST_CODE = 7 * 86_400_000;
const LONG_POLL = 25_000;

export const noteRoutes: readonly Route[] = [
  {
    method: "PUT",
    path: "/v1/vaults/{v}/notes",
    policy: "member",
    body: "binary",
    most: limits.note,
    rate: "write",
    summary: "This device's note, in place of its one before",
    answers: { 204: "kept" },
    handle: async (context) => {
      const { store, clock } = context.services;
      const { row } = vaultOf(context);
      const note = await readBody(context.call, limits.note);
      await store.putNote(row.vault, { device: sessionOf(context).device, time: clock.now(), note });
      return empty(204);
    },
  },
  {
    method: "GET",
    path: "/v1/vaults/{v}/notes",
    policy: "join",
    body: "none",
    most: 0,
    rate: "read",
    summary: "The newest note of each device",
    answers: { 200: "{notes: [{device, time, note}]}" },
    handle: async (context) => {
      const notes = await context.services.store.notes(vaultOf(context).row.vault);
      return json(200, {
        notes: notes.map(({ device, time, note }) => ({
          device: toBase64Url(device),
          time,
          note: toBase64Url(note),
        })),
      });
    },
  },
  {
    method: "POST",
    path: "/v1/rv",
    policy: "device",
    body: "json",
    most: 64 << 10,
    rate: "reserve",
    summary: "Reserves a rendezvous: {id: 16 bytes, lifeMs}",
    answers: { 201: "reserved" },
    handle: async (context) => {
      const { store, clock } = context.services;
      const body = await jsonBody(context);
      const [text, life] = [fieldOf(body, "id"), fieldOf(body, "lifeMs")];
      const id = typeof text === "string" && text.length < 32 ? fromBase64Url(text) : undefined;
      if (id?.length !== 16) throw new Problem("bad-request", "id is not 16 bytes in base64url");
      if (typeof life !== "number" || !(life > 0 && life <= LONGEST_CODE))
        throw new Problem("bad-request", "lifeMs is not up to seven days");
      if (!(await store.reserve(id, sessionOf(context).device, clock.now() + life)))
        throw new Problem("code-used", "this id is taken");
      return empty(201);
    },
  },
  {
    method: "DELETE",
    path: "/v1/rv/{r}",
    policy: "device",
    body: "none",
    most: 0,
    rate: "write",
    summary: "Calls a rendezvous off",
    answers: { 204: "it is gone" },
    handle: async (context) => {
      const done = await context.services.store.cancel(idParam(context, "r"), sessionOf(context).device);
      if (!done) throw notFound();
      return empty(204);
    },
  },
  {
    method: "PUT",
    path: "/v1/rv/{r}/{slot}",
    policy: "open",
    body: "binary",
    most: limits.rendezvous,
    rate: "slot",
    summary: "Puts an object into a slot, once",
    answers: { 204: "there" },
    handle: async (context) => {
      const { store, clock, slots } = context.services;
      const bytes = await readBody(context.call, limits.rendezvous);
      const done = await store.putSlot(idParam(context, "r"), slotOf(context), bytes, clock.now());
      if (done === "absent") throw new Problem("code-expired", "no such code, or it has run out");
      if (done === "used") throw new Problem("code-used", "something else was put there");
      slots.tell(slotKey(context));
      return empty(204);
    },
  },
  {
    method: "GET",
    path: "/v1/rv/{r}/{slot}",
    policy: "open",
    body: "none",
    most: 0,
    rate: "read",
    summary: "What is in a slot; waits up to 25 s for it: ?wait (ms)",
    answers: { 200: "its bytes", 204: "nothing yet" },
    handle: async (context) => {
      const { store, clock, slots } = context.services;
      const end = clock.mono() + numberQuery(context.call, "wait", 0, LONG_POLL);
      for (;;) {
        const left = end - clock.mono();
        // Before the look, so that what comes between the two is not missed.
        const wait = left > 0 ? slots.wait(slotKey(context), left) : undefined;
        const found = await store.slot(idParam(context, "r"), slotOf(context), clock.now());
        if (found === "absent") throw new Problem("code-expired", "no such code, or it has run out");
        if (found !== undefined) return binary(found);
        if (wait === undefined) return empty(204);
        await wait;
      }
    },
  },
];

function slotOf(context: Context): Slot {
  return context.params["slot"] === "1" ? 1 : 2;
}

function slotKey({ params }: Context): string {
  return `${params["r"]}/${params["slot"]}`;
}
