import { describe, expect, it } from "vitest";

import {
  address,
  addresses,
  flag,
  integer,
  list,
  milliseconds,
  oneOf,
  readSettings,
  settingsFaults,
  text,
} from "./settings";

const table = {
  zone: { name: "STELE_ZONE", default: "repl.localhost", parse: text, doc: "the zone" },
  port: { name: "STELE_PORT", default: "8080", parse: integer(1, 65_535), doc: "a port" },
};

describe("readSettings()", () => {
  it("takes what the environment says, and the default elsewhere", () => {
    expect(readSettings(table, { STELE_PORT: "81" })).toEqual({ zone: "repl.localhost", port: 81 });
  });

  it("reports all faults at once, with the value and what is expected", () => {
    const both = {
      ...table,
      wait: { ...table.port, name: "STELE_WAIT", parse: milliseconds(0, 9) },
    };
    expect(settingsFaults(both, { STELE_PORT: "0", STELE_WAIT: "soon" })).toEqual([
      'STELE_PORT="0": expected a whole number from 1 to 65535',
      'STELE_WAIT="soon": expected a duration from 0 ms to 9 ms, such as 250ms, 3s or 5m',
    ]);
    expect(() => readSettings(both, { STELE_PORT: "x" })).toThrow("Cannot read the settings");
  });
});

describe("parsers", () => {
  it.each([
    ["250ms", 250],
    ["3s", 3_000],
    ["5m", 300_000],
    ["40", 40],
  ])("duration %s is %i ms", (written, expected) => {
    expect(milliseconds(0, 3_600_000)(written)).toBe(expected);
  });

  it.each([
    ["127.0.0.1:5300", "127.0.0.1", 5300],
    ["[::1]:53", "::1", 53],
  ])("address %s", (written, host, port) => {
    expect(address(written)).toEqual({ host, port });
  });

  it.each(["localhost:80", "127.0.0.1", "127.0.0.1:70000", "::1:80", "127.0.0.1:"])(
    "refuses the address %s",
    (written) => {
      expect(() => address(written)).toThrow("an address and a port");
    },
  );

  it("reads lists, flags and choices", () => {
    expect(list(" a, b ,,")).toEqual(["a", "b"]);
    expect(addresses("127.0.0.1:1,[::1]:2")).toHaveLength(2);
    expect([flag("1"), flag("false"), flag("")]).toEqual([true, false, false]);
    expect(oneOf("a", "b")("b")).toBe("b");
    expect(() => oneOf("a", "b")("c")).toThrow("a or b");
    expect(() => flag("yes")).toThrow("1 or 0");
  });
});
