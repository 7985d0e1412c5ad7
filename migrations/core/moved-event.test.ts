import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { movedEventFault } from "./moved-event";

const event = {
  v: 1,
  seq: 7,
  replId: "habc234defgh",
  migrationId: "0b9e6a5c-0000-4000-8000-000000000000",
  from: "east",
  to: "west",
  generation: 2,
  traceparent: "",
};

describe("movedEventFault()", () => {
  it("finds none in what we publish, nor in fields that were added to it", () => {
    expect(movedEventFault(event)).toBeNull();
    expect(movedEventFault({ ...event, why: "evacuation" })).toBeNull();
  });

  it.each([
    [{ ...event, v: 2 }, "Cannot read version 2 of repl.moved: expected 1"],
    [{ ...event, v: "1" }, 'Cannot read version "1" of repl.moved: expected 1'],
    [{ ...event, v: undefined }, "Cannot read version none of repl.moved: expected 1"],
    [{ ...event, replId: "" }, 'Cannot read repl.moved: replId is "", expected a text'],
    [{ ...event, to: undefined }, "Cannot read repl.moved: to is missing, expected a text"],
    [{ ...event, seq: 0 }, "Cannot read repl.moved: seq is 0, expected a whole number from 1"],
    [null, "Cannot read repl.moved: expected an object, not null"],
    [undefined, "Cannot read repl.moved: expected an object, not nothing"],
    [[event], "expected an object, not ["],
    ["moved", 'expected an object, not "moved"'],
  ])("names the fault of %j", (payload, fault) => {
    expect(movedEventFault(payload)).toContain(fault);
  });

  it("never throws, whatever comes", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (payload) => {
        expect(movedEventFault(payload)).not.toBe("");
      }),
    );
  });
});
