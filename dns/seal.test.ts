import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { loadSealKey, open, seal } from "./seal";

describe("a sealed secret", () => {
  const key = randomBytes(32);
  const secret = Buffer.from("secret");

  it("is opened by its key, for what it was sealed", () => {
    const sealed = seal(key, "tsig a", secret);
    expect(open(key, "tsig a", sealed)).toEqual(secret);
    expect(seal(key, "tsig a", secret)).not.toBe(sealed);
    expect(() => open(key, "tsig b", sealed)).toThrow();
    expect(() => open(randomBytes(32), "tsig a", sealed)).toThrow();
  });

  it("has a key that is made once, for its owner only", () => {
    const folder = mkdtempSync(join(tmpdir(), "stele-seal-"));
    const file = join(folder, "below", "seal.key");
    try {
      const made = loadSealKey("", file);
      expect(loadSealKey("", file)).toEqual(made);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(loadSealKey(key.toString("base64"), file)).toEqual(key);
      expect(() => loadSealKey("c2hvcnQ=", file)).toThrow(/expected 32/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
