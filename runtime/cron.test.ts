import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { AppModel, CronModel } from "./app-model";
import { areCronsOn, Crons, type Runs } from "./cron";

const MINUTE_MS = 60_000;

const SWEEP: CronModel = {
  name: "sweep",
  at: { file: "cron.ts", line: 1 },
  everyMinutes: 10,
  schedule: null,
  service: "dns",
  endpoint: "sweep",
};

/** As `CronStore`, for processes of one test. */
class SharedRuns implements Runs {
  readonly last = new Map<string, number>();
  isAway = false;

  take(cron: string, dueAt: Date): Promise<boolean> {
    if (this.isAway) return Promise.reject(new Error("the database is away"));
    const isNew = (this.last.get(cron) ?? 0) < dueAt.getTime();
    if (isNew) this.last.set(cron, dueAt.getTime());
    return Promise.resolve(isNew);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

let runs: SharedRuns;
let ran: string[];
let logged: string[];
const processes: Crons[] = [];

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-01-01T00:07:30Z") });
  runs = new SharedRuns();
  ran = [];
  logged = [];
});
afterEach(async () => {
  await Promise.all(processes.splice(0).map((one) => one.drain()));
  vi.useRealTimers();
});

async function startProcess(hosted: readonly string[], crons = [SWEEP]): Promise<Crons> {
  const one = new Crons({
    model: { crons } as unknown as AppModel,
    isHosted: (service) => hosted.includes(service),
    openRuns: () => Promise.resolve(runs),
    call: (service, endpoint) => {
      ran.push(`${service}.${endpoint} ${new Date(Date.now()).toISOString().slice(11, 16)}`);
      return Promise.resolve();
    },
    log: (_level, message) => void logged.push(message),
    now: Date.now,
  });
  processes.push(one);
  await one.start();
  return one;
}

describe("Crons", () => {
  it("run each time in one of the processes that host the service", async () => {
    const first = await startProcess(["dns"]);
    await startProcess(["dns"]);
    await startProcess(["other"]);
    await vi.advanceTimersByTimeAsync(25 * MINUTE_MS);
    expect(ran).toEqual(["dns.sweep 00:10", "dns.sweep 00:20", "dns.sweep 00:30"]);
    await first.drain();
    await vi.advanceTimersByTimeAsync(10 * MINUTE_MS);
    expect(ran.at(-1)).toBe("dns.sweep 00:40");
  });

  it("run in different processes where these host different services", async () => {
    const other = { ...SWEEP, name: "other", service: "other", everyMinutes: null };
    const crons = [SWEEP, { ...other, schedule: "*/15 * * * *" }];
    await startProcess(["dns"], crons);
    await startProcess(["other"], crons);
    await vi.advanceTimersByTimeAsync(25 * MINUTE_MS);
    expect(ran.filter((line) => line.startsWith("other"))).toEqual([
      "other.sweep 00:15",
      "other.sweep 00:30",
    ]);
    expect(ran.filter((line) => line.startsWith("dns"))).toHaveLength(3);
  });

  it("leave out what was due while the machine slept, and say so", async () => {
    await startProcess(["dns"]);
    vi.setSystemTime(Date.parse("2026-01-01T00:25:00Z"));
    await vi.advanceTimersByTimeAsync(6 * MINUTE_MS);
    expect(ran).toEqual(["dns.sweep 00:30"]);
    expect(logged).toEqual(["cron run missed"]);
  });

  it("wait for a database that is away, for as long as the run is not too late", async () => {
    await startProcess(["dns"]);
    runs.isAway = true;
    await vi.advanceTimersByTimeAsync(2.5 * MINUTE_MS + 10_000);
    expect(ran).toEqual([]);
    runs.isAway = false;
    await vi.advanceTimersByTimeAsync(2_000);
    expect(ran).toEqual(["dns.sweep 00:10"]);
  });
});

describe("ENCORE_CRONS", () => {
  it.each([
    [undefined, true],
    ["on", true],
    ["off", false],
  ])("%s", (text, expected) => {
    expect(areCronsOn({ ENCORE_CRONS: text })).toBe(expected);
  });

  it("is refused otherwise", () => {
    expect(() => areCronsOn({ ENCORE_CRONS: "1" })).toThrow(/ENCORE_CRONS "1"/);
  });
});
