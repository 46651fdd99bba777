import { checkLogGolden } from "@tidelock/testkit/suites/log-golden";
import { test } from "vitest";
import { createNative } from "./sodium-native.ts";

const native = createNative();

test.skipIf(native === null)("golden: the log and the vault, by the native build", () => {
  if (native !== null) checkLogGolden(native.suite);
});
