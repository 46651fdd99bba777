/**
 * What a route is: address, who may use it, how much it takes. Everything that must hold for all
 * routes is decided from this, before a handler runs; a route without a policy does not compile.
 */
import { fromBase64Url } from "@tidelock/core/bytes/base64url";
import type { Terms } from "../auth/terms.ts";
import type { Session } from "../auth/token.ts";
import type { Standing } from "../log/access.ts";
import { Problem } from "../problem.ts";
import type { Services } from "../services.ts";
import type { AuditRow, VaultRow } from "../store.ts";
import { addressClass } from "./address-class.ts";
import type { Answer, Call } from "./call.ts";

/**
 * Who may use it. `open`: anybody. `device`: whoever is signed in. The others are about the vault in
 * the address: `join` also lets in a device whose person is a member and which nothing has admitted;
 * `past` also one that was removed, for what was there until then; `member` only who was admitted;
 * `owner` also where the vault is deleted. `operator`: whoever has the token of the server's
 * operator, and no device.
 */
export type Policy =
  | "open"
  | "device"
  | "past"
  | "join"
  | "member"
  | "write"
  | "admin"
  | "owner"
  | "operator";

export type BodyKind = "none" | "json" | "binary";

/** A limit by caller; the numbers are in `limits.ts`. */
export type RateName =
  | "challenge"
  | "sign-in"
  | "append"
  | "write"
  | "read"
  | "reserve"
  | "slot"
  | "operator"
  | "vault";

export interface Context {
  readonly call: Call;
  readonly services: Services;
  /** Parts of the path, by their names. */
  readonly params: Readonly<Record<string, string>>;
  /** Undefined on open routes, and on those of the operator. */
  readonly session: Session | undefined;
  /** On routes of a vault. */
  readonly vault: VaultContext | undefined;
}

export interface VaultContext {
  readonly row: VaultRow;
  readonly standing: Standing;
  /** Of whoever asks, as it arrived. */
  readonly terms: Terms;
}

export interface Route {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE";
  /**
   * `{v}` vault, `{b}` blob, `{d}` device, `{p}` person: 32 bytes; `{r}` rendezvous, `{g}` group: 16 bytes;
   * `{s}` person or group; `{slot}`: 1 or 2.
   */
  readonly path: string;
  readonly policy: Policy;
  /** The session must be younger than a minute. */
  readonly fresh?: true;
  readonly body: BodyKind;
  /** Most bytes of the body. */
  readonly most: number;
  readonly rate: RateName | undefined;
  readonly summary: string;
  /** What it answers beside the problems that any route may give. */
  readonly answers: Readonly<Record<number, string>>;
  readonly handle: (context: Context) => Promise<Answer>;
}

/** An id of the path. Its form was checked when the route was found. */
export function idParam(context: Context, name: string): Uint8Array {
  return fromBase64Url(context.params[name] ?? "") ?? new Uint8Array(0);
}

export function sessionOf(context: Context): Session {
  if (context.session === undefined) throw new RangeError("a route without a session");
  return context.session;
}

export function vaultOf(context: Context): VaultContext {
  if (context.vault === undefined) throw new RangeError("a route without a vault");
  return context.vault;
}

/** What is kept of an act: by whom, from where, and to what. */
export function auditOf(context: Context, action: string, object?: Uint8Array): AuditRow {
  const { call, services, session } = context;
  const address = addressClass(call.address);
  return { time: services.clock.now(), device: session?.device, action, object, address };
}

/** A whole number of the query, within bounds. */
export function numberQuery(call: Call, name: string, fallback: number, most: number): number {
  const text = call.query.get(name);
  if (text === null) return fallback;
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= 0)) throw new Problem("bad-request", `${name} is no number`);
  return Math.min(value, most);
}
