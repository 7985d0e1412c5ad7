import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { ChunkScanner } from "./chunks";

const bytesOf = (text: string): Uint8Array =>
  Uint8Array.from(text, (character) => character.charCodeAt(0));
const textOf = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

interface Result {
  readonly out: string;
  readonly used: number;
  readonly done: boolean;
  readonly fault: string;
}

/** Runs `text` through a scanner, cut at `cuts`. */
function run(text: string, cuts: readonly number[], dataOnly: boolean): Result {
  const scanner = new ChunkScanner(dataOnly);
  const ends = [...new Set([...cuts.map((cut) => cut % (text.length + 1)), text.length])];
  let out = "";
  let used = 0;
  let at = 0;
  for (const end of ends.sort((one, other) => one - other)) {
    const bytes = bytesOf(text.slice(at, end));
    at = end;
    if (bytes.length === 0 || scanner.done || scanner.fault !== "") continue;
    used += scanner.scan(bytes, 0);
    for (const { from, to, text: written } of scanner.pieces) {
      out += written === "" ? textOf(bytes.subarray(from, to)) : written;
    }
  }
  return { out, used, done: scanner.done, fault: scanner.fault };
}

const WHOLE = [
  ["5\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello"],
  ["5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "hello!"],
  ["0\r\n\r\n", "0\r\n\r\n", ""],
  ["A\r\n0123456789\r\n0\r\n\r\n", "a\r\n0123456789\r\n0\r\n\r\n", "0123456789"],
  ["0005\r\nhello\r\n000\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello"],
  ["5;a=b\r\nhello\r\n0;last\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello"],
  ['5;a="x;y"\r\nhello\r\n0\r\n\r\n', "5\r\nhello\r\n0\r\n\r\n", "hello"],
  ["2\r\n\r\n\r\n0\r\n\r\n", "2\r\n\r\n\r\n0\r\n\r\n", "\r\n"],
  ["1\r\na\r\n0\r\nX-A: b\r\nHost: c\r\n\r\n", "1\r\na\r\n0\r\nX-A: b\r\n\r\n", "a"],
] as const;

const BROKEN = [
  "\r\n",
  "+5\r\nhello\r\n",
  "-5\r\nhello\r\n",
  "0x5\r\nhello\r\n",
  " 5\r\nhello\r\n",
  "5 \r\nhello\r\n",
  "5 ;a\r\nhello\r\n",
  "g\r\n",
  "5\nhello\r\n",
  "5\r\rhello",
  "5\r\nhello!\r\n",
  "5\r\nhello\n0\r\n\r\n",
  "5\r\nhello\r!",
  "5;a\nb\r\nhello\r\n",
  "5;a\rb\r\nhello\r\n",
  "5;a\0\r\nhello\r\n",
  "00000000000000005\r\nhello",
  "fffffffffffffffff\r\n",
  "20000000000001\r\n",
  "0\r\nbad\r\n\r\n",
  "0\r\nA: b\nC: d\r\n\r\n",
  "0\r\n A: b\r\n\r\n",
  "0\r\n\rx\n",
];

describe("ChunkScanner", () => {
  it.each(WHOLE)("reads %j", (text, rewritten, data) => {
    const rest = "GET /";
    expect(run(text + rest, [], false)).toEqual({
      out: rewritten,
      used: text.length,
      done: true,
      fault: "",
    });
    expect(run(text + rest, [], true).out).toBe(data);
  });

  it("says the same wherever its input is cut", () => {
    for (const [text, rewritten, data] of WHOLE) {
      for (let cut = 0; cut <= text.length; cut++) {
        expect(run(text, [cut], false)).toMatchObject({ out: rewritten, done: true });
        expect(run(text, [cut], true)).toMatchObject({ out: data, done: true });
      }
    }
  });

  it.each(BROKEN)("refuses %j, wherever it is cut", (text) => {
    for (let cut = 0; cut <= text.length; cut++) {
      expect(run(text, [cut], false)).toMatchObject({ done: false, fault: "bad_request" });
    }
  });

  it("bounds extensions and trailers", () => {
    expect(run(`5;${"a".repeat(300)}\r\n`, [], false).fault).toBe("body_too_large");
    const line = `1;${"a".repeat(200)}\r\nx\r\n`;
    expect(run(line.repeat(30), [], false).fault).toBe("body_too_large");
    expect(run(`0\r\nA: ${"b".repeat(9_000)}\r\n\r\n`, [], false).fault).toBe("bad_request");
  });

  it("passes canonical chunks as one range of what was read", () => {
    const scanner = new ChunkScanner(false);
    const bytes = bytesOf("5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n");
    scanner.scan(bytes, 0);
    expect(scanner.pieces).toEqual([{ from: 0, to: bytes.length, text: "" }]);
  });

  it("keeps any body whole under any cuts, extensions and zeros", () => {
    const chunk = fc.record({
      data: fc.string({ minLength: 1, maxLength: 40, unit: "binary-ascii" }),
      zeros: fc.nat(3),
      upper: fc.boolean(),
      extension: fc.constantFrom("", ";a", ";a=b", ';q="x"'),
    });
    fc.assert(
      fc.property(
        fc.array(chunk, { maxLength: 6 }),
        fc.array(fc.nat(400), { maxLength: 8 }),
        (chunks, cuts) => {
          const text = chunks.map(({ data, zeros, upper, extension }) => {
            const hex = data.length.toString(16);
            return `${"0".repeat(zeros)}${upper ? hex.toUpperCase() : hex}${extension}\r\n${data}\r\n`;
          });
          const whole = `${text.join("")}0\r\n\r\n`;
          const plain = chunks.map(({ data }) => data).join("");
          const canonical = chunks.map(({ data }) => `${data.length.toString(16)}\r\n${data}\r\n`);
          expect(run(whole, cuts, true).out).toBe(plain);
          expect(run(whole, cuts, false).out).toBe(`${canonical.join("")}0\r\n\r\n`);
        },
      ),
    );
  });
});
