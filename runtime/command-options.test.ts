import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, describe, expect, test } from "vitest";

import { findApp, readOptions, sdkVersion } from "./command-options";

describe("options", () => {
  test("have defaults, and the environment before them", () => {
    const base = { help: false, listen: "127.0.0.1:4000", drainSeconds: 3 };
    expect(readOptions([], {})).toEqual({ ...base, log: "info" });
    const env = { ENCORE_LOG: "warn", DATABASE_URL: "postgres://a@b/c" };
    expect(readOptions([], env)).toEqual({ ...base, log: "warn", databaseUrl: "postgres://a@b/c" });
    expect(readOptions(["--log", "error"], env).log).toBe("error");
    expect(readOptions(["--infra", "/a/infra.json"], {}).infraFile).toBe("/a/infra.json");
  });

  test.each([
    [["--lisen", "x"], "Unknown option '--lisen': see stele-runtime --help"],
    [["app"], "Unexpected argument 'app': see stele-runtime --help"],
    [
      ["--log", "loud"],
      /^Cannot log at "loud", expected one of trace, .*: see stele-runtime --help$/,
    ],
    [["--drain", "1m"], /^Cannot drain for "1m", expected whole seconds/],
  ])("%j are refused", (argv, message) => {
    expect(() => readOptions(argv, {})).toThrow(expect.objectContaining({ exitCode: 2 }));
    expect(() => readOptions(argv, {})).toThrow(message);
  });
});

describe("the application", () => {
  const root = mkdtempSync(join(tmpdir(), "stele-command-"));
  const inside = join(root, "app", "service");
  mkdirSync(inside, { recursive: true });
  writeFileSync(join(root, "app", "encore.app"), "{}");
  afterAll(() => rmSync(root, { recursive: true }));

  test("is found from a folder inside it, and its SDK above it", () => {
    expect(findApp(inside)).toBe(join(root, "app"));
    expect(() => findApp(root)).toThrow(/^Cannot find an application: neither /);
    expect(() => sdkVersion(inside)).toThrow(
      /^Cannot find the package encore.dev: run npm install/,
    );
    mkdirSync(join(root, "node_modules", "encore.dev"), { recursive: true });
    writeFileSync(join(root, "node_modules", "encore.dev", "package.json"), '{"version":"1.2.3"}');
    expect(sdkVersion(inside)).toBe("1.2.3");
  });
});
