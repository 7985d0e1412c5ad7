import { readdirSync, readFileSync } from "node:fs";
import { setImmediate } from "node:timers/promises";

/** Processes looked at before others get their turn: about a millisecond. */
const AT_ONCE = 50;

export interface ProcessStat {
  readonly pid: number;
  /** `Z` and `X` are dead, whatever kill(pid, 0) says: they may never be reaped. */
  readonly state: string;
  readonly session: number;
  /** In clock ticks since boot; with the pid it names a process for good (proc(5), field 22). */
  readonly startTime: string;
}

/** Null when there is no such process. */
export function processStat(pid: number): ProcessStat | null {
  try {
    return parseStat(pid, readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return null;
  }
}

/** The command's name is in parentheses and may hold anything, so fields count from the last one. */
export function parseStat(pid: number, text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return {
    pid,
    state: fields[0] ?? "X",
    session: Number(fields[3]),
    startTime: fields[19] ?? "",
  };
}

export function isDead(stat: ProcessStat | null): boolean {
  return stat === null || stat.state === "Z" || stat.state === "X";
}

function allPids(): number[] {
  try {
    return readdirSync("/proc")
      .map(Number)
      .filter((pid) => pid > 0);
  } catch {
    return []; // No /proc, as on macOS.
  }
}

/** What a process was started with; empty when it may not be read. */
export function environmentOf(pid: number): ReadonlyMap<string, string> {
  const pairs = environText(pid)
    .split("\0")
    .map((pair): [string, string] => {
      const at = pair.indexOf("=");
      return [pair.slice(0, at), pair.slice(at + 1)];
    });
  return new Map(pairs);
}

function environText(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8");
  } catch {
    return "";
  }
}

/** Every process for which `look` gives something. */
async function findProcesses<T>(look: (pid: number) => T | null): Promise<T[]> {
  const found: T[] = [];
  const pids = allPids();
  for (const [index, pid] of pids.entries()) {
    // To read these files takes no disk: less to do at once than to hand over to a thread.
    if (index % AT_ONCE === AT_ONCE - 1) await setImmediate();
    const one = look(pid);
    if (one !== null) found.push(one);
  }
  return found;
}

export interface MarkedProcess extends ProcessStat {
  /** The value of the marker variable. */
  readonly marker: string;
}

/**
 * Every living process whose environment has `variable`, and `root` as the beginning of its `HOME`:
 * another platform on this machine may use the same markers for folders of its own.
 */
export async function markedProcesses(variable: string, root: string): Promise<MarkedProcess[]> {
  return await findProcesses((pid) => {
    // Most are not ours, which one look at the text tells.
    if (!environText(pid).includes(`${variable}=`)) return null;
    const env = environmentOf(pid);
    const marker = env.get(variable);
    if (marker === undefined || !env.get("HOME")?.startsWith(`${root}/`)) return null;
    const stat = processStat(pid);
    return stat && !isDead(stat) ? { ...stat, marker } : null;
  });
}

/** Processes of a session that live. */
export async function sessionProcesses(session: number): Promise<ProcessStat[]> {
  return await findProcesses((pid) => {
    const stat = processStat(pid);
    return stat?.session === session && !isDead(stat) ? stat : null;
  });
}

let boot: string | undefined;

/** Changes with every boot of the machine, since pids and start times begin anew. */
export function bootId(): string {
  if (boot !== undefined) return boot;
  try {
    boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    boot = "";
  }
  return boot;
}
