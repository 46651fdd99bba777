/** Packs of content, under the SHA-256 of their bytes. */
import { fromBase64Url, toBase64Url } from "@tidelock/core/bytes/base64url";
import { concat } from "@tidelock/core/bytes/bytes";
import { limits } from "@tidelock/core/bytes/limits";
import type { Terms } from "../auth/terms.ts";
import { type Answer, BINARY, declaredLength, empty, json } from "../http/call.ts";
import { auditOf, type Context, idParam, type Route, sessionOf, vaultOf } from "../http/route.ts";
import { notFound, Problem } from "../problem.ts";
import type { Services } from "../services.ts";
import { SPARED, sparedAt, type VaultState } from "../store.ts";
import { jsonBody } from "./account.ts";
import { freeOf } from "./usage.ts";

/** Names of as many blobs as one call takes. */
const DELETE_BODY = limits.blobsPerCall * 64;
const base = { path: "/v1/vaults/{v}/blobs/{b}" } as const;

export const blobRoutes: readonly Route[] = [
  {
    method: "PUT",
    ...base,
    policy: "write",
    body: "binary",
    most: limits.blob,
    rate: "write",
    summary: "Stores a blob, and answers once it is durable; again mends a damaged one",
    answers: { 200: "it was there", 201: "stored" },
    handle: async (context) => {
      const { services, call } = context;
      const { row, terms } = vaultOf(context);
      const id = idParam(context, "b");
      const length = declaredLength(call, limits.blob);
      if (length === 0) throw new Problem("bad-request", "a blob has at least one byte");
      const { store, clock, blobs, uploads, turns } = services;
      const known = await store.blob(row.vault, id);
      const { person } = sessionOf(context);
      const state = await store.state({ vault: row.vault, devices: [], persons: [person], placed: [] });
      if (state === undefined) throw notFound();
      const spared = known === undefined && isSpared(services, state, terms, person, length);
      const counted = spared ? concat(row.vault, person) : row.vault;
      const put = async (): Promise<Answer> => {
        const stored = await blobs.put(row.vault, id, bounded(call.body, length));
        if (stored === "mismatch") throw new Problem("hash-mismatch", "the bytes have another hash");
        if (known !== undefined) return empty(200);
        const one = { id, size: stored.size, storedAt: clock.now() };
        await store.addBlob(row.vault, one, spared ? person : undefined);
        return empty(201);
      };
      return uploads.run(counted, known === undefined ? length : 0, () =>
        turns.take(concat(row.vault, id), put),
      );
    },
  },
  {
    method: "GET",
    ...base,
    policy: "join",
    body: "none",
    most: 0,
    rate: "read",
    summary: "A blob, or one range of it",
    answers: { 200: "its bytes", 206: "the range" },
    handle: (context) => getBlob(context, true),
  },
  {
    method: "HEAD",
    ...base,
    policy: "join",
    body: "none",
    most: 0,
    rate: "read",
    summary: "Whether a blob is there, and its size",
    answers: { 200: "it is" },
    handle: (context) => getBlob(context, false),
  },
  {
    method: "GET",
    path: "/v1/vaults/{v}/blobs",
    policy: "join",
    body: "none",
    most: 0,
    rate: "read",
    summary: "The blobs that are there, in the order of their ids: ?after",
    answers: { 200: "{blobs: [{id, size, storedAt}]}" },
    handle: async (context) => {
      const text = context.call.query.get("after") ?? "";
      const after = fromBase64Url(text);
      if (after === undefined || after.length > 32) throw new Problem("bad-request", "after is no id");
      const rows = await context.services.store.blobs(vaultOf(context).row.vault, after, limits.blobsPerCall);
      return json(200, { blobs: rows.map((one) => ({ ...one, id: toBase64Url(one.id) })) });
    },
  },
  {
    method: "POST",
    path: "/v1/vaults/{v}/blobs/delete",
    policy: "write",
    body: "json",
    most: DELETE_BODY,
    rate: "write",
    summary: "Sets blobs aside that the log gave up at least 72 hours ago: {ids, condemnedAt}",
    answers: { 200: "{early: [id]}: those that stay, for their time" },
    handle: async (context) => {
      const { clock, store } = context.services;
      const { ids, condemnedAt } = parseDelete(await jsonBody(context, DELETE_BODY));
      const now = clock.now();
      const asked = { ids, condemnedAt, now, until: now - limits.blobGrace };
      const { vault } = vaultOf(context).row;
      const early = await store.setBlobsAside(vault, asked, auditOf(context, "delete-blobs"));
      return json(200, { early: early.map(toBase64Url) });
    },
  },
  {
    method: "POST",
    path: "/v1/vaults/{v}/blobs/restore",
    policy: "owner",
    body: "none",
    most: 0,
    rate: "write",
    summary: "Takes back what was set aside within 7 days",
    answers: { 200: "{restored}" },
    handle: async (context) => {
      const { vault } = vaultOf(context).row;
      const restored = await context.services.store.restoreBlobs(vault, auditOf(context, "restore-blobs"));
      return json(200, { restored });
    },
  },
];

function parseDelete(body: unknown): {
  readonly ids: readonly Uint8Array[];
  readonly condemnedAt: number;
} {
  const { ids: texts, condemnedAt } = (typeof body === "object" && body !== null ? body : {}) as Record<
    string,
    unknown
  >;
  if (!Array.isArray(texts) || texts.length > limits.blobsPerCall)
    throw new Problem("bad-request", `ids is a list of up to ${limits.blobsPerCall}`);
  if (!Number.isSafeInteger(condemnedAt) || (condemnedAt as number) < 1)
    throw new Problem("bad-request", "condemnedAt is the number of an entry");
  const ids = texts.map((text) => {
    const id = typeof text === "string" ? fromBase64Url(text) : undefined;
    if (id?.length !== 32) throw new Problem("bad-request", "an id has 32 bytes");
    return id;
  });
  return { ids, condemnedAt: condemnedAt as number };
}

/**
 * Whether a blob is one of the few that are taken though there is no room, or no plan: a removal
 * brings the list of envelopes of the new epoch. Throws where it is too much even for that. Waits for
 * nothing: what it finds is counted before anybody else looks.
 */
function isSpared(
  services: Services,
  { row, spared }: VaultState,
  terms: Terms,
  person: Uint8Array,
  length: number,
): boolean {
  if (terms.covered && length <= freeOf(services, row, terms)) return false;
  const { clock, uploads } = services;
  const used = sparedAt(spared[0], clock.now()) + uploads.of(concat(row.vault, person));
  if (used + length <= SPARED.blobs) return true;
  throw terms.covered
    ? new Problem("quota", "the vault has used up its room")
    : new Problem("no-plan", "no plan and no seat covers this person here");
}

async function getBlob(context: Context, wanted: boolean): Promise<Answer> {
  const { services, call } = context;
  const { row } = vaultOf(context);
  const id = idParam(context, "b");
  const known = await services.store.blob(row.vault, id);
  if (known === undefined) throw new Problem("blob-missing", "no such blob");
  const range = rangeOf(call.header("range"), known.size);
  const { from, to } = range ?? { from: 0, to: known.size };
  const headers = {
    "content-type": BINARY,
    "content-length": String(to - from),
    "accept-ranges": "bytes",
    // Named by its content: it never changes under its name.
    "cache-control": "private, max-age=31536000, immutable",
    etag: `"${context.params["b"] ?? ""}"`,
    ...(range === undefined ? {} : { "content-range": `bytes ${from}-${to - 1}/${known.size}` }),
  };
  const status = range === undefined ? 200 : 206;
  if (!wanted) return { status, headers, body: undefined };
  const body = await services.blobs.get(row.vault, id, from, to);
  // Its row is there and its bytes are not: what that means is for whoever runs the server to find out.
  if (body === undefined) {
    services.log.event("blob.gone");
    throw new Problem("blob-missing", "no such blob");
  }
  return { status, headers, body };
}

/** RFC 9110, 14.2: one range of bytes; a form that is not understood is as if it were not there. */
function rangeOf(header: string | undefined, size: number): { from: number; to: number } | undefined {
  const found = /^bytes=(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))$/.exec(header ?? "");
  if (found === null) return undefined;
  const [, first, last, suffix] = found;
  const from = suffix === undefined ? Number(first) : Math.max(0, size - Number(suffix));
  const to = suffix === undefined && last !== "" ? Math.min(size, Number(last) + 1) : size;
  if (from >= to) throw new Problem("bad-range", `the blob has ${size} bytes`);
  return { from, to };
}

async function* bounded(
  body: AsyncIterable<Uint8Array> | undefined,
  length: number,
): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const part of body ?? []) {
    size += part.length;
    if (size > length) throw new Problem("bad-request", "the body is longer than it says");
    yield part;
  }
  if (size !== length) throw new Problem("bad-request", "the body is shorter than it says");
}
