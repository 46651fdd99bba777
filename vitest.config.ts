import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

// Tests run from source, never from a stale build: the namespaced condition comes first in every
// package's exports. `ssr` is what vitest resolves with for the node environment.
const conditions = ["@tidelock/source", "module", "node", "development|production"];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: ["@tidelock/source", "node"] } },
  test: {
    include: ["packages/*/src/**/*.test.ts", "test/**/*.test.ts"],
    benchmark: { include: ["packages/*/src/**/*.bench.ts", "bench/**/*.bench.ts"] },
    environment: "node",
    globalSetup: "test/e2e/bundles.ts",
    // Threads without isolation are several times faster. The price: no module state, no module mocks.
    pool: "threads",
    isolate: false,
    // Half of these tests wait for other processes: twice as many files at a time as there are cores.
    maxWorkers: availableParallelism() * 2,
    testTimeout: 20_000,
    hookTimeout: 20_000,
    passWithNoTests: true,
    coverage: { provider: "v8", include: ["packages/*/src/**/*.ts"], reportsDirectory: "coverage" },
  },
});
