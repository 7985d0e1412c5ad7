import { fileURLToPath } from "node:url";

import { defineConfig } from "vitest/config";

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

const resolve = { alias: { "~encore": path("./encore.gen") } };
const outside = ["**/node_modules/**", "build/**", ".stele/**", "examples/**", "**/__tests__/**"];

// Integration and e2e tests share two cores and one Postgres each: one file at a time.
export default defineConfig({
  test: {
    projects: [
      {
        resolve,
        test: {
          name: "unit",
          include: ["**/*.test.ts"],
          exclude: [...outside, "**/*.integration.test.ts", "**/*.e2e.test.ts"],
        },
      },
      {
        resolve,
        test: {
          name: "integration",
          include: ["**/*.integration.test.ts"],
          exclude: outside,
          pool: "forks",
          fileParallelism: false,
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        resolve,
        test: {
          name: "e2e",
          include: ["e2e/**/*.e2e.test.ts"],
          exclude: outside,
          pool: "forks",
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
