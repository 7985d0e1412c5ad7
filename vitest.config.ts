import { fileURLToPath } from "node:url";

import { defineConfig } from "vitest/config";

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

// One seed for every property, so that a run can be had again: SEED=7 npm test.
const setupFiles = [path("./scripts/seed.ts")];
const resolve = {
  alias: { "~encore": path("./encore.gen") },
  // A module and the script that starts it may share a name.
  extensions: [".ts", ".mts", ".mjs", ".js", ".json"],
};
const outside = ["**/node_modules/**", "build/**", ".stele/**", "examples/**", "**/__tests__/**"];

// Integration and e2e tests start processes of their own, and integration tests share a Postgres: one
// file at a time.
export default defineConfig({
  test: {
    projects: [
      {
        resolve,
        test: {
          setupFiles,
          name: "unit",
          // They keep nothing in modules, and a fresh module graph for each file is half of their time.
          pool: "forks",
          isolate: false,
          include: ["**/*.test.ts"],
          exclude: [
            ...outside,
            "**/*.integration.test.ts",
            "**/*.e2e.test.ts",
            "**/*.full.test.ts",
            "**/*.split.test.ts",
          ],
        },
      },
      {
        resolve,
        test: {
          setupFiles,
          name: "integration",
          include: ["**/*.integration.test.ts"],
          exclude: outside,
          globalSetup: path("./runtime/testing.ts"),
          pool: "forks",
          fileParallelism: false,
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        resolve,
        test: {
          setupFiles,
          name: "e2e",
          include: ["e2e/**/*.e2e.test.ts"],
          exclude: outside,
          pool: "forks",
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
      {
        // The same on the three processes of `npm run split`.
        resolve,
        test: {
          setupFiles,
          name: "split",
          env: { STELE_E2E: "split" },
          include: [
            "e2e/**/*.{e2e,split}.test.ts",
            "e2e/{after-moves,evacuate}.full.test.ts",
            "bench/move/load.full.test.ts",
          ],
          exclude: outside,
          pool: "forks",
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
      {
        resolve,
        test: {
          setupFiles,
          name: "full",
          include: ["**/*.full.test.ts"],
          exclude: outside,
          pool: "forks",
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
