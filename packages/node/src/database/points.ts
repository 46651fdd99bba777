/**
 * The boundaries between two durable steps of an attachment. A test may throw there: whatever
 * stands in the two files at that moment must be enough to go on from.
 */
export type DatabasePoint =
  // attach
  | "attach-registered"
  | "attach-installed"
  | "attach-live"
  // flush
  | "flush-read"
  | "flush-noted"
  | "flush-begun"
  | "flush-written"
  | "flush-committed"
  | "flush-adopted"
  // project
  | "slice-planned"
  | "slice-noted"
  | "slice-begun"
  | "slice-suspended"
  | "slice-written"
  | "slice-restored"
  | "slice-committed"
  | "slice-adopted"
  // detach
  | "detach-flushed"
  | "detach-marked"
  | "detach-dropped"
  | "detach-forgotten";

export const databasePoints: readonly DatabasePoint[] = [
  "attach-registered",
  "attach-installed",
  "attach-live",
  "flush-read",
  "flush-noted",
  "flush-begun",
  "flush-written",
  "flush-committed",
  "flush-adopted",
  "slice-planned",
  "slice-noted",
  "slice-begun",
  "slice-suspended",
  "slice-written",
  "slice-restored",
  "slice-committed",
  "slice-adopted",
  "detach-flushed",
  "detach-marked",
  "detach-dropped",
  "detach-forgotten",
];

/** Called at each boundary; production does nothing. */
export type Point = (name: DatabasePoint) => void;
