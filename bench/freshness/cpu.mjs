// Processor time of processes, with all that descend from them.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

const TICKS_A_SECOND =
  Number(spawnSync("getconf", ["CLK_TCK"], { encoding: "utf8" }).stdout) || 100;
const MICROSECONDS = 1_000_000;

function ticks(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(fields[11]) + Number(fields[12]);
  } catch {
    return 0;
  }
}

/** Microseconds by name; 0 where the system does not tell. */
export function cpuOf(processes, family) {
  return Object.fromEntries(
    processes.map(([name, pid]) => {
      const pids = name === "this bench" ? [pid] : family(pid);
      const sum = pids.reduce((total, one) => total + ticks(one), 0);
      return [name, (sum * MICROSECONDS) / TICKS_A_SECOND];
    }),
  );
}
