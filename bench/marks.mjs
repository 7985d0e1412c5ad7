// Loaded into the process that the bench `boot` starts: writes down when each phase of it ended.
import { writeFileSync } from "node:fs";

process.on("exit", () => {
  const marks = performance
    .getEntriesByType("mark")
    .filter(({ name }) => name.startsWith("boot: "));
  const ends = marks.map(({ name, startTime }) => [name.slice("boot: ".length), startTime]);
  writeFileSync(process.env.BENCH_MARKS, JSON.stringify(ends));
});
