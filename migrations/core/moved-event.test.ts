import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { movedEventFault } from "./moved-event";

const moved = {
  seq: 7,
  replId: "habc234defgh",
  migrationId: "0b9e6a5c-0000-4000-8000-000000000000",
  from: "east",
  to: "west",
  generation: 2,
  traceparent: "",
};
const event = { v: 1, moved };

describe("movedEventFault()", () => {
  it("finds none in what we publish, nor in fields that were added to it", () => {
    expect(movedEventFault(event)).toBeNull();
    expect(movedEventFault({ v: 1, moved: { ...moved, why: "evacuation" } })).toBeNull();
  });

  it.each([
    [{ ...event, v: 2 }, "Cannot read version 2 of repl.moved: expected 1"],
    [{ ...event, v: "1" }, 'Cannot read version "1" of repl.moved: expected 1'],
    [moved, "Cannot read version none of repl.moved: expected 1"],
    [null, "Cannot read version none of repl.moved: expected 1"],
    [[event], "Cannot read version none of repl.moved: expected 1"],
    [{ v: 1 }, "Cannot read repl.moved: moved is missing, expected an object"],
    [{ v: 1, moved: [moved] }, "moved is [{"],
    [{ v: 1, moved: { ...moved, replId: "" } }, 'replId is "", expected a text'],
    [{ v: 1, moved: { ...moved, to: undefined } }, "to is missing, expected a text"],
    [{ v: 1, moved: { ...moved, seq: 0 } }, "seq is 0, expected a whole number from 1"],
  ])("names the fault of %j", (one, fault) => {
    expect(movedEventFault(one)).toContain(fault);
  });

  it("never throws, whatever comes", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (payload) => {
        expect(movedEventFault(payload)).not.toBe("");
        expect(movedEventFault({ v: 1, moved: payload })).not.toBe("");
      }),
    );
  });
});
