import type { Bug } from "./bug.ts";

export const bug: Bug = {
  id: "agreed-before-durable",
  bug: "what came from the vault is noted as agreed before the disk has it",
  oracle: "ledger",
  file: "packages/node/src/folder/down.ts",
  find: '    await hands.flush();\n    host.point?.("folder-flushed");',
  replace: '    host.point?.("folder-flushed");',
  profile: "drive",
  seed: 389,
};
