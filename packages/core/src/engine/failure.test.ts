import { expect, test } from "vitest";
import { errorKinds } from "../errors.ts";
import { type Failed, failureCode, failureFacts } from "./failure.ts";
import { deriveStatus, type Facts } from "./status.ts";

const calm: Omit<Facts, keyof ReturnType<typeof failureFacts>> = {
  hasRemote: true,
  keysReadable: true,
  halt: undefined,
  diskFull: false,
  removed: false,
  network: true,
  paused: false,
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

const cases: readonly (readonly [Failed, string, string])[] = [
  [{ kind: "busy", retryAfter: 1 }, "offline", "unreachable"],
  [{ kind: "unreachable", why: "" }, "offline", "unreachable"],
  [{ kind: "unknown" }, "offline", "unreachable"],
  [{ kind: "denied", why: "", cause: "login" }, "login", "login"],
  [{ kind: "denied", why: "", cause: "account-closed" }, "login", "login"],
  [{ kind: "denied", why: "", cause: "signed-out" }, "no-access", "no-access"],
  [{ kind: "denied", why: "", cause: "device-removed" }, "no-access", "device-removed"],
  [{ kind: "denied", why: "", cause: "not-in-group" }, "no-access", "no-access"],
  [{ kind: "denied", why: "", cause: "vault-deleted" }, "no-access", "no-access"],
  [{ kind: "denied", why: "", cause: "payment" }, "upgrade", "upgrade"],
  [{ kind: "denied", why: "" }, "error", "remote-denied"],
  [{ kind: "quota", why: "" }, "error", "quota"],
  [{ kind: "corrupt", why: "" }, "error", "remote-corrupt"],
];

test("[STA1] each failure of a remote is one row of the status, and one error that ends a command alike", () => {
  for (const [failure, row, code] of cases) {
    const status = deriveStatus({ ...calm, ...failureFacts(failure) });
    expect([failure, status.code, failureCode(failure)]).toEqual([failure, row, code]);
    expect(status.exit).toBe(errorKinds[failureCode(failure)].exit);
  }
  expect(deriveStatus({ ...calm, ...failureFacts(undefined) }).code).toBe("live");
});
