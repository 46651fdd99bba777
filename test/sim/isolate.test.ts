import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { bundle, root } from "./pool.ts";

/** What a thread of the world answers when code in it reaches for the real world. */
async function escapes(code: string): Promise<{ readonly thrown: string; readonly kept: number }> {
  const entry = join(mkdtempSync(join(tmpdir(), "tidelock-escape-")), "escape.ts");
  const isolate = join(root, "packages/testkit/src/world/isolate.ts");
  writeFileSync(
    entry,
    `import ${JSON.stringify(isolate)};
     import { isolated } from ${JSON.stringify(isolate)};
     import { parentPort } from "node:worker_threads";
     const tell = (thrown: string): void => parentPort?.postMessage({ thrown, kept: isolated.escapes.length });
     try {
       ${code};
       tell("nothing");
     } catch (error) {
       tell(error instanceof Error ? error.name : "something");
     }`,
  );
  const worker = new Worker(await bundle("escape", [], entry));
  try {
    return await new Promise((resolve, reject) => {
      worker.on("message", resolve);
      worker.on("error", reject);
    });
  } finally {
    await worker.terminate();
  }
}

const doors = [
  "Date.now()",
  "new Date()",
  "Date()",
  "Math.random()",
  "setTimeout(() => {}, 1)",
  "setInterval(() => {}, 1)",
  "setImmediate(() => {})",
  "performance.now()",
  "fetch('https://example.org')",
  "crypto.getRandomValues(new Uint8Array(1))",
  "crypto.randomUUID()",
  "crypto.subtle.digest('SHA-256', new Uint8Array(1))",
];

for (const door of doors)
  test(`[P6] ${door} does not leave the simulated world`, { timeout: 30_000 }, async () => {
    expect(await escapes(door)).toEqual({ thrown: "SimEscape", kept: 1 });
  });

test("[P6] a date that was given stays a date", { timeout: 30_000 }, async () => {
  expect(await escapes("new Date(0).toISOString()")).toEqual({ thrown: "nothing", kept: 0 });
});
