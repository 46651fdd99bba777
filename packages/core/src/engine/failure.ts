/** What it means that a remote did not do what it was asked: for the status, and as an error. */
import type { ErrorCode } from "../errors.ts";
import type { DenialCause, Failure } from "../ports.ts";
import type { Facts } from "./status.ts";

/** `unknown`: it may have been done. */
export type Failed = Failure | { readonly kind: "unknown" };

export type FailureFacts = Pick<Facts, "remoteReachable" | "denied" | "failed">;

const none: FailureFacts = { remoteReachable: true, denied: undefined, failed: undefined };

export function failureFacts(
  failure: Failed | { readonly kind: "fault"; readonly code: ErrorCode } | undefined,
): FailureFacts {
  switch (failure?.kind) {
    case undefined:
      return none;
    case "busy":
    case "unreachable":
    case "unknown":
      return { ...none, remoteReachable: false };
    case "denied":
      return failure.cause === undefined
        ? { ...none, failed: "remote-denied" }
        : { ...none, denied: failure.cause };
    case "quota":
      return { ...none, failed: "quota" };
    case "corrupt":
      return { ...none, failed: "remote-corrupt" };
    case "fault":
      return { ...none, failed: failure.code };
  }
}

const denied: Readonly<Record<DenialCause, ErrorCode>> = {
  login: "login",
  "account-closed": "login",
  "signed-out": "no-access",
  "device-removed": "device-removed",
  "not-in-group": "no-access",
  "vault-deleted": "no-access",
  payment: "upgrade",
};

export function failureCode(failure: Failed): ErrorCode {
  switch (failure.kind) {
    case "busy":
    case "unreachable":
    case "unknown":
      return "unreachable";
    case "denied":
      return failure.cause === undefined ? "remote-denied" : denied[failure.cause];
    case "quota":
      return "quota";
    case "corrupt":
      return "remote-corrupt";
  }
}
