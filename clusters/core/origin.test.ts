import { describe, expect, it } from "vitest";

import { findFault } from "./origin";

const allowed = ["http://127.0.0.1:4000", "https://console.example.com/app"];

describe("findFault()", () => {
  it("lets callers through that are no browsers, and the user's own navigation", () => {
    expect(findFault({ origin: undefined, fetchSite: undefined }, allowed)).toBeUndefined();
    expect(findFault({ origin: undefined, fetchSite: "none" }, allowed)).toBeUndefined();
  });

  it("lets the API's own pages through, and those of the origins it is told", () => {
    const own = { origin: "http://127.0.0.1:4000", fetchSite: "same-origin" };
    expect(findFault(own, allowed)).toBeUndefined();
    const console_ = { origin: "https://console.example.com", fetchSite: "cross-site" };
    expect(findFault(console_, allowed)).toBeUndefined();
  });

  it.each([
    ["http://evil.example", undefined],
    ["http://127.0.0.1:8080", "same-site"],
    ["null", undefined],
    [undefined, "cross-site"],
    [undefined, "same-site"],
    ["http://127.0.0.1:4000.evil.example", undefined],
  ])("refuses origin %s, site %s", (origin, fetchSite) => {
    expect(findFault({ origin, fetchSite }, allowed)).toContain("Refused");
  });
});
