import { describe, expect, it } from "vitest";

import { afterLook, type DomainState, type Evidence, LAPSE_MS, proofOf } from "./domain";

const expected = {
  hostname: "shop.example",
  target: "abc.id.repl.test",
  proof: proofOf("token"),
  addresses: ["192.0.2.1", "2001:db8::1"],
};
const nothing: Evidence = { aliases: [], proofs: [], addresses: [] };
const alias: Evidence = { ...nothing, aliases: ["ABC.id.repl.test"] };
const txt: Evidence = { ...nothing, proofs: ["other", "stele-domain=token"] };
const apex: Evidence = { ...txt, addresses: ["192.0.2.1"] };
const unknown: Evidence = { aliases: null, proofs: null, addresses: null };
const at = (status: DomainState["status"], failingSinceMs: number | null = null): DomainState => {
  return { status, failingSinceMs };
};
const look = (state: DomainState, evidence: Evidence, nowMs = 0) =>
  afterLook(state, evidence, expected, nowMs);

describe("a custom domain", () => {
  it.each([
    ["pending", nothing, "pending"],
    ["pending", unknown, "pending"],
    ["pending", alias, "active"],
    ["pending", txt, "verified"],
    ["pending", apex, "active"],
    ["pending", { ...nothing, addresses: ["192.0.2.1"] }, "pending"],
    ["pending", { ...nothing, aliases: ["xyz.id.repl.test"] }, "pending"],
    ["pending", { ...apex, addresses: ["192.0.2.1", "192.0.2.9"] }, "verified"],
    ["verified", nothing, "pending"],
    ["verified", unknown, "verified"],
    ["verified", apex, "active"],
    ["active", apex, "active"],
    ["active", unknown, "active"],
    ["active", nothing, "active"],
    ["lapsed", nothing, "lapsed"],
    ["lapsed", txt, "lapsed"],
    ["lapsed", alias, "active"],
  ] as const)("that is %s and shows %j is %s", (before, evidence, after) => {
    expect(look(at(before), evidence).status).toBe(after);
  });

  it("lapses when it has led elsewhere for days, and not because nobody answers", () => {
    const first = look(at("active"), nothing, 1_000);
    expect(first).toMatchObject({ status: "active", failingSinceMs: 1_000 });
    const late = 1_000 + LAPSE_MS;
    expect(look(first, nothing, late - 1).status).toBe("active");
    expect(look(first, unknown, late)).toMatchObject({ status: "active", failingSinceMs: 1_000 });
    expect(look(first, nothing, late).status).toBe("lapsed");
    expect(look(first, alias, late)).toEqual({
      status: "active",
      failingSinceMs: null,
      reason: null,
    });
  });

  it("is told what is missing", () => {
    expect(look(at("pending"), nothing).reason).toMatch(
      /no CNAME.*abc\.id\.repl\.test.*_stele\.shop/,
    );
    expect(look(at("pending"), txt).reason).toMatch(/is proven, but leads elsewhere/);
    expect(look(at("pending"), unknown).reason).toMatch(/nobody answers/);
  });
});
