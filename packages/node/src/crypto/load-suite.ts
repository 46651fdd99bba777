import { selfTest } from "@tidelock/core/crypto/self-test";
import { createPortableSuite } from "@tidelock/core/crypto/sodium-portable";
import type { Suite } from "@tidelock/core/crypto/suite";
import { createNativeSuite } from "./sodium-native.ts";

export interface LoadedSuite {
  readonly suite: Suite;
  readonly build: "native" | "portable";
  /** Why the portable build was taken, for `doctor`; undefined with the native one. */
  readonly reason?: string;
}

/** The native library where it loads and gives the known answers, else the portable build. */
export async function loadSuite(
  native: () => Promise<Suite | null> = createNativeSuite,
): Promise<LoadedSuite> {
  const suite = await native();
  const wrong = suite === null ? null : selfTest(suite);
  if (suite !== null && wrong === null) return { suite, build: "native" };
  const reason =
    wrong === null ? "sodium-native does not load here" : `sodium-native fails its test: ${wrong}`;
  return { suite: await createPortableSuite(), build: "portable", reason };
}
