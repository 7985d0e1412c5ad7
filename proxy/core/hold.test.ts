import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { HOLD_BOUNDS, type HoldBounds, holdUntil, WaitingRoom } from "./hold";
import { LIMITS } from "./limits";

const BOUNDS: HoldBounds = { perRepl: 3, bytesPerRepl: 100, perCluster: 5, bytesPerCluster: 150 };

interface Waiting {
  readonly guest: number;
  readonly place: string;
  readonly account: string;
  readonly bytes: number;
}

type Step = Waiting | { readonly gone: number };

const steps = fc.array(
  fc.oneof(
    fc.record({
      guest: fc.nat(9),
      place: fc.constantFrom("a", "b", "a's answer"),
      bytes: fc.nat(60),
    }),
    fc.record({ gone: fc.nat(9) }),
  ),
  { maxLength: 60 },
);

const sum = (waiting: readonly Waiting[]): number =>
  waiting.reduce((total, { bytes }) => total + bytes, 0);

/** The rule as a list: what must be true of whoever waits, in the order of arrival. */
function accept(waiting: readonly Waiting[], next: Waiting): Waiting[] {
  if (waiting.some(({ guest, place }) => guest === next.guest && place === next.place)) {
    return [...waiting];
  }
  const others = waiting.filter(({ guest }) => guest !== next.guest);
  const ofRepl = others.filter(({ account }) => account === next.account);
  const fits =
    ofRepl.length < BOUNDS.perRepl &&
    sum(ofRepl) + next.bytes <= BOUNDS.bytesPerRepl &&
    others.length < BOUNDS.perCluster &&
    sum(others) + next.bytes <= BOUNDS.bytesPerCluster;
  return fits ? [...others, next] : others;
}

describe("a waiting room", () => {
  it("is first in, first out and within its bounds, and loses nobody, whatever happens", () => {
    fc.assert(
      fc.property(steps, (script) => {
        const room = new WaitingRoom<number, string>(BOUNDS);
        let waiting: Waiting[] = [];
        let refused = 0;
        for (const step of script as Step[]) {
          if ("gone" in step) {
            waiting = waiting.filter(({ guest }) => guest !== step.gone);
            room.leave(step.gone);
          } else {
            const next = { ...step, account: step.place[0] ?? "" };
            waiting = accept(waiting, next);
            const isIn = waiting.some(({ guest }) => guest === next.guest);
            expect(room.enter(next.guest, next)).toBe(isIn);
            if (!isIn) refused++;
          }
          expect(room.refused).toBe(refused);
          expect([room.count, room.bytes]).toEqual([waiting.length, sum(waiting)]);
          for (const place of ["a", "b", "a's answer"]) {
            const there = waiting.filter((one) => one.place === place);
            expect(room.waitingIn(place)).toEqual(there.map(({ guest }) => guest));
            expect(room.sizeOf(place)).toBe(there.length);
          }
          expect(new Set(room.places())).toEqual(new Set(waiting.map(({ place }) => place)));
          expect(new Set(room.all())).toEqual(new Set(waiting.map(({ guest }) => guest)));
        }
        for (const guest of room.all()) room.leave(guest);
        expect([room.count, room.bytes, room.places()]).toEqual([0, 0, []]);
        // Nothing is left on anybody's account either.
        for (let guest = 0; guest < BOUNDS.perRepl; guest++) {
          expect(room.enter(guest, { place: "a", account: "a", bytes: 1 })).toBe(true);
        }
      }),
    );
  });

  it.each([
    ["requests of a repl", { ...BOUNDS, perRepl: 1 }, "a"],
    ["bytes of a repl", { ...BOUNDS, bytesPerRepl: 19 }, "a"],
    ["requests of the cluster", { ...BOUNDS, perCluster: 1 }, "b"],
    ["bytes of the cluster", { ...BOUNDS, bytesPerCluster: 19 }, "b"],
  ])("is bounded in %s", (_what, bounds, second) => {
    const room = new WaitingRoom<number, string>(bounds);
    expect(room.enter(1, { place: "a", account: "a", bytes: 10 })).toBe(true);
    expect(room.enter(2, { place: second, account: second, bytes: 10 })).toBe(false);
    room.leave(1);
    expect(room.enter(2, { place: second, account: second, bytes: 10 })).toBe(true);
  });

  it("has room for others when one repl has filled its own", () => {
    expect(HOLD_BOUNDS.perRepl).toBeLessThan(HOLD_BOUNDS.perCluster);
    expect(HOLD_BOUNDS.bytesPerRepl).toBeLessThan(HOLD_BOUNDS.bytesPerCluster);
    expect(LIMITS.heldBytesPerRequest).toBeLessThan(HOLD_BOUNDS.bytesPerRepl);
  });
});

describe("holdUntil()", () => {
  it("is the hold budget, the longer one of a start, and never beyond the first hold's end", () => {
    expect(holdUntil(1_000, false, 0)).toBe(1_000 + LIMITS.holdMs);
    expect(holdUntil(1_000, true, 0)).toBe(1_000 + LIMITS.wakeMs);
    expect(holdUntil(1_000, false, 1_500)).toBe(1_500);
    expect(holdUntil(1_000, true, 99_000_000)).toBe(1_000 + LIMITS.wakeMs);
  });
});
