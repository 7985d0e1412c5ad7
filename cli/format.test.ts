import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { age, bar, bytes, clip, columns, count, duration, palette, table, width } from "./format";

describe("table()", () => {
  it("aligns columns, to the right where the title says so", () => {
    const text = table(
      ["APP", ">REQUESTS", "URL"],
      [
        ["hello.demo", "7", "http://a"],
        ["x", "12345", ""],
      ],
    );
    expect(text).toBe(
      ["APP         REQUESTS  URL", "hello.demo         7  http://a", "x              12345"].join(
        "\n",
      ),
    );
  });

  it("leaves colours out of the widths", () => {
    const { green } = palette(true);
    const [first, second] = columns([
      [green("up"), "a"],
      ["down", "b"],
    ]).split("\n");
    expect(width(first ?? "")).toBe(7);
    expect(second).toBe("down  b");
  });

  it("takes rows of unequal length, and none", () => {
    expect(columns([["a"], ["bb", "c"]])).toBe("a\nbb  c");
    expect(columns([])).toBe("");
  });

  it("gives each row a line, whatever is in it", () => {
    const cell = fc.string({ maxLength: 12 }).map((text) => text.replaceAll(/\s/g, "_"));
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell), { minLength: 1 }), (rows) => {
        expect(columns(rows).split("\n")).toHaveLength(rows.length);
      }),
    );
  });
});

describe("palette()", () => {
  it("is nothing where there is no terminal", () => {
    expect(palette(false).red("no")).toBe("no");
    expect(palette(true).red("no")).toBe("\u001b[31mno\u001b[0m");
    expect(palette(true).dim("")).toBe("");
  });
});

describe("clip()", () => {
  it("counts what is seen, and keeps every colour code", () => {
    const { red } = palette(true);
    expect(clip(`ab${red("cdef")}gh`, 4)).toBe(`ab${red("cd")}`);
    expect(clip("short", 80)).toBe("short");
    expect(clip("──────", 2)).toBe("──");
  });
});

describe("duration()", () => {
  it.each([
    [0, "0 µs"],
    [0.25, "250 µs"],
    [1, "1 ms"],
    [9.96, "10 ms"],
    [2.345, "2.3 ms"],
    [12.6, "13 ms"],
    [999.4, "999 ms"],
    [999.6, "1.0 s"],
    [3_140, "3.1 s"],
    [59_960, "1 m 0 s"],
    [250_000, "4 m 10 s"],
    [3_600_000, "1 h 0 m"],
    [86_400_000, "1 d 0 h"],
    [273_600_000, "3 d 4 h"],
  ])("%d ms is %s", (ms, text) => {
    expect(duration(ms)).toBe(text);
  });
});

describe("age() and count()", () => {
  it("says how long ago, and nothing of nothing", () => {
    const at = "2026-01-01T00:00:00.000Z";
    expect(age(at, Date.parse(at) + 5_000)).toBe("5.0 s");
    expect(age(at, Date.parse(at) - 5_000)).toBe("0 µs");
    expect(age(null, 0)).toBe("");
  });

  it("knows one from many", () => {
    expect([count(0, "app"), count(1, "app"), count(2, "app")]).toEqual([
      "0 apps",
      "1 app",
      "2 apps",
    ]);
  });
});

describe("bytes()", () => {
  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1_000, "1 KB"],
    [1_536, "1.5 KB"],
    [20_000_000, "20 MB"],
    [3.2e9, "3.2 GB"],
    [5e15, "5000 TB"],
  ])("%d is %s", (size, text) => {
    expect(bytes(size)).toBe(text);
  });
});

describe("bar()", () => {
  it("is full at the end, and never longer", () => {
    expect(bar(0)).toBe("░".repeat(30));
    expect(bar(0.5)).toBe("█".repeat(15) + "░".repeat(15));
    expect(bar(7)).toBe("█".repeat(30));
  });
});
