import { readdir, readFile } from "node:fs/promises";

/** Reads of /proc at a time: each is a file, and a machine may run thousands of processes. */
const PARALLEL = 64;

export interface ProcessStat {
  readonly pid: number;
  /** `Z` and `X` are dead, whatever kill(pid, 0) says: they may never be reaped. */
  readonly state: string;
  readonly session: number;
  /** In clock ticks since boot; with the pid it names a process for good (proc(5), field 22). */
  readonly startTime: string;
}

/** Null when there is no such process. */
export async function processStat(pid: number): Promise<ProcessStat | null> {
  try {
    return parseStat(pid, await readFile(`/proc/${pid}/stat`, "latin1"));
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

export async function allPids(): Promise<number[]> {
  try {
    return (await readdir("/proc")).map(Number).filter((pid) => pid > 0);
  } catch {
    return []; // No /proc, as on macOS.
  }
}

/** What a process was started with; empty when it may not be read. */
export async function environmentOf(pid: number): Promise<ReadonlyMap<string, string>> {
  try {
    const text = await readFile(`/proc/${pid}/environ`, "utf8");
    const pairs = text.split("\0").map((pair): [string, string] => {
      const at = pair.indexOf("=");
      return [pair.slice(0, at), pair.slice(at + 1)];
    });
    return new Map(pairs);
  } catch {
    return new Map();
  }
}

/** `map` over `items`, so many at a time. */
async function mapSome<T, R>(items: readonly T[], map: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += PARALLEL) {
    results.push(...(await Promise.all(items.slice(at, at + PARALLEL).map(map))));
  }
  return results;
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
  const found = await mapSome(await allPids(), async (pid): Promise<MarkedProcess | null> => {
    const env = await environmentOf(pid);
    const marker = env.get(variable);
    if (marker === undefined || !env.get("HOME")?.startsWith(`${root}/`)) return null;
    const stat = await processStat(pid);
    return stat && !isDead(stat) ? { ...stat, marker } : null;
  });
  return found.filter((process) => process !== null);
}

/** Processes of a session that live. */
export async function sessionProcesses(session: number): Promise<ProcessStat[]> {
  const stats = await mapSome(await allPids(), processStat);
  return stats.filter(
    (stat): stat is ProcessStat => stat !== null && stat.session === session && !isDead(stat),
  );
}

let boot: Promise<string> | undefined;

/** Changes with every boot of the machine, since pids and start times begin anew. */
export function bootId(): Promise<string> {
  boot ??= readFile("/proc/sys/kernel/random/boot_id", "utf8").then(
    (text) => text.trim(),
    () => "",
  );
  return boot;
}
