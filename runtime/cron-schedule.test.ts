import { describe, expect, it } from "vitest";

import type { CronModel } from "./app-model";
import { nextRun, parseSchedule, turn } from "./cron-schedule";

const cron = (more: Partial<CronModel>): CronModel => ({
  name: "sweep",
  at: { file: "cron.ts", line: 1 },
  everyMinutes: null,
  schedule: null,
  service: "dns",
  endpoint: "sweep",
  ...more,
});

const next = (schedule: string, after: string): string | null => {
  const at = nextRun(cron({ schedule }), Date.parse(after));
  return at === null ? null : new Date(at).toISOString();
};

describe("nextRun()", () => {
  it.each([
    ["* * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00.000Z"],
    ["* * * * *", "2026-01-01T00:00:59.999Z", "2026-01-01T00:01:00.000Z"],
    ["*/15 * * * *", "2026-01-01T00:15:00Z", "2026-01-01T00:30:00.000Z"],
    ["5-10/5,50 3 * * *", "2026-01-01T03:05:00Z", "2026-01-01T03:10:00.000Z"],
    ["0 4 1 * *", "2026-01-01T04:00:00Z", "2026-02-01T04:00:00.000Z"],
    ["0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00.000Z"],
    ["0 0 * * 7", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00.000Z"],
    ["0 0 13 * 5", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00.000Z"],
    ["0 0 30 2 *", "2026-01-01T00:00:00Z", null],
  ])("%s after %s is %s", (schedule, after, expected) => {
    expect(next(schedule, after)).toBe(expected);
  });

  it("runs every so many minutes, at the same minutes in every process", () => {
    const at = nextRun(cron({ everyMinutes: 10 }), Date.parse("2026-01-01T00:07:00Z"));
    expect(new Date(at as number).toISOString()).toBe("2026-01-01T00:10:00.000Z");
  });
});

describe("turn()", () => {
  const minute = 60_000;
  const at = Date.parse("2026-01-01T00:10:00Z");
  const every = cron({ everyMinutes: 10 });

  it.each([
    ["a moment early, for a timer is not exact", -1, "wait", 10],
    ["in time", 0, "run", 10],
    ["a little late", minute, "run", 10],
    ["too late", minute + 1, "miss", 10],
    ["after a sleep over several runs", 25 * minute, "miss", 30],
  ])("%s", (_, late, what, nextMinutes) => {
    expect(turn(every, at, at + late)).toEqual({ what, next: at + nextMinutes * minute });
  });

  it("runs each time once and drifts nowhere, however late each run begins", () => {
    const schedules = [every, cron({ schedule: "*/10 * * * *" })];
    for (const one of schedules) {
      const ran: number[] = [];
      let due: number = at;
      for (let n = 0; n < 100; n++) {
        const { what, next } = turn(one, due, due + ((n * 7_919) % minute));
        expect(what).toBe("run");
        ran.push(due);
        due = next as number;
      }
      expect(ran).toEqual(Array.from({ length: 100 }, (_, n) => at + n * 10 * minute));
    }
  });
});

describe("parseSchedule()", () => {
  it.each(["", "* * * *", "60 * * * *", "5-1 * * * *", "*/0 * * * *", "a * * * *"])(
    "refuses %j",
    (schedule) => {
      expect(() => parseSchedule(schedule)).toThrow(`"${schedule}"`);
    },
  );
});
