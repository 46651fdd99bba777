import { expect, test } from "vitest";
import { toHex } from "../bytes/bytes.ts";
import { ctx, hashContexts, kdfLabels, signatureContexts, withCtx } from "./labels.ts";

const all = [kdfLabels, hashContexts, signatureContexts].flatMap((table) => Object.values(table));

test("[CRY11] no two contexts are equal and none begins another", () => {
  expect(new Set(all).size).toBe(all.length);
  const spelled = all.map((one) => toHex(ctx(one)));
  for (const a of spelled)
    for (const b of spelled) if (a !== b) expect(b.startsWith(a), `${a} begins ${b}`).toBe(false);
});

test("[CRY11] contexts are short printable ASCII under one prefix", () => {
  for (const one of all) expect(one).toMatch(/^tl1\/[a-z/-]{3,28}$/);
});

test("ctx is a length byte and the label, and withCtx appends the data", () => {
  expect(toHex(ctx("tl1/copy"))).toBe("08746c312f636f7079");
  expect(toHex(withCtx("tl1/copy", Uint8Array.of(1, 2)))).toBe("08746c312f636f70790102");
});
