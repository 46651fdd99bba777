import { type ContractCase, describeCases } from "./cases.ts";
import { assignedCases } from "./remote/assigned.ts";
import { blobCases } from "./remote/blobs.ts";
import { durabilityCases } from "./remote/durability.ts";
import type { CreateRemote } from "./remote/fixture.ts";
import { logCases } from "./remote/log.ts";
import { outcomeCases } from "./remote/outcomes.ts";
import { placeCases } from "./remote/places.ts";
import { raceCases } from "./remote/races.ts";

export type { CreateRemote, FaultPoint, RemoteFixture } from "./remote/fixture.ts";

/** The contract of `Remote`: the memory model and every real place give the same answers. */
export function describeRemote(name: string, create: CreateRemote): void {
  describeCases(`Remote: ${name}`, remoteCases, create);
}

/** The same for a place that gives positions itself, and tells devices apart. */
export function describeAssigningRemote(name: string, create: CreateRemote): void {
  describeCases(`Remote: ${name}`, assigningRemoteCases, create);
}

export const remoteCases: readonly ContractCase<CreateRemote>[] = [
  ...placeCases,
  ...logCases,
  ...outcomeCases,
  ...raceCases,
  ...blobCases,
  ...durabilityCases,
];

export const assigningRemoteCases: readonly ContractCase<CreateRemote>[] = [
  ...remoteCases.filter(({ numbered }) => numbered !== true),
  ...assignedCases,
];
