/** The pure core. Hosts import the file they need (`@tidelock/core/engine/engine`); this page is the public part. */
export type { Engine, LocalRun, SyncOutcome, Verdict } from "./engine/api.ts";
export { deriveStatus, type Facts, type Status, type StatusCode } from "./engine/status.ts";
export { type ErrorCode, type ErrorKind, errorKinds, TidelockError } from "./errors.ts";
export type { TablesView } from "./kinds/tables/api.ts";
export type { TableDeclaration } from "./kinds/tables/types.ts";
export type { Clock, Log, Remote, ReplicaStore, Scheduler } from "./ports.ts";
