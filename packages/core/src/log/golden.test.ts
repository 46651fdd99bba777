import { test } from "vitest";
import { checkLogGolden } from "../../../testkit/src/suites/log-golden.ts";
import { createPortableSuite } from "../crypto/sodium-portable.ts";

const suite = await createPortableSuite();

test("[FRM1, FRM2, FRM3, FRM4, LOG1, LOG3, LOG5, VLT1, VLT2, VLT4, VLT5, VLT6, MEM2, MEM3] golden: the log and the vault", () =>
  checkLogGolden(suite));
