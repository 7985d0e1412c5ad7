import type { CronModel } from "./app-model";

const MINUTE_MS = 60_000;

/** Four years hold every date there is, and a schedule for 30 February holds none. */
const SEARCH_MINUTES = 4 * 366 * 24 * 60;

interface Field {
  readonly min: number;
  readonly max: number;
}

const FIELDS: readonly Field[] = [
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31 },
  { min: 1, max: 12 },
  { min: 0, max: 7 },
];

/** When a cron job runs next, strictly after `after` (both milliseconds since 1970); null: never. */
export function nextRun(
  cron: Pick<CronModel, "everyMinutes" | "schedule">,
  after: number,
): number | null {
  if (cron.everyMinutes !== null) {
    const period = cron.everyMinutes * MINUTE_MS;
    return (Math.floor(after / period) + 1) * period;
  }
  const matches = parseSchedule(cron.schedule ?? "");
  let at = (Math.floor(after / MINUTE_MS) + 1) * MINUTE_MS;
  for (let n = 0; n < SEARCH_MINUTES; n++, at += MINUTE_MS) {
    if (matches(new Date(at))) return at;
  }
  return null;
}

/** A run that could not begin so long is left out: the machine slept, or nobody was there. */
const LATE_MAX_MS = MINUTE_MS;

/**
 * What to do at `now` with the run that is due at `at`, and when the one after it is due. Runs that
 * were missed are not made up for.
 */
export function turn(
  cron: CronModel,
  at: number,
  now: number,
): { readonly what: "wait" | "run" | "miss"; readonly next: number | null } {
  const next = nextRun(cron, Math.max(at, now));
  if (now < at) return { what: "wait", next };
  return { what: now - at > LATE_MAX_MS ? "miss" : "run", next };
}

/** Five fields, UTC: minute, hour, day of month, month, day of week (0 and 7 are Sunday). */
export function parseSchedule(schedule: string): (at: Date) => boolean {
  const parts = schedule.trim().split(/\s+/);
  if (parts.length !== FIELDS.length) throw new Error(`"${schedule}" has not five fields`);
  const sets = FIELDS.map((field, index) => parseField(parts[index] as string, field, schedule));
  const [minutes, hours, days, months, weekdays] = sets as [
    Set<number>,
    Set<number>,
    Set<number>,
    Set<number>,
    Set<number>,
  ];
  if (weekdays.has(7)) weekdays.add(0);
  // As in cron: where both days are restricted, either is enough.
  const either = parts[2] !== "*" && parts[4] !== "*";
  return (at) => {
    const isDay = days.has(at.getUTCDate());
    const isWeekday = weekdays.has(at.getUTCDay());
    return (
      minutes.has(at.getUTCMinutes()) &&
      hours.has(at.getUTCHours()) &&
      months.has(at.getUTCMonth() + 1) &&
      (either ? isDay || isWeekday : isDay && isWeekday)
    );
  };
}

function parseField(text: string, field: Field, schedule: string): Set<number> {
  const values = new Set<number>();
  for (const item of text.split(",")) {
    const { first, last, step } = parseItem(item, field);
    if (!(step >= 1 && first >= field.min && last <= field.max && first <= last)) {
      throw new Error(
        `"${item}" in "${schedule}" is no cron field from ${field.min} to ${field.max}`,
      );
    }
    for (let value = first; value <= last; value += step) values.add(value);
  }
  return values;
}

/** `*`, `5`, `5-9`, each with `/step`; `5/10` runs to the end. NaN where it is none of these. */
function parseItem(
  item: string,
  { min, max }: Field,
): { first: number; last: number; step: number } {
  const match = /^(?:\*|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/.exec(item);
  if (!match) return { first: NaN, last: NaN, step: NaN };
  const [, from, to, step] = match;
  const first = Number(from ?? min);
  const isOpen = from === undefined || step !== undefined;
  return { first, last: Number(to ?? (isOpen ? max : first)), step: Number(step ?? 1) };
}
