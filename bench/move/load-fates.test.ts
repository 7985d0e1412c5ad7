import { describe, expect, it } from "vitest";

import { fateOf, type Kill, type Lost, type Stay } from "./load-fates";

const kill: Kill = { cluster: "west", at: 100, goneAt: 110, backAt: 300 };
const stays: Stay[] = [
  { app: "a", cluster: "east", from: 0, heardAt: 0 },
  { app: "a", cluster: "west", from: 50, heardAt: 52 },
  { app: "a", cluster: "east", from: 90, heardAt: 92 },
  { app: "b", cluster: "east", from: 0, heardAt: 0 },
];
const lost: Lost = {
  who: "a GET",
  why: "no answer",
  app: "a",
  dialled: "east",
  askedAt: 80,
  endedAt: 120,
  isUnanswered: true,
};

describe("a request without an answer", () => {
  it.each<[string, Partial<Lost>, string]>([
    ["was on its way to where its app lived when it was asked", {}, "cut"],
    ["was cut in its body there", { isUnanswered: false }, "cut"],
    ["was asked when its app lived elsewhere again", { askedAt: 95 }, "failed"],
    ["was asked before all had heard that it lives elsewhere again", { askedAt: 91 }, "cut"],
    ["is of an app that never lived there", { app: "b" }, "failed"],
    ["ended before the kill", { endedAt: 99 }, "failed"],
    ["was on its way through the address", { app: "b", dialled: "west" }, "cut"],
    ["met nobody", { app: "b", dialled: "west", askedAt: 200, endedAt: 201 }, "met nobody"],
    [
      "got an error while its process was away",
      { dialled: "west", askedAt: 200, endedAt: 201, isUnanswered: false },
      "failed",
    ],
    ["met nobody when all were back", { dialled: "west", askedAt: 301, endedAt: 302 }, "failed"],
    ["met nobody at another address", { askedAt: 200, endedAt: 201 }, "failed"],
  ])("%s", (_what, change, fate) => {
    expect(fateOf({ ...lost, ...change }, [kill], stays)).toBe(fate);
  });

  it("is excused by nothing where nothing was killed", () => {
    expect(fateOf(lost, [], stays)).toBe("failed");
  });
});
