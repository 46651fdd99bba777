/**
 * Coming in by an invite: what this device is called and holds goes to where the inviter looks, sealed; whoever may
 * lets it in, and it joins what the log then says. The keys rest here before anything leaves, so that the same
 * command goes on after it was cut short. Rules INV1 to INV4.
 */
import { rmSync } from "node:fs";
import { equalBytes, toHex } from "@tidelock/core/bytes/bytes";
import { deviceKeys, personKeys, wipeKeys } from "@tidelock/core/crypto/identity";
import { failureCode } from "@tidelock/core/engine/failure";
import { TidelockError } from "@tidelock/core/errors";
import type { Failure } from "@tidelock/core/ports";
import { issueCertificate } from "@tidelock/core/vault/certificate";
import {
  type Head,
  type InviteKeys,
  type InviteLink,
  inviteKeys,
  openGuest,
  openWelcome,
  sealGuest,
} from "@tidelock/core/vault/invite";
import { joinBytes } from "@tidelock/core/vault/records";
import { createScheduler } from "../env.ts";
import { joinHome } from "./join-home.ts";
import { prepareSecrets } from "./own-secrets.ts";
import { placeOf } from "./place.ts";
import { parseRemote } from "./remote.ts";
import { meetingAt } from "./server.ts";
import { needEmptyHome, type Setup } from "./setup.ts";

export interface AcceptOptions {
  readonly link: InviteLink;
  readonly registration?: Uint8Array | undefined;
  /** What the others call this person. */
  readonly name: string;
  readonly deviceName: string;
  readonly entropy: Uint8Array;
}

/** How long somebody may take to let a guest in, ms, where no time was given. */
const PATIENCE = 600_000;
const LONG_POLL = 25_000;

type Meeting = ReturnType<typeof meetingAt>;

export async function acceptInvite(setup: Setup, options: AcceptOptions): Promise<void> {
  const { suite, clock, paths } = setup;
  const { link, entropy, registration, name, deviceName } = options;
  needEmptyHome(paths);
  const remote = parseRemote(link.remote);
  const place = placeOf(paths, toHex(link.vault));
  const prepared = await prepareSecrets(setup, place);
  const keys = inviteKeys(suite, link.vault, link.secret);
  const person = personKeys(suite, entropy);
  const device = deviceKeys(suite, prepared.secrets.seeds);
  const certificates = [issueCertificate(suite, person, device, clock.now()).bytes];
  const joinSignature = suite.sign(joinBytes(link.vault, person, device, keys.id), device.signSecret);
  const message = sealGuest(suite, keys, { certificates, joinSignature, name, deviceName });
  const scheduler = createScheduler();
  const meeting = meetingAt(remote, keys.meeting, scheduler);
  const join = (...floors: readonly Head[]): Promise<void> =>
    joinHome(setup, { remote, registration, deviceName, entropy, expected: link.vault, prepared, floors });
  try {
    const sent = await handOver(setup, meeting, keys, link.vault, message, device.sign);
    const head = await welcome(setup, meeting, keys, sent);
    await join(link.head, head);
  } catch (error) {
    // Let in, and the welcome was lost: the log says so too.
    if (error instanceof TidelockError && lost.has(error.code) && (await orNothing(join(link.head)))) return;
    if (error instanceof TidelockError && final.has(error.code))
      rmSync(place.folder, { recursive: true, force: true });
    throw error;
  } finally {
    meeting.close();
    scheduler.close();
    wipeKeys(suite, person);
    wipeKeys(suite, device);
  }
}

const lost: ReadonlySet<string> = new Set(["timeout", "code-expired"]);
/** Nothing can come of it any more. */
const final: ReadonlySet<string> = new Set(["code-expired", "code-used", "no-access"]);

export function isFinal(error: unknown): boolean {
  return error instanceof TidelockError && final.has(error.code);
}

/** Puts the message there; after a set-up that was cut short it is there already, under another nonce. */
async function handOver(
  { suite }: Setup,
  meeting: Meeting,
  keys: InviteKeys,
  vault: Uint8Array,
  message: Uint8Array,
  own: Uint8Array,
): Promise<Uint8Array> {
  const put = await meeting.put(1, message);
  if (put.kind === "ok") return message;
  if (put.kind !== "used") throw failed(put);
  const there = await meeting.get(1, 0);
  if (there.kind !== "ok") throw failed(there);
  const opened = there.value === undefined ? null : openGuest(suite, keys, vault, there.value);
  if (there.value !== undefined && opened !== null && equalBytes(opened.certificate.device.sign, own))
    return there.value;
  throw new TidelockError("code-used", { why: "another device has answered this invite" });
}

/** Where the log stands since the guest is in. */
async function welcome(
  { suite, timeoutMs = PATIENCE }: Setup,
  meeting: Meeting,
  keys: InviteKeys,
  sent: Uint8Array,
): Promise<Head> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const left = end - performance.now();
    if (left <= 0)
      throw new TidelockError("timeout", {
        why: "nobody has let you in yet: a device of the owner or an admin must be at work",
        next: "the same command again; it goes on from here",
      });
    const found = await meeting.get(2, Math.min(left, LONG_POLL));
    if (found.kind !== "ok") throw failed(found);
    if (found.value === undefined) continue;
    const said = openWelcome(suite, keys, sent, found.value);
    // Not from who made the invite: the log alone can say more.
    if (said === null)
      throw new TidelockError("code-expired", { why: "the answer is not from who invited you" });
    if (said.kind === "admitted") return said.head;
    throw new TidelockError("no-access", {
      why: "the invite is no longer good",
      next: "ask whoever invited you for a new one",
    });
  }
}

function failed(result: Failure | { readonly kind: "gone" }): TidelockError {
  if (result.kind === "gone")
    return new TidelockError("code-expired", { why: "the server knows no such invite" });
  return new TidelockError(failureCode(result), { why: "why" in result ? result.why : "the server is busy" });
}

/** Whether it went through; why not says less than what came before it. */
async function orNothing(work: Promise<void>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}
