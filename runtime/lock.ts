import { execFileSync } from "node:child_process";
import { readFileSync, unlinkSync, writeFileSync } from "node:fs";

/** Another process has the folder. */
export class LockedError extends Error {
  constructor(
    path: string,
    readonly pid: number,
  ) {
    super(`Already running with pid ${pid} (its lock is "${path}")`);
    this.name = "LockedError";
  }
}

/**
 * Makes this process the only one that uses a folder. A lock whose process has ended, also by
 * kill -9, is taken over: pid and start time together tell a process from a later one with its number.
 * Returns the release.
 *
 * @throws LockedError while another process has it
 */
export function lock(path: string): () => void {
  for (let attempt = 0; ; attempt++) {
    try {
      writeFileSync(path, mark(process.pid), { flag: "wx", mode: 0o600 });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST" || attempt > 2) throw error;
      const pid = holder(path);
      if (pid !== null) throw new LockedError(path, pid);
      unlinkSync(path);
    }
  }
  const release = (): void => {
    process.removeListener("exit", release);
    if (holder(path) === process.pid) unlinkSync(path);
  };
  process.once("exit", release);
  return release;
}

/** The pid of the living process that made the lock, or null. */
export function holder(path: string): number | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return null;
  }
  const pid = Number(text.split(" ", 1)[0]);
  if (!Number.isInteger(pid) || pid <= 0) return null;
  return mark(pid) === text ? pid : null;
}

/** What tells a process from a later one with its number. */
export function mark(pid: number): string {
  return `${pid} ${startTime(pid)}\n`;
}

/** When a process started, in whatever unit the system has; empty when there is none. */
function startTime(pid: number): string {
  try {
    if (process.platform === "linux") {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      // The name in parentheses may hold spaces; the start time is the 22nd field.
      const [state, ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      // Ended, though nobody has fetched its exit status yet.
      if (state === "Z" || state === "X") return "";
      return fields[18] ?? "";
    }
    return execFileSync("ps", ["-p", String(pid), "-o", "lstart="], { encoding: "utf8" }).trim();
  } catch {
    return "";
  }
}
