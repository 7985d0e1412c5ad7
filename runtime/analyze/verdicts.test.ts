import { afterAll, describe, expect, test } from "vitest";
import { readGolden, SmallApps, type RecordedApp, type Verdict } from "../__tests__/small-apps";
import { formatFault } from "./faults";

/** An application that Encore accepts although it cannot work; refused here, at that line. */
interface Trap {
  readonly name: string;
  readonly reason: string;
  readonly at: string;
}

const traps = new Map(readGolden<Trap[]>("traps.json").map((trap) => [trap.name, trap]));
const apps = new SmallApps();
afterAll(() => apps.remove());

function places({ faults }: Verdict): string[] {
  return faults.map(({ at }) => `${at.file}:${at.line}`);
}

/** Of several alike, Encore names any one. */
function firstPlaces(verdict: Verdict): string[] {
  const [first] = verdict.faults;
  return places({
    ...verdict,
    faults: verdict.faults.filter(({ message }) => message === first?.message),
  });
}

function said({ faults }: Verdict): string {
  return faults.map(formatFault).join("\n");
}

/**
 * Lists have no order of their own; comments are not read here; of the names of an alias of an alias
 * the first is enough.
 */
function comparable(found: unknown): unknown {
  if (Array.isArray(found)) {
    const items = found.map(comparable);
    return items.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  }
  if (typeof found === "string") return found.replace(/^(\w+=)(?:\w+=)+(?=\{)/, "$1");
  if (typeof found !== "object" || found === null) return found;
  const entries = Object.entries(found).filter(([key]) => key !== "doc");
  return Object.fromEntries(entries.map(([key, value]) => [key, comparable(value)]));
}

function compare(app: RecordedApp, verdict: Verdict): void {
  const trap = traps.get(app.name);
  if (trap !== undefined) {
    expect(app.verdict, "only what Encore accepts is a trap").toBe("accepted");
    expect(places(verdict), said(verdict)).toContain(trap.at);
  } else if (app.verdict === "accepted") {
    expect(said(verdict)).toBe("");
    expect(comparable(verdict.found)).toEqual(comparable(app.found));
  } else if (app.at !== undefined) {
    expect(firstPlaces(verdict), said(verdict)).toContain(app.at);
  } else {
    expect(verdict.faults, app.message).toHaveLength(1);
    expect(Object.keys(app.files)).toContain(verdict.faults[0]?.at.file);
  }
}

describe.each(["parser-cases.json", "more-cases.json"])("Encore's verdicts: %s", (file) => {
  test.each(readGolden<RecordedApp[]>(file).map((app) => [app.name, app] as const))(
    "%s",
    async (_name, app) => {
      compare(app, await apps.judge(app.files));
    },
  );
});

test("every trap is a case", () => {
  const names = [
    ...readGolden<RecordedApp[]>("parser-cases.json"),
    ...readGolden<RecordedApp[]>("more-cases.json"),
  ].map(({ name }) => name);
  expect([...traps.keys()].filter((name) => !names.includes(name))).toEqual([]);
});
