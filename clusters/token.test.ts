import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { createTokenCheck, loadToken } from "./token";

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "stele-token-"));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

describe("loadToken()", () => {
  it("makes a token that only its owner can read, once", async () => {
    const path = join(dir, "state", "token");
    const tokens = await Promise.all([loadToken(path), loadToken(path), loadToken(path)]);
    expect(new Set(tokens).size).toBe(1);
    expect(tokens[0]).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(readFileSync(path, "utf8")).toBe(`${tokens[0]}\n`);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it("takes the token that is there", async () => {
    const path = join(dir, "token");
    writeFileSync(path, "abc\n");
    expect(await loadToken(path)).toBe("abc");
  });

  it("says where it cannot be", async () => {
    await expect(loadToken(join(dir, "token", "\0"))).rejects.toThrow();
    writeFileSync(join(dir, "file"), "");
    await expect(loadToken(join(dir, "file", "token"))).rejects.toThrow("ENOTDIR");
  });
});

describe("a token check", () => {
  it("knows the token of the file when there is no secret", async () => {
    const path = join(dir, "token");
    writeFileSync(path, "abc\n");
    const unset = (): string => {
      throw new Error("the secret is not set");
    };
    for (const secret of [() => "", unset]) {
      const isToken = createTokenCheck(secret, () => path);
      expect(await isToken("abc")).toBe(true);
      expect(await isToken("abd")).toBe(false);
      expect(await isToken("")).toBe(false);
    }
  });

  it("knows the secret, and then nothing else", async () => {
    const path = join(dir, "token");
    writeFileSync(path, "abc\n");
    const isToken = createTokenCheck(
      () => "secret",
      () => path,
    );
    expect(await isToken("secret")).toBe(true);
    expect(await isToken("abc")).toBe(false);
  });
});
