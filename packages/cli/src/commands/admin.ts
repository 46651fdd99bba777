/** `server admin`: what whoever runs a server says of accounts, plans and groups, over its own addresses. */
import { randomBytes } from "node:crypto";
import { TidelockError } from "@tidelock/core/errors";
import { parseRemote } from "@tidelock/node/vault/remote";
import { type Admin, createAdmin } from "../admin-client.ts";
import { agreed } from "../agreed.ts";
import { bytesOf } from "../bytes.ts";
import type { Context } from "../context.ts";
import { duration } from "../duration.ts";
import { columns } from "../output.ts";
import { operatorTokenOf } from "../secrets.ts";
import { type Entitlement, entitlementText, planOf } from "./plan.ts";

type Given = Record<string, unknown>;

interface Usage {
  readonly person: string;
  readonly closed?: number;
  readonly devices: number;
  readonly vaults: number;
  readonly bytes: number;
  readonly entitlement: Entitlement | null;
}

interface Group {
  readonly group: string;
  readonly persons: number;
  readonly devices: number;
  readonly vaults: number;
  readonly entitlement: Entitlement | null;
}

interface Event {
  readonly n: number;
  readonly time: number;
  readonly vault?: string;
  readonly device?: string;
  readonly action: string;
  readonly object?: string;
  readonly address: string;
}

const kinds = { person: "persons", device: "devices", vault: "vaults" } as const;
const GROUP = 16;

export async function usage(ctx: Context, given: Given): Promise<undefined> {
  const persons = await (await open(ctx, given)).pages<Usage>("/usage", "persons", ({ person }) => person);
  ctx.out.data("AdminUsage", { persons }, () =>
    columns([
      ["PERSON", "VAULTS", "BYTES", "DEVICES", "PLAN"],
      ...persons.map((one) => [
        one.person,
        String(one.vaults),
        bytesOf(one.bytes),
        String(one.devices),
        one.closed === undefined ? entitlementText(one.entitlement) : "closed",
      ]),
    ]),
  );
}

export async function audit(ctx: Context, given: Given): Promise<undefined> {
  const before = typeof given["before"] === "string" ? `?before=${encodeURIComponent(given["before"])}` : "";
  const { events } = await (await open(ctx, given)).ask<{ events: readonly Event[] }>(
    "GET",
    `/audit${before}`,
  );
  ctx.out.data("AdminAudit", { events }, () =>
    columns(
      events.map(({ n, time, device, action, object, address }) => [
        String(n),
        new Date(time).toISOString(),
        action,
        address,
        device ?? "operator",
        object ?? "",
      ]),
    ),
  );
}

export async function token(ctx: Context, given: Given): Promise<undefined> {
  const { uses, for: span } = given;
  const body = {
    ...(typeof uses === "string" ? { uses: wholeNumber(uses, "--uses") } : {}),
    ...(typeof span === "string" ? { lifeMs: duration(span, "--for wants a span of time", "--for 7d") } : {}),
  };
  const made = await (await open(ctx, given)).ask<{ token: string }>("POST", "/registration-tokens", body);
  ctx.out.data("Server", { token: made.token }, () => [made.token]);
}

export async function plan(ctx: Context, given: Given, subject = ""): Promise<undefined> {
  const admin = await open(ctx, given);
  const path = `/entitlements/${idOf(subject)}`;
  const before = (await admin.ask<{ entitlement: Entitlement | null }>("GET", path)).entitlement;
  const words = planOf(given);
  if (Object.keys(words).length === 0) return told(ctx, subject, before);
  return put(ctx, admin, subject, { ...fresh, ...words, version: (before?.version ?? 0) + 1 });
}

const fresh: Omit<Entitlement, "version"> = { plans: [], state: "active" };

export function suspend(ctx: Context, given: Given, subject = ""): Promise<undefined> {
  return turn(ctx, given, subject, "lapsed");
}

export function resume(ctx: Context, given: Given, subject = ""): Promise<undefined> {
  return turn(ctx, given, subject, "active");
}

/** All else stays as it was said; a time that has come is over. */
async function turn(
  ctx: Context,
  given: Given,
  subject: string,
  state: Entitlement["state"],
): Promise<undefined> {
  const admin = await open(ctx, given);
  const { entitlement } = await admin.ask<{ entitlement: Entitlement | null }>(
    "GET",
    `/entitlements/${idOf(subject)}`,
  );
  const { until, version, ...rest } = entitlement ?? { ...fresh, version: 0, until: undefined };
  const ahead = until !== undefined && until > Date.now() ? { until } : {};
  return put(ctx, admin, subject, { ...rest, ...ahead, state, version: version + 1 });
}

async function put(ctx: Context, admin: Admin, subject: string, words: Entitlement): Promise<undefined> {
  const path = `/entitlements/${idOf(subject)}`;
  const { applied, entitlement } = await admin.ask<{ applied: boolean; entitlement: Entitlement }>(
    "PUT",
    path,
    words,
  );
  if (!applied)
    throw new TidelockError("exists", {
      why: "somebody else has said something newer of it meanwhile",
      next: `tidelock server admin plan ${subject}`,
    });
  return told(ctx, subject, entitlement);
}

function told(ctx: Context, subject: string, entitlement: Entitlement | null): undefined {
  ctx.out.data("AdminPlan", { subject, entitlement }, () => [entitlementText(entitlement)]);
}

export async function groups(ctx: Context, given: Given): Promise<undefined> {
  const all = await (await open(ctx, given)).pages<Group>("/groups", "groups", ({ group: id }) => id);
  ctx.out.data("AdminGroups", { groups: all }, () =>
    columns([
      ["GROUP", "PERSONS", "DEVICES", "VAULTS", "PLAN"],
      ...all.map((one) => [
        one.group,
        String(one.persons),
        String(one.devices),
        String(one.vaults),
        entitlementText(one.entitlement),
      ]),
    ]),
  );
}

export async function group(ctx: Context, given: Given, id = ""): Promise<undefined> {
  const found = await (await open(ctx, given)).ask<{
    readonly persons: readonly string[];
    readonly devices: readonly string[];
    readonly vaults: readonly string[];
    readonly entitlement: Entitlement | null;
  }>("GET", `/groups/${idOf(id)}`);
  ctx.out.data("AdminGroup", { group: id, ...found }, () =>
    columns([
      ["plan", entitlementText(found.entitlement)],
      ...found.persons.map((one) => ["person", one]),
      ...found.devices.map((one) => ["device", one]),
      ...found.vaults.map((one) => ["vault", one]),
    ]),
  );
}

export async function add(ctx: Context, given: Given, id = "", kind = "", of = ""): Promise<undefined> {
  const admin = await open(ctx, given);
  const drawn = id === "new" ? randomBytes(GROUP).toString("base64url") : idOf(id);
  await admin.ask("PUT", `/groups/${drawn}/${kindOf(kind)}/${idOf(of)}`);
  ctx.out.data("AdminActed", { group: drawn, id: of }, () => [drawn]);
}

export async function remove(ctx: Context, given: Given, id = "", kind = "", of = ""): Promise<undefined> {
  await (await open(ctx, given)).ask("DELETE", `/groups/${idOf(id)}/${kindOf(kind)}/${idOf(of)}`);
  ctx.out.data("AdminActed", { group: id, id: of }, () => [`${of} is not in it any more`]);
}

export async function close(ctx: Context, given: Given, id = ""): Promise<undefined> {
  await agreed(ctx, {
    would: "close this account and delete its vaults",
    text: "Closes this account and deletes its vaults, for everybody who is in them. For 30 days both can be taken back.",
    next: "tidelock server admin usage",
  });
  await (await open(ctx, given)).ask("DELETE", `/persons/${idOf(id)}`);
  ctx.out.data("AdminActed", { id }, () => ["closed; a registration token opens it again within 30 days"]);
}

export async function deleteVault(ctx: Context, given: Given, id = ""): Promise<undefined> {
  await agreed(ctx, {
    would: "delete this vault for everybody",
    text: "Deletes this vault for everybody who is in it. For 30 days you can take that back.",
    next: "tidelock server admin usage",
  });
  await (await open(ctx, given)).ask("DELETE", `/vaults/${idOf(id)}`);
  ctx.out.data("AdminActed", { id }, () => [
    `deleted; tidelock server admin restore ${id} takes it back within 30 days`,
  ]);
}

export async function restore(ctx: Context, given: Given, id = ""): Promise<undefined> {
  await (await open(ctx, given)).ask("POST", `/vaults/${idOf(id)}/restore`);
  ctx.out.data("AdminActed", { id }, () => ["it is there again"]);
}

async function open(ctx: Context, given: Given): Promise<Admin> {
  const secret = await operatorTokenOf(ctx, given);
  if (secret === undefined)
    throw new TidelockError("usage", {
      why: "these are for whoever runs the server, by the token it was started with",
      next: "set TIDELOCK_OPERATOR_TOKEN, or name it with --operator-token-file PATH",
    });
  const url = typeof given["url"] === "string" ? parseRemote(given["url"]) : "http://127.0.0.1:7433";
  return createAdmin(url, secret, ctx.timeoutMs);
}

/** As the server prints it, or in hexadecimal, as `status` tells a vault's. */
function idOf(text: string): string {
  if (/^(?:[0-9a-f]{32}|[0-9a-f]{64})$/.test(text)) return Buffer.from(text, "hex").toString("base64url");
  if (/^(?:[\w-]{22}|[\w-]{43})$/.test(text)) return text;
  throw new TidelockError("usage", {
    why: "ids are 43 letters and digits, those of groups 22",
    next: "tidelock server admin usage, or tidelock server admin groups",
  });
}

function kindOf(text: string): string {
  if (text === "person" || text === "device" || text === "vault") return kinds[text];
  throw new TidelockError("usage", {
    why: "what stands in a group is a person, a device or a vault",
    next: "tidelock server admin add GROUP person ID",
  });
}

function wholeNumber(text: string, flag: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new TidelockError("usage", { why: `${flag} wants a whole number above 0`, next: `${flag} 5` });
}
