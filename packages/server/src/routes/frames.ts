/** The log: appending to it and reading it. */
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import { limits } from "@tidelock/core/bytes/limits";
import { encodePageItem, FRAME_LIST, parseFrameList } from "@tidelock/core/log/frame-list";
import { encodePage } from "@tidelock/core/log/page";
import { addressClass } from "../http/address-class.ts";
import { BINARY, empty, json, readBody } from "../http/call.ts";
import { numberQuery, type Route, sessionOf, vaultOf } from "../http/route.ts";
import { parseSent } from "../log/plan.ts";
import { notFound, Problem } from "../problem.ts";
import type { LogStore } from "../store.ts";
import { fullnessOf } from "./usage.ts";

/** Entries of one answer, and of one piece of it: a slow reader holds one piece. */
const ANSWER = { frames: 1024, bytes: 4 << 20 };
const PIECE = { frames: limits.framesPerAppend, bytes: 256 << 10 };
const FAR = 2 ** 52;

export const frameRoutes: readonly Route[] = [
  {
    method: "POST",
    path: "/v1/vaults/{v}/frames",
    policy: "join",
    body: "binary",
    most: FRAME_LIST,
    rate: "append",
    summary: "Appends a frame list, all or none, and answers once it is durable",
    answers: { 200: "{first, time, head: {seq, hash}, again}", 412: "behind", 422: "op-reused, rejected" },
    handle: async (context) => {
      const { services, call } = context;
      const frames = parseFrameList(await readBody(call, FRAME_LIST));
      const sent = frames === null ? null : parseSent(services.suite, frames);
      if (sent === null) throw new Problem("rejected", "the body is no frame list of one device");
      const { device, person } = sessionOf(context);
      const started = services.clock.mono();
      const { row, terms } = vaultOf(context);
      const answer = await services.queue.append(row.vault, {
        sender: { device, person, address: addressClass(call.address) },
        terms,
        frames: sent,
      });
      const result = answer.kind === "placed" ? (answer.again ? "again" : "placed") : answer.code;
      services.metrics.count("tidelock_appends_total", { result });
      services.metrics.seconds("tidelock_append_seconds", (services.clock.mono() - started) / 1000);
      if (answer.kind === "refused")
        throw answer.code === "not-found" ? notFound() : new Problem(answer.code, answer.why);
      const { first, time, head, again } = answer;
      return json(200, { first, time, head: { seq: head.seq, hash: toBase64Url(head.hash) }, again });
    },
  },
  {
    method: "GET",
    path: "/v1/vaults/{v}/frames",
    policy: "past",
    body: "none",
    most: 0,
    rate: "read",
    summary: "Entries after a seq as a page list: ?after&frames&bytes",
    answers: {
      200: "pages, with Tidelock-Head, Tidelock-Plan: none where no plan covers who asks, Tidelock-Used: percent of the room from 90 on",
      204: "nothing follows, with Tidelock-Head",
    },
    handle: async (context) => {
      const { call, services } = context;
      const { row, standing, terms } = vaultOf(context);
      // The removed learns of it as everybody does, by a signed entry, and sees nothing after that.
      const head = standing.kind === "removed" ? standing.at : row.head.seq;
      const after = numberQuery(call, "after", 0, FAR);
      const wanted = Math.max(1, numberQuery(call, "frames", ANSWER.frames, ANSWER.frames));
      const frames = Math.min(wanted, Math.max(0, head - after));
      const bytes = Math.max(1, numberQuery(call, "bytes", ANSWER.bytes, ANSWER.bytes));
      const full = standing.kind === "removed" ? undefined : fullnessOf(services, row, terms);
      // Who only reads learns by it that a plan ended or its room does, before he has something to send.
      const headers = {
        "tidelock-head": String(head),
        ...(terms.covered ? {} : { "tidelock-plan": "none" }),
        ...(full === undefined ? {} : { "tidelock-used": String(full) }),
      };
      const pages = readPages(services.store, row.vault, after, { frames, bytes });
      // The first piece now: what fails before it still has a proper answer.
      const first = await pages.next();
      if (first.done === true) return empty(204, headers);
      return {
        status: 200,
        headers: { "content-type": BINARY, ...headers },
        body: prepended(first.value, pages),
      };
    },
  },
];

async function* readPages(
  store: LogStore,
  vault: Uint8Array,
  after: number,
  want: { readonly frames: number; readonly bytes: number },
): AsyncGenerator<Uint8Array, undefined> {
  let [seq, frames, bytes] = [after, 0, 0];
  while (frames < want.frames && bytes < want.bytes) {
    const most = {
      frames: Math.min(PIECE.frames, want.frames - frames),
      bytes: Math.min(PIECE.bytes, want.bytes - bytes),
    };
    const entries = await store.entries(vault, seq, most);
    const first = entries[0];
    if (first === undefined) return undefined;
    for (const { frame } of entries) bytes += frame.length;
    frames += entries.length;
    seq += entries.length;
    yield encodePageItem(encodePage({ first: first.seq, prev: null, entries }));
  }
  return undefined;
}

async function* prepended(first: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield first;
  yield* rest;
}
