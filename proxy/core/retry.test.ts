import { describe, expect, it } from "vitest";

import { mayRetry } from "./retry";

const lost = {
  connected: true,
  reused: true,
  answered: false,
  bodySent: false,
  method: "GET",
  lost: 0,
};

describe("mayRetry()", () => {
  it.each([
    ["nothing was sent", { connected: false, method: "POST" }, "reroute"],
    ["an idle connection was lost", {}, "fresh"],
    ["a DELETE", { method: "DELETE" }, "fresh"],
    ["a POST", { method: "POST" }, "no"],
    ["an unknown method", { method: "get" }, "no"],
    ["a fresh connection", { reused: false }, "no"],
    ["an answer had begun", { answered: true }, "no"],
    ["a body had begun", { bodySent: true }, "no"],
    ["the second time", { lost: 1 }, "no"],
  ])("%s", (_what, change, expected) => {
    expect(mayRetry({ ...lost, ...change })).toBe(expected);
  });
});
