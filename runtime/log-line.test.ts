import { describe, expect, it } from "vitest";

import { lineFormat, type LogEntry, LogLevel } from "./log-line";

const at = new Date(2026, 10, 21, 20, 5, 7, 9);
const entry: LogEntry = {
  level: LogLevel.Warn,
  at,
  message: "it is late",
  caller: "clock.ts:1",
  error: "no more time",
  stack: undefined,
  fields: { zone: "a b", count: 3, gone: undefined, big: 5_000_000_000 },
};

describe("lineFormat()", () => {
  it("is JSON with sorted keys", () => {
    expect(lineFormat({}, false)(entry)).toBe(
      `{"big":5000000000.0,"caller":"clock.ts:1","count":3,"error":"no more time","level":"warn",` +
        `"message":"it is late","time":"${at.toISOString()}","zone":"a b"}`,
    );
  });

  it("has Google's names in Google's cloud", () => {
    const line = lineFormat({ ENCORE_CLOUD_PROVIDER: "gcp" }, false)(entry);
    expect(JSON.parse(line)).toMatchObject({ severity: "WARNING", timestamp: at.toISOString() });
    expect(JSON.parse(line)).not.toHaveProperty("level");
  });

  it("is for people when it is asked to be", () => {
    const line = lineFormat({ ENCORE_LOG_FORMAT: "console" }, false)(entry);
    expect(line).toBe(
      '08:05PM WRN clock.ts:1 > it is late error="no more time" big=5000000000.0 count=3 zone="a b"',
    );
  });

  it("has colors on a terminal, unless nobody wants them", () => {
    const env = { ENCORE_LOG_FORMAT: "console" };
    expect(lineFormat(env, true)(entry)).toContain("\u001b[31mWRN\u001b[0m");
    expect(lineFormat({ ...env, NO_COLOR: "1" }, true)(entry)).not.toContain("\u001b");
  });

  it("writes what has no JSON as well as it can", () => {
    const fields = { fn: () => 1, error: new Error("x") };
    const line = lineFormat({}, false)({ ...entry, fields, error: undefined });
    expect(JSON.parse(line)).toMatchObject({ fn: "() => 1", error: "x" });
  });
});
