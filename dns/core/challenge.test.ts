import { describe, expect, it } from "vitest";

import { wireName } from "./__tests__/zone-text";
import { Challenges, challengeValue } from "./challenge";
import { TYPE } from "./codes";

const NAME = wireName("_acme-challenge.example.org");
const at = (value: string) => ({ name: "_acme-challenge.example.org", value });

describe("a DNS-01 value in record data", () => {
  it.each([
    [NAME, TYPE.TXT, '"abc_-"', "abc_-"],
    [NAME, TYPE.TXT, '"a b"', "a b"],
    [NAME, TYPE.TXT, '""', undefined],
    [NAME, TYPE.TXT, '"a" "b"', undefined],
    [NAME, TYPE.TXT, '"\\007"', undefined],
    [NAME, TYPE.CNAME, "abc", undefined],
    [wireName("example.org"), TYPE.TXT, '"abc"', undefined],
    [wireName("x._acme-challenge.example.org"), TYPE.TXT, '"abc"', undefined],
  ])("%j %s %s", (name, type, data, value) => {
    expect(challengeValue(name, type, data)).toBe(value);
  });
});

describe("DNS-01 values in a change", () => {
  it("are written when they are put, also again, and ended when they are gone", () => {
    const challenges = new Challenges([at("stays"), at("again"), at("goes")]);
    challenges.put(NAME, "again");
    challenges.put(NAME, "new");
    challenges.put(NAME, "short");
    challenges.remove(NAME, "short");
    challenges.remove(NAME, "goes");
    expect(challenges.values(NAME)).toEqual(["stays", "again", "new"]);
    expect(challenges.changes()).toEqual({ put: [at("again"), at("new")], gone: [at("goes")] });
    challenges.clear(NAME);
    expect(challenges.has(NAME)).toBe(false);
    expect(challenges.changes().put).toEqual([]);
    expect(challenges.changes().gone).toHaveLength(3);
  });

  it("are at most fifty at a name", () => {
    const challenges = new Challenges([]);
    for (let i = 0; i < 50; i++) challenges.put(NAME, `${i}`);
    expect(challenges.fault()).toBeUndefined();
    challenges.put(NAME, "51");
    expect(challenges.fault()).toMatch(/would have 51 values: at most 50/);
    challenges.remove(NAME, "0");
    expect(challenges.fault()).toBeUndefined();
  });
});
