import { describe, expect, it } from "vitest";

import { lines, wireName } from "./__tests__/zone-text";
import { CLASS, TYPE } from "./codes";
import { answerIdentity, identityOctets } from "./identity";

const ask = (name: string, identity: string, type: number = TYPE.TXT): string[] | undefined => {
  const question = { name: wireName(name), type, class: CLASS.CH, end: 0 };
  const answer = answerIdentity(question, identity);
  return answer && lines(answer.answers);
};

describe("answerIdentity()", () => {
  it.each([
    ["version.bind", "", ['version.bind 0 TXT "Stele"']],
    ["VERSION.server", "", ['version.server 0 TXT "Stele"']],
    ["id.server", "ns1-a", ['id.server 0 TXT "ns1-a"']],
    ["hostname.bind", "ns1-a", ['hostname.bind 0 TXT "ns1-a"']],
    ["id.server", "", undefined],
    ["other.bind", "ns1-a", undefined],
  ])("%s of %j", (name, identity, expected) => {
    expect(ask(name, identity)).toEqual(expected);
  });

  it("is a text, and nothing else", () => {
    expect(ask("version.bind", "", TYPE.ANY)).toEqual(['version.bind 0 TXT "Stele"']);
    expect(ask("version.bind", "", TYPE.A)).toBeUndefined();
  });

  it("has octets, for NSID", () => {
    expect(Buffer.from(identityOctets("ns1-a")).toString()).toBe("ns1-a");
  });
});
