import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "b26-nonce-from-a-counter",
  bug: "the nonce of a frame is its device seq: a restored disk uses it twice",
  oracle: "sealed",
  file: "packages/core/src/engine/seal.ts",
  find: "      nonce: deps.suite.random(24),",
  replace: "      nonce: new Uint8Array(24).fill(deviceSeq),",
  seed: 16,
};
