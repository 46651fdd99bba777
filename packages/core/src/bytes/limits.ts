/**
 * Every bound on input from outside, in one place. A decoder checks the bound before it
 * allocates; a writer checks it before anything becomes durable. Sizes are bytes.
 */
export const limits: {
  readonly frame: number;
  readonly inflated: number;
  readonly changesPerFrame: number;
  readonly change: number;
  readonly framesPerRun: number;
  readonly runBytes: number;
  readonly framesPerAppend: number;
  readonly appendBytes: number;
  readonly pageBytes: number;
  readonly membershipFrame: number;
  readonly genesis: number;
  readonly certificateChain: number;
  readonly devicesPlusPersons: number;
  readonly devicesPerPerson: number;
  readonly name: number;
  readonly key: number;
  readonly keyColumns: number;
  readonly columns: number;
  readonly tables: number;
  readonly row: number;
  readonly garbageHashed: number;
  readonly blob: number;
  readonly blobsPerCall: number;
  readonly blobGrace: number;
  readonly rendezvous: number;
  readonly note: number;
} = {
  frame: 1 << 20,
  /** A frame's plaintext after inflate. */
  inflated: 4 << 20,
  changesPerFrame: 256,
  change: 256 << 10,
  framesPerRun: 4096,
  /** All changes of a run after inflate: they are in memory together when it applies. */
  runBytes: 64 << 20,
  framesPerAppend: 256,
  appendBytes: 4 << 20,
  /** A stored log object: the append's frames and their page head. */
  pageBytes: (4 << 20) + (16 << 10),
  membershipFrame: 64 << 10,
  genesis: 4 << 10,
  certificateChain: 8,
  devicesPlusPersons: 4096,
  devicesPerPerson: 32,
  name: 255,
  key: 1 << 10,
  keyColumns: 8,
  columns: 2000,
  tables: 1000,
  row: 256 << 10,
  /** Garbage at a log number is known by the hash of this much of it. */
  garbageHashed: 5 << 20,
  blob: 16 << 20,
  /** Listed or deleted in one call. */
  blobsPerCall: 4096,
  /** ms: so long a blob stays after it was stored, and after it was given up in the log. */
  blobGrace: 72 * 3_600_000,
  rendezvous: 8 << 10,
  note: 1 << 10,
};
