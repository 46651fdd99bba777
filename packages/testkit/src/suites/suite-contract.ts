import type { RawSuite, Suite } from "@tidelock/core/crypto/suite";
import { beforeAll, describe, expect, test } from "vitest";
import { goldenChecks } from "./suite-golden.ts";
import { propertyChecks } from "./suite-properties.ts";
import { loadPublished, publishedChecks } from "./suite-vectors.ts";

export interface SuiteUnderTest {
  readonly suite: Suite;
  /** What published vectors are put to; without it those of Argon2id and X25519 are left out. */
  readonly raw?: RawSuite;
}

/** One thing a suite must do; throws when it does not. Titles cite docs/spec/crypto.md. */
export interface SuiteCheck {
  readonly title: string;
  check(subject: SuiteUnderTest): void;
  /** ms, where the runner's default would be short. */
  readonly timeout?: number;
}

export interface SuiteContract {
  /**
   * `suite-1` also gives the published and the golden bytes; `laws` is for a suite that only
   * behaves like one, such as the fast suite of the simulated world.
   */
  readonly level?: "suite-1" | "laws";
}

/**
 * The contract of the `Suite` port. An implementation's test is one call:
 *
 *     describeSuite("sodium-native", async () => createNative());
 */
export function describeSuite(
  name: string,
  create: () => Promise<SuiteUnderTest>,
  { level = "suite-1" }: SuiteContract = {},
): void {
  describe(`suite: ${name}`, () => {
    let subject: SuiteUnderTest;
    beforeAll(async () => {
      subject = await create();
    });

    const register = ({ title, check, timeout }: SuiteCheck): void => {
      test(title, () => check(subject), timeout);
    };
    for (const one of propertyChecks) register(one);
    if (level === "laws") return;

    test("is suite 1", () => expect(subject.suite.id).toBe(1));
    for (const one of goldenChecks) register(one);
    const published = loadPublished();
    if (published.kind === "found") {
      for (const one of publishedChecks(published.vectors)) register(one);
    } else {
      console.warn(`suite ${name}: published vectors NOT checked. ${published.why}`);
      test.skip(`published vectors: ${published.why}`, () => undefined);
    }
  });
}
