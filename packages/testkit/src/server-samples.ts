/**
 * For which ids a server may be asked, and an honest request for each of its routes. A route with a
 * body and without a sample here is a route that nobody has tried to break: `samplesOf` refuses it.
 */
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import { encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { encodeFrameList } from "@tidelock/core/log/frame-list";
import type { MembershipRecord } from "@tidelock/core/vault/records";
import type { Route } from "@tidelock/server/http/route";
import type { Asker } from "./server-askers.ts";
import { blobOf, type Cast, proofOf } from "./server-cast.ts";
import type { ServerStage, StageRequest } from "./server-stage.ts";
import { TestVault } from "./vault-people.ts";

/** `gone`: another's too, and deleted by him. `another`: an id of one's own that names another kind of thing. */
export type IdKind = "own" | "foreign" | "gone" | "absent" | "malformed" | "another";

export interface Sample {
  readonly name: string;
  /** What the log's rules ask beyond the route's policy: docs/spec/server.md, SRV10 to SRV12. */
  readonly needs?: "editor" | "admin" | "admitted" | "joining";
  readonly body: Uint8Array | undefined;
}

/** What is made once and posted by many. */
export interface Prepared {
  readonly signIn: Uint8Array;
  readonly register: Uint8Array;
}

export async function prepare(stage: ServerStage, cast: Cast): Promise<Prepared> {
  const registration = toBase64Url(cast.registration);
  return {
    signIn: json(await proofOf(stage, cast.joining)),
    register: json({ ...(await proofOf(stage, cast.newcomer)), registration }),
  };
}

const some = (n: number): Uint8Array => new Uint8Array(n).fill(0xa5);
export const nobodysBlob = "a blob that is nowhere";

/** What stands for a parameter of an address; undefined where there is no such thing. */
export function idOf(
  name: string,
  kind: IdKind,
  { own, foreign, gone, device, rendezvous }: Asker,
): string | undefined {
  if (name === "slot") return { own: "1", malformed: "3" }[kind as string];
  if (kind === "gone") return name === "v" ? toBase64Url(gone.vault.id) : undefined;
  const { suite, id } = own.vault;
  const examples: Readonly<
    Record<string, Readonly<Record<Exclude<IdKind, "malformed" | "gone">, Uint8Array>>>
  > = {
    v: { own: id, foreign: foreign.vault.id, absent: some(32), another: own.blobId },
    b: {
      own: own.blobId,
      foreign: foreign.blobId,
      absent: blobOf(suite, nobodysBlob).blobId,
      another: id,
    },
    p: { own: device.person.id, foreign: foreign.vault.founder.person.id, absent: some(32), another: id },
    s: { own: device.person.id, foreign: foreign.vault.founder.person.id, absent: some(32), another: id },
    g: { own: some(16), foreign: some(16), absent: some(16), another: id.subarray(0, 16) },
    d: { own: device.id, foreign: foreign.vault.founder.id, absent: some(32), another: id },
    r: { own: rendezvous, foreign: foreign.rendezvous, absent: some(16), another: id.subarray(0, 16) },
  };
  const found = examples[name];
  if (found === undefined) throw new Error(`no examples of {${name}}: add them in ${import.meta.url}`);
  return toBase64Url(kind === "malformed" ? found.own.subarray(1) : found[kind]);
}

export const paramsOf = (path: string): readonly string[] =>
  [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as string);

export function requestOf(
  route: Route,
  asker: Asker,
  kinds: Readonly<Record<string, IdKind>>,
  body: Uint8Array | undefined,
): StageRequest {
  let { path } = route;
  for (const [name, kind] of Object.entries(kinds)) {
    const id = idOf(name, kind, asker);
    path = path.replace(`{${name}}`, id ?? "");
  }
  return { method: route.method, path, token: asker.token, bytes: body };
}

/** Honest requests to a route, as `asker` would make them. */
export function samplesOf(
  route: Route,
  asker: Asker,
  kinds: Readonly<Record<string, IdKind>>,
  { signIn, register }: Prepared,
): readonly Sample[] {
  if (route.body === "none") return [{ name: "", body: undefined }];
  const { device, own, foreign } = asker;
  const { suite } = own.vault;
  const one = (body: Uint8Array): readonly Sample[] => [{ name: "", body }];
  switch (`${route.method} ${route.path}`) {
    case "POST /v1/auth/challenge":
      return one(json({ device: toBase64Url(device.id) }));
    case "POST /v1/auth/token":
      return one(signIn);
    case "POST /v1/persons":
      return one(register);
    case "POST /v1/vaults":
      return one(new TestVault(suite, device).genesis.bytes);
    case "POST /v1/vaults/{v}/frames":
      return frames(asker);
    case "PUT /v1/vaults/{v}/blobs/{b}": {
      const bytes = { own: own.blob, foreign: foreign.blob }[kinds["b"] as string];
      return one(bytes ?? blobOf(suite, nobodysBlob).blob);
    }
    case "POST /v1/vaults/{v}/blobs/delete":
      return one(json({ ids: [own, foreign].map((place) => toBase64Url(place.blobId)), condemnedAt: 1 }));
    case "PUT /v1/vaults/{v}/notes":
    case "PUT /v1/rv/{r}/{slot}":
      return one(encodeUtf8("a few words"));
    case "POST /v1/rv":
      return one(json({ id: toBase64Url(suite.random(16)), lifeMs: 60_000 }));
    case "PUT /v1/admin/entitlements/{s}":
      return one(json({ version: 1, plans: ["basic"], state: "active" }));
    case "POST /v1/admin/registration-tokens":
      return one(json({}));
    default:
      throw new Error(
        `no honest request to ${route.method} ${route.path} is known: add one in ${import.meta.url}`,
      );
  }
}

function frames({ own: { vault, at, viewer }, device, claims: { index, next } }: Asker): readonly Sample[] {
  const list = (frame: Uint8Array): Uint8Array => encodeFrameList([frame]);
  const say = (record: MembershipRecord): Uint8Array => list(vault.say(device, index, next, [record], at));
  return [
    { name: "an edit", needs: "editor", body: list(vault.data(device, index, next, "an edit", at)) },
    { name: "an admission", needs: "joining", body: list(vault.admission(device, 6, at, next)) },
    { name: "a name", needs: "admitted", body: say({ type: "rename" }) },
    { name: "a role", needs: "admin", body: say({ type: "role", person: viewer, role: "editor" }) },
  ];
}

function json(value: unknown): Uint8Array {
  return encodeUtf8(JSON.stringify(value));
}
