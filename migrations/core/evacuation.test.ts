import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  BUDGET_WINDOW,
  DEFAULT_ERROR_BUDGET,
  etaMs,
  type Failed,
  inOrder,
  MAX_FAILURES,
  mayAsk,
  MINUTE_MS,
  type Resident,
  retryAtMs,
  type Situation,
  step,
  type Step,
} from "./evacuation";

const limits = { maxConcurrent: 2, perMinute: 100, errorBudget: DEFAULT_ERROR_BUDGET };

const resident = (replId: string, change: Partial<Resident> = {}): Resident => ({
  replId,
  mode: "asleep",
  bytes: 0,
  isMoving: false,
  ...change,
});

const situation = (change: Partial<Situation> = {}): Situation => ({
  limits,
  residents: [],
  failed: new Map(),
  failedLately: 0,
  underWay: 0,
  unsettled: 0,
  begunAtMs: [],
  nowMs: 1_000_000,
  ...change,
});

const failedOnce = (atMs: number, failures = 1): Failed => ({ failures, lastAtMs: atMs });

describe("step()", () => {
  it("begins the sleeping ones first, then the stateless, then the others by size, unknown last", () => {
    const residents = [
      resident("large", { mode: "handoff", bytes: 9_000 }),
      resident("unknown", { mode: null, bytes: null }),
      resident("small", { mode: "handoff", bytes: 10 }),
      resident("stateless", { mode: "overlap", bytes: 99_999 }),
      resident("asleep"),
    ];
    expect(step(situation({ residents, limits: { ...limits, maxConcurrent: 9 } }))).toEqual({
      kind: "begin",
      replIds: ["asleep", "stateless", "small", "large", "unknown"],
    });
  });

  it("begins no more than there is room for", () => {
    const residents = ["a", "b", "c", "d"].map((id) => resident(id));
    const begun = (change: Partial<Situation>) => step(situation({ residents, ...change }));
    expect(begun({})).toMatchObject({ replIds: ["a", "b"] });
    expect(begun({ underWay: 1 })).toMatchObject({ replIds: ["a"] });
    expect(begun({ underWay: 2 })).toEqual({ kind: "wait", reason: null });
    const perMinute = { ...limits, perMinute: 2 };
    expect(begun({ limits: perMinute, begunAtMs: [999_000] })).toMatchObject({ replIds: ["a"] });
    expect(begun({ limits: perMinute, begunAtMs: [999_000, 999_500] })).toEqual({
      kind: "wait",
      reason: "2 a minute is the limit",
    });
    const aMinuteAgo = 1_000_000 - MINUTE_MS;
    expect(begun({ limits: perMinute, begunAtMs: [aMinuteAgo, aMinuteAgo] })).toMatchObject({
      replIds: ["a", "b"],
    });
  });

  it("leaves alone what moves already, and is not done before that has ended", () => {
    const moving = [resident("a", { isMoving: true })];
    expect(step(situation({ residents: moving }))).toMatchObject({ kind: "wait" });
    expect(step(situation({ unsettled: 1 }))).toMatchObject({ kind: "wait" });
    expect(step(situation())).toEqual({ kind: "end", state: "done", reason: "" });
  });

  it("tries again later what failed, after the others, and gives it up in the end", () => {
    const nowMs = 1_000_000;
    const residents = [resident("a"), resident("b", { mode: "handoff" })];
    const failing = (failed: Failed, of = residents) =>
      step(situation({ residents: of, failed: new Map([["a", failed]]) }));
    expect(failing(failedOnce(nowMs - 1_000))).toMatchObject({ replIds: ["b"] });
    expect(failing(failedOnce(nowMs - 5_000))).toMatchObject({ replIds: ["b", "a"] });
    expect(failing(failedOnce(nowMs - 5_000, 2), [resident("a")])).toMatchObject({ kind: "wait" });
    expect(failing(failedOnce(0, MAX_FAILURES))).toMatchObject({ replIds: ["b"] });
    expect(failing(failedOnce(0, MAX_FAILURES), [resident("a")])).toEqual({
      kind: "end",
      state: "incomplete",
      reason: "1 cannot be moved: each has failed 5 times",
    });
  });

  it("stops when more failed than the budget allows", () => {
    const residents = [resident("a")];
    const after = (failedLately: number, errorBudget = DEFAULT_ERROR_BUDGET) =>
      step(situation({ residents, failedLately, limits: { ...limits, errorBudget } }));
    expect(after(2)).toMatchObject({ kind: "begin" });
    expect(after(3)).toEqual({
      kind: "stop",
      reason: "3 of the last 50 failed; the error budget is 5 %",
    });
    expect(after(1, 0)).toMatchObject({ kind: "stop" });
    expect(after(BUDGET_WINDOW, 100)).toMatchObject({ kind: "begin" });
  });
});

describe("mayAsk()", () => {
  it("changes nothing that has ended", () => {
    for (const asked of ["pause", "resume", "cancel"] as const) {
      const { from, to } = mayAsk(asked);
      for (const ended of ["cancelled", "done", "incomplete"] as const) {
        expect(from).not.toContain(ended);
      }
      expect(from).not.toContain(to);
    }
    expect(mayAsk("resume")).toEqual({ from: ["paused", "stopped"], to: "running" });
  });
});

describe("etaMs()", () => {
  it("goes by the pace", () => {
    expect(etaMs(30, 60, MINUTE_MS)).toBe(30_000);
    expect(etaMs(30, 0, MINUTE_MS)).toBeNull();
    expect(etaMs(0, 0, MINUTE_MS)).toBe(0);
  });
});

/** A cluster and its evacuation in virtual time; what a move comes to is drawn beforehand. */
interface World {
  readonly limits: Situation["limits"];
  readonly repls: readonly Resident[];
  /** How long each move takes, and how often it fails before it does not. */
  readonly moves: readonly { readonly ms: number; readonly failures: number }[];
  /** Somebody moves this many in while it runs, one every second. */
  readonly arriving: number;
}

const anyWorld = fc.record<World>({
  limits: fc.record({
    maxConcurrent: fc.integer({ min: 1, max: 5 }),
    perMinute: fc.integer({ min: 1, max: 40 }),
    errorBudget: fc.constantFrom(0, 5, 100),
  }),
  repls: fc.uniqueArray(
    fc.record<Resident>({
      replId: fc.string({ minLength: 1, maxLength: 3 }),
      mode: fc.constantFrom("asleep", "overlap", "handoff", null),
      bytes: fc.option(fc.nat({ max: 1_000 })),
      isMoving: fc.constant(false),
    }),
    { selector: ({ replId }) => replId, maxLength: 30 },
  ),
  moves: fc.array(
    fc.record({
      ms: fc.integer({ min: 100, max: 90_000 }),
      failures: fc.oneof(
        { weight: 8, arbitrary: fc.constant(0) },
        { weight: 2, arbitrary: fc.integer({ min: 1, max: MAX_FAILURES + 1 }) },
      ),
    }),
    { minLength: 1, maxLength: 12 },
  ),
  arriving: fc.nat({ max: 5 }),
});

const TICK_MS = 500;
/** Far more than any of these worlds needs. */
const MAX_TICKS = 100_000;

class Simulation {
  readonly begun: { replId: string; atMs: number }[] = [];
  readonly failed = new Map<string, Failed>();
  private readonly homes: Map<string, Resident>;
  private readonly underWay = new Map<string, { endsAtMs: number; fails: boolean }>();
  /** Whether the last move of each failed, in the order of their ends. */
  private readonly latest = new Map<string, boolean>();
  private arrived = 0;

  constructor(private readonly world: World) {
    this.homes = new Map(world.repls.map((repl) => [repl.replId, repl]));
  }

  get left(): string[] {
    return [...this.homes.keys()];
  }

  /** To its end; moves under way end by themselves. */
  run(): Exclude<Step, { kind: "begin" | "wait" }> {
    for (let tick = 0; tick < MAX_TICKS; tick++) {
      const nowMs = tick * TICK_MS;
      if (tick % 2 === 0) this.arrive();
      for (const [replId, { endsAtMs }] of this.underWay) {
        if (endsAtMs <= nowMs) this.endMove(replId, nowMs);
      }
      const residents = this.residents();
      const next = step(this.situation(residents, nowMs));
      if (next.kind === "stop" || next.kind === "end") return next;
      if (next.kind === "begin") this.begin(next.replIds, residents, nowMs);
    }
    throw new Error("the evacuation does not end");
  }

  private arrive(): void {
    if (this.arrived >= this.world.arriving) return;
    const replId = `late${this.arrived++}`;
    this.homes.set(replId, resident(replId));
  }

  private endMove(replId: string, nowMs: number): void {
    const fails = this.underWay.get(replId)?.fails ?? false;
    this.underWay.delete(replId);
    this.latest.delete(replId);
    this.latest.set(replId, fails);
    if (fails) {
      const { failures = 0 } = this.failed.get(replId) ?? {};
      this.failed.set(replId, { failures: failures + 1, lastAtMs: nowMs });
    } else {
      this.homes.delete(replId);
    }
  }

  private residents(): Resident[] {
    return [...this.homes.values()].map((repl) => {
      return { ...repl, isMoving: this.underWay.has(repl.replId) };
    });
  }

  private situation(residents: readonly Resident[], nowMs: number): Situation {
    const { failed, underWay } = this;
    const latest = [...this.latest.values()].slice(-BUDGET_WINDOW);
    return {
      limits: this.world.limits,
      residents,
      failed,
      failedLately: latest.filter(Boolean).length,
      underWay: underWay.size,
      unsettled: underWay.size,
      begunAtMs: this.begun.map(({ atMs }) => atMs),
      nowMs,
    };
  }

  private begin(replIds: readonly string[], residents: readonly Resident[], nowMs: number): void {
    const { failed, underWay, begun, world } = this;
    const due = residents.filter(({ replId, isMoving }) => {
      const before = failed.get(replId);
      if (isMoving || (before && before.failures >= MAX_FAILURES)) return false;
      return !before || retryAtMs(before) <= nowMs;
    });
    const order = inOrder(due, failed).map(({ replId }) => replId);
    expect(replIds.length).toBeGreaterThan(0);
    expect(replIds).toEqual(order.slice(0, replIds.length));
    for (const replId of replIds) {
      expect(underWay.has(replId)).toBe(false);
      const { ms = 0, failures = 0 } = world.moves[begun.length % world.moves.length] ?? {};
      const fails = (failed.get(replId)?.failures ?? 0) < failures;
      underWay.set(replId, { endsAtMs: nowMs + ms, fails });
      begun.push({ replId, atMs: nowMs });
    }
    expect(underWay.size).toBeLessThanOrEqual(world.limits.maxConcurrent);
  }
}

describe("an evacuation", () => {
  it("ends, with nothing left or each that is left named; and never exceeds its limits", () => {
    fc.assert(
      fc.property(anyWorld, (world) => {
        const simulation = new Simulation(world);
        const end = simulation.run();
        const { begun, left, failed } = simulation;
        for (const { atMs } of begun) {
          const inMinute = begun.filter((one) => one.atMs >= atMs && one.atMs < atMs + MINUTE_MS);
          expect(inMinute.length).toBeLessThanOrEqual(world.limits.perMinute);
        }
        if (end.kind === "stop") {
          expect(world.limits.errorBudget).toBeLessThan(100);
          return;
        }
        if (end.state === "done") expect(left).toEqual([]);
        else expect(left).not.toEqual([]);
        for (const replId of left) {
          expect(failed.get(replId)?.failures).toBeGreaterThanOrEqual(MAX_FAILURES);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("begins in its order: nobody waits behind one that comes later in it", () => {
    fc.assert(
      fc.property(anyWorld, (world) => {
        const moves = [{ ms: 300, failures: 0 }];
        const simulation = new Simulation({ ...world, arriving: 0, moves });
        simulation.run();
        expect(simulation.begun.map(({ replId }) => replId)).toEqual(
          inOrder(world.repls).map(({ replId }) => replId),
        );
      }),
      { numRuns: 30 },
    );
  });
});
