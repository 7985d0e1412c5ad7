// Prints each skipped test with its reason, and leaves the counts in the file that STELE_TEST_COUNTS
// names, for scripts/test.mjs to add up.
import { writeFileSync } from "node:fs";

export default class ClosingLineReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    for (const module of modules) {
      if (module.errors().length > 0) counts.failed++;
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === "passed" || result.state === "failed") counts[result.state]++;
        else {
          counts.skipped++;
          console.log(`skipped: ${test.fullName}: ${result.note ?? "no reason given"}`);
        }
      }
    }
    writeFileSync(process.env.STELE_TEST_COUNTS, JSON.stringify(counts));
  }
}
