import { describe, expect, it } from "vitest";

import { MasterReader } from "./master-tokens";

function entries(text: string): string[] {
  const reader = new MasterReader(text);
  const found: string[] = [];
  for (let entry = reader.next(); entry; entry = reader.next()) {
    if ("reason" in entry) {
      found.push(`${entry.line}:${entry.column} ${entry.reason}`);
      break;
    }
    const tokens = entry.tokens.map(({ text: token, isQuoted, line, column }) => {
      return `${line}:${column} ${isQuoted ? `"${token}"` : token}`;
    });
    found.push(`${entry.isIndented ? "> " : ""}${tokens.join(", ")}`);
  }
  return found;
}

describe("the tokens of a zone file", () => {
  it.each([
    ["", []],
    ["; nothing\n\n  \r\n", []],
    ["a 1 ; no\n\tb", ["1:1 a, 1:3 1", "> 2:2 b"]],
    ["a ( b ; c\n  d )e\nf", ["1:1 a, 1:5 b, 2:3 d, 2:6 e", "3:1 f"]],
    ['a "b ;(c" d', ['1:1 a, 1:3 "b ;(c", 1:11 d']],
    ['a "b\\"c" "" x\\;y\\ z', ['1:1 a, 1:3 "b\\"c", 1:10 "", 1:13 x\\;y\\ z']],
    ["a\r\nb", ["1:1 a", "2:1 b"]],
    ['a"b"', ['1:1 a, 1:2 "b"']],
  ])("of %j", (text, expected) => {
    expect(entries(text)).toEqual(expected);
  });

  it.each([
    ["a\nb ( c", "2:3 a parenthesis without its end"],
    ["a )", '1:3 ")" without "("'],
    ['a "b\nc"', "1:3 a quote without its end"],
    ['a "b\\', "1:3 a quote without its end"],
    ["a b\\\nc", "1:3 a lone backslash at the end of the line"],
    ["a b\\", "1:3 a lone backslash at the end of the line"],
  ])("of %j end in a fault", (text, expected) => {
    expect(entries(text).at(-1)).toBe(expected);
  });
});
