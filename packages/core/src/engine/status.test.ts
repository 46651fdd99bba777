import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { HaltCode } from "./ingest.ts";
import { deriveStatus, type Facts, type StatusCode } from "./status.ts";

const live: Facts = {
  hasRemote: true,
  keysReadable: true,
  halt: undefined,
  diskFull: false,
  removed: false,
  denied: undefined,
  network: true,
  remoteReachable: true,
  paused: false,
  failed: undefined,
  stalled: false,
  quarantined: 0,
  openConflicts: 0,
  withheldDeletions: 0,
  pausedDatabases: 0,
  pausedFolders: 0,
  transition: undefined,
  pending: 0,
  behind: 0,
  unprojected: 0,
  keyArrived: true,
  fresh: true,
};

const halts: readonly HaltCode[] = [
  "fork",
  "rollback",
  "chain-broken",
  "op-reused",
  "replica-damaged",
  "update-needed",
];

/** Every way a fact can be bad, from the highest row to the lowest, with the code it alone leads to. */
const faults: readonly (readonly [StatusCode, Partial<Facts>])[] = [
  ["local", { hasRemote: false }],
  ["keyring", { keysReadable: false }],
  ...halts.map((halt): readonly [StatusCode, Partial<Facts>] => ["halted", { halt }]),
  ["halted", { diskFull: true }],
  ["no-access", { removed: true }],
  ["no-access", { denied: "device-removed" }],
  ["no-access", { denied: "signed-out" }],
  ["no-access", { denied: "not-in-group" }],
  ["no-access", { denied: "vault-deleted" }],
  ["login", { denied: "account-closed" }],
  ["login", { denied: "login" }],
  ["upgrade", { denied: "payment" }],
  ["no-network", { network: false }],
  ["offline", { paused: true }],
  ["offline", { remoteReachable: false }],
  ["error", { failed: "remote-corrupt" }],
  ["error", { failed: "quota" }],
  ["error", { quarantined: 2 }],
  ["error", { stalled: true }],
  ["conflict", { openConflicts: 2 }],
  ["conflict", { withheldDeletions: 240 }],
  ["conflict", { pausedDatabases: 1 }],
  ["conflict", { pausedFolders: 1 }],
  ["connecting", { transition: "connecting" }],
  ["syncing", { transition: "syncing" }],
  ["pending", { keyArrived: false }],
  ["pending", { pending: 3 }],
  ["pending", { behind: 1 }],
  ["pending", { unprojected: 1 }],
  ["pending", { fresh: false }],
];

const order: readonly StatusCode[] = [
  "local",
  "keyring",
  "halted",
  "no-access",
  "login",
  "upgrade",
  "no-network",
  "offline",
  "error",
  "conflict",
  "connecting",
  "syncing",
  "pending",
  "live",
];
const rank = (facts: Facts): number => order.indexOf(deriveStatus(facts).code);

/** The highest one last, where two speak of the same fact. */
function withFaults(chosen: readonly number[]): Facts {
  return Object.assign({ ...live }, ...[...chosen].reverse().map((i) => faults[i]?.[1])) as Facts;
}

const anyFacts: fc.Arbitrary<Facts> = fc
  .subarray(faults.map((_, i) => i))
  .map((chosen) => withFaults(chosen));

describe("status", () => {
  test("[STA3] every code has its label, dot, exit code and action", () => {
    const rows = [live, ...faults.map(([, fault]) => ({ ...live, ...fault }))].map((facts) =>
      deriveStatus(facts),
    );
    const table = rows.map((s) => [s.code, s.label, s.dot, s.exit, s.action ?? null, s.detail ?? null]);
    expect(table).toEqual([
      ["live", "Live", "green", 0, null, null],
      ["local", "Local", "grey", 0, "Turn on sync", null],
      ["keyring", "Keyring", "red", 13, "Unlock", null],
      ["halted", "Error", "red", 17, "Details", "The remote shows another history"],
      ["halted", "Error", "red", 17, "Details", "The remote is older than this device"],
      ["halted", "Error", "red", 17, "Details", "Entries of the log are missing"],
      ["halted", "Error", "red", 17, "Details", "This home was restored or cloned: add this device again"],
      ["halted", "Error", "red", 17, "Details", "This device's replica is damaged"],
      ["halted", "Error", "red", 18, "Update", "Update needed"],
      ["halted", "Error", "red", 19, "Free space", "The disk is full"],
      ["no-access", "No access", "red", 12, "Contact owner", "This device was removed from the vault"],
      ["no-access", "No access", "red", 12, "Contact owner", "This device was removed from the vault"],
      [
        "no-access",
        "No access",
        "red",
        12,
        "Contact owner",
        "The server refuses this device: its person signed it out",
      ],
      [
        "no-access",
        "No access",
        "red",
        12,
        "Contact owner",
        "Whoever runs the server does not let this device in",
      ],
      ["no-access", "No access", "red", 12, "Contact owner", "The vault was deleted on the server"],
      ["login", "Log in", "amber", 10, "Log in", "The account on the server was closed"],
      ["login", "Log in", "amber", 10, "Log in", null],
      [
        "upgrade",
        "Upgrade",
        "amber",
        11,
        "Upgrade",
        "No plan and no seat covers this vault; reading goes on",
      ],
      ["no-network", "No network", "grey", 14, null, null],
      ["offline", "Offline", "grey", 14, "Resume", "Paused by you"],
      ["offline", "Offline", "grey", 14, "Retry now", null],
      ["error", "Error", "red", 1, "Retry", "remote-corrupt"],
      ["error", "Error", "red", 19, "Retry", "quota"],
      ["error", "Error", "red", 1, "Details", "2 entries could not be applied"],
      ["error", "Error", "red", 1, "Restart sync", "stalled"],
      ["conflict", "Error", "red", 3, "Review", "2 conflicts to review"],
      ["conflict", "Error", "red", 3, "Review", "240 deletions withheld"],
      ["conflict", "Error", "red", 3, "Review", "1 database paused"],
      ["conflict", "Error", "red", 3, "Review", "1 folder paused"],
      ["connecting", "", "amber", 0, null, null],
      ["syncing", "", "amber", 0, null, null],
      ["pending", "Pending", "amber", 0, "Sync now", "Waiting for the vault's key"],
      ["pending", "Pending", "amber", 0, "Sync now", "3 changes not confirmed"],
      ["pending", "Pending", "amber", 0, "Sync now", "Catching up"],
      ["pending", "Pending", "amber", 0, "Sync now", "Catching up"],
      ["pending", "Pending", "amber", 0, "Sync now", "Catching up"],
    ]);
    expect(new Set(rows.map((s) => s.code)).size).toBe(14);
    expect(deriveStatus({ ...live, openConflicts: 1 }).detail).toBe("1 conflict to review");
    expect(deriveStatus({ ...live, pending: 1 }).detail).toBe("1 change not confirmed");
  });

  test("[STA1] of any facts the highest row counts", () => {
    fc.assert(
      fc.property(
        fc.subarray(
          faults.map((_, i) => i),
          { minLength: 1 },
        ),
        (chosen) => {
          const facts = withFaults(chosen);
          expect(deriveStatus(facts).code).toBe(faults[chosen[0] as number]?.[0]);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test("[STA1] every two faults together: the higher one shows, and no third state", () => {
    for (const [i, [higher, first]] of faults.entries()) {
      for (const [, second] of faults.slice(i)) {
        const facts = { ...live, ...second, ...first };
        expect(deriveStatus(facts).code).toBe(higher);
      }
    }
  });

  test("[STA1] another fault never moves the status down, and never turns it green", () => {
    fc.assert(
      fc.property(anyFacts, fc.constantFrom(...faults), (facts, [, fault]) => {
        const worse = { ...facts, ...fault };
        // A transition or a halt that is there already is not another fault.
        fc.pre((Object.keys(fault) as (keyof Facts)[]).every((name) => facts[name] === live[name]));
        expect(rank(worse)).toBeLessThanOrEqual(rank(facts));
        expect(deriveStatus(worse).dot).not.toBe("green");
      }),
      { numRuns: 2_000 },
    );
  });

  test("[STA2] green is live, and live is everything in order", () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const status = deriveStatus(facts);
        const inOrder = (Object.keys(live) as (keyof Facts)[]).every((name) => facts[name] === live[name]);
        expect(status.dot === "green").toBe(inOrder);
        expect(status.code === "live").toBe(inOrder);
        expect(status.exit === 0 || status.dot !== "green").toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});
