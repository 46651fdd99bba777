import { describe, test } from "vitest";

/** One demand of a port's contract. A suite is a list of them, so that broken implementations can be held against it too. */
export interface ContractCase<Create> {
  /** A test's title, with the rules and promises it cites. */
  readonly title: string;
  /** Makes its own fixture, throws when the demand is not met. */
  run(create: Create): void | Promise<void>;
  /** Milliseconds, for a case that does real work in quantity. */
  readonly timeout?: number;
  /** Only where writers choose the number that an append goes to, and an object is one append. */
  readonly numbered?: true;
}

export function describeCases<Create>(
  name: string,
  cases: readonly ContractCase<Create>[],
  create: Create,
): void {
  describe(name, () => {
    for (const one of cases) test(one.title, () => one.run(create), one.timeout ?? 20_000);
  });
}

/** The title of the first case that an implementation fails: what a deliberately broken one is judged by. */
export async function firstFailing<Create>(
  cases: readonly ContractCase<Create>[],
  create: Create,
): Promise<string | undefined> {
  for (const one of cases) {
    try {
      await one.run(create);
    } catch {
      return one.title;
    }
  }
  return undefined;
}
