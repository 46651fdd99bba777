/** `verify`: everything this device holds, looked at again, and beside it the remote's own log. */

import { setImmediate as turn } from "node:timers/promises";
import { equalBytes } from "@tidelock/core/bytes/bytes";
import { deviceKeys, drawDeviceSeeds } from "@tidelock/core/crypto/identity";
import { getEntry } from "@tidelock/core/engine/entries";
import { failureCode } from "@tidelock/core/engine/failure";
import { createReplica, spacesWith } from "@tidelock/core/engine/replica";
import { type Replay, recomputeDigest, replayAgain, verifyChain } from "@tidelock/core/engine/verify";
import type { ErrorCode } from "@tidelock/core/errors";
import type { LogObject } from "@tidelock/core/ports";
import { openSqlStore } from "../store/sql-store.ts";
import { createKinds, spacesOf } from "./place.ts";
import type { Session } from "./session.ts";
import { answered } from "./stalls.ts";
import { optional } from "./status.ts";
import { STALL } from "./watchdog.ts";

export interface Check {
  readonly name: "file" | "chain" | "digest" | "replay" | "remote";
  readonly state: "ok" | "failed" | "skipped";
  readonly fact: string;
  /** The error this is, where it failed. */
  readonly code?: ErrorCode;
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly entries: number;
  readonly checks: readonly Check[];
}

export async function verifySession(session: Session): Promise<VerifyReport> {
  const checks = [
    fileCheck(session),
    chainCheck(session),
    digestCheck(session),
    await replayCheck(session),
    await remoteCheck(session),
  ];
  return { ok: checks.every((c) => c.state !== "failed"), entries: session.replica.cursor().applied, checks };
}

function fileCheck(session: Session): Check {
  const wrong = session.store.quickCheck();
  return wrong.length === 0
    ? ok("file", "SQLite finds the replica sound")
    : failed("file", "replica-damaged", `SQLite finds ${wrong.length} faults in the replica`);
}

function chainCheck(session: Session): Check {
  const { replica, suite } = session;
  const problem = replica.read((tx) => verifyChain(tx, suite, replica.vault));
  return problem === undefined
    ? ok("chain", `${replica.cursor().read} entries join from genesis on`)
    : failed("chain", "chain-broken", `entry ${problem.seq} does not join (${problem.what})`);
}

function digestCheck(session: Session): Check {
  const { replica, store, suite, kinds } = session;
  return recomputeDigest(store, suite, spacesWith(kinds.all)) === replica.digest()
    ? ok("digest", "every row of the state is as it was counted")
    : failed("digest", "replica-damaged", "the rows of the state do not add up to its digest");
}

/** Signatures and verdicts: the whole log, judged and reduced again in memory under keys of no device. */
async function replayCheck(session: Session): Promise<Check> {
  const { replica, suite, clock } = session;
  const kinds = createKinds(suite);
  const store = openSqlStore(":memory:", { spaces: spacesOf(kinds) });
  try {
    const scratch = createReplica(
      { suite, clock, point: () => undefined },
      {
        store,
        genesis: replica.genesis,
        keys: deviceKeys(suite, drawDeviceSeeds(suite)),
        localKey: suite.random(32),
        kinds: kinds.all,
      },
    );
    const steps = replayAgain(replica, scratch);
    for (;;) {
      const step = steps.next();
      if (step.done === true) {
        scratch.ring.wipe();
        return replayed(step.value, replica.digest(), replica.cursor().applied);
      }
      await turn();
    }
  } finally {
    store.close();
  }
}

function replayed(replay: Replay, digest: bigint, applied: number): Check {
  if (replay.stopped !== undefined)
    return failed(
      "replay",
      "bad-signature",
      `the log does not replay past entry ${replay.stopped.seq} (${replay.stopped.code})`,
    );
  if (replay.verdict !== undefined)
    return failed("replay", "replica-damaged", `entry ${replay.verdict} was judged otherwise before`);
  if (replay.digest !== digest || replay.entries !== applied)
    return failed("replay", "replica-damaged", "the log gives another state than this device holds");
  return ok("replay", `${applied} signatures and verdicts hold, and give this state`);
}

/** The remote must show what this device has seen, entry by entry. */
async function remoteCheck(session: Session): Promise<Check> {
  const { remote, replica, suite } = session;
  if (remote === undefined)
    return {
      name: "remote",
      state: "skipped",
      fact: session.copied ? "this home is a copy" : "this vault has no remote",
    };
  const { read } = replica.cursor();
  let after = 0;
  while (after < read) {
    const page = await answered(remote.read(after, { frames: 1024, bytes: 4 << 20 }), STALL);
    if (page === undefined) return failed("remote", "stalled", "the remote does not answer a read");
    if (page.kind !== "ok")
      return failed("remote", failureCode(page), "why" in page ? page.why : "the remote is busy");
    if (page.value.objects.length === 0)
      return failed(
        "remote",
        "rollback",
        `the remote ends at entry ${page.value.head}, this device has seen ${read}`,
      );
    for (const object of page.value.objects) {
      const other = replica.read((tx) =>
        differs(
          object,
          read,
          (seq) => getEntry(tx, seq),
          (bytes) => suite.sha256(bytes),
        ),
      );
      if (other !== undefined) return failed("remote", "fork", `entry ${other} is another one on the remote`);
      after = object.first + (object.kind === "page" ? object.entries.length : 1) - 1;
    }
  }
  return ok("remote", `the remote shows the same ${read} entries`);
}

function differs(
  object: LogObject,
  read: number,
  ours: (seq: number) => ReturnType<typeof getEntry>,
  sha256: (bytes: Uint8Array) => Uint8Array,
): number | undefined {
  const first = ours(object.first);
  // Taken as one void entry, whatever it holds: known by the hash of the whole object.
  if (object.kind === "garbage" || (first !== undefined && first.frame === undefined))
    return first === undefined || equalBytes(first.id, object.hash) ? undefined : object.first;
  for (const [i, { time, frame }] of object.entries.entries()) {
    const seq = object.first + i;
    if (seq > read) return undefined;
    const known = ours(seq);
    if (known === undefined || known.time !== time || !equalBytes(known.id, sha256(frame))) return seq;
  }
  return undefined;
}

function ok(name: Check["name"], fact: string): Check {
  return { name, state: "ok", fact };
}

function failed(name: Check["name"], code: ErrorCode, fact: string): Check {
  return { name, state: "failed", fact, ...optional("code", code) };
}
