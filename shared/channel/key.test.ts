import { sign, verify } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { loadDeploymentKey, parsePublicKey } from "./key";

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stele-key-"));
  file = join(folder, "state", "deployment-key");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("the deployment key", () => {
  it("is made once, for its owner alone, with the public one beside it", () => {
    const made = loadDeploymentKey("", file);
    expect(loadDeploymentKey("", file).publicKey).toBe(made.publicKey);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(`${file}.pub`, "utf8")).toBe(`${made.publicKey}\n`);
    expect(readdirSync(join(folder, "state"))).toEqual(["deployment-key", "deployment-key.pub"]);
  });

  it("is read from the setting, as PEM or as its line of base64", () => {
    const { publicKey } = loadDeploymentKey("", file);
    const pem = readFileSync(file, "utf8");
    const line = pem.split("\n")[1] ?? "";
    expect(loadDeploymentKey(pem, "").publicKey).toBe(publicKey);
    expect(loadDeploymentKey(line, "").publicKey).toBe(publicKey);
  });

  it("signs what its public half verifies", () => {
    const { privateKey, publicKey } = loadDeploymentKey("", file);
    const key = parsePublicKey(publicKey);
    const text = Buffer.from("a command");
    expect(key && verify(null, text, key, sign(null, text, privateKey))).toBe(true);
  });

  it("that is none is refused, and not shown", () => {
    writeFileSync(join(folder, "key"), "hunter2");
    expect(() => loadDeploymentKey("", join(folder, "key"))).toThrow(/expected an Ed25519/);
    expect(() => loadDeploymentKey("hunter2", "")).not.toThrow(/hunter2/);
  });

  it.each(["", "short", "a".repeat(44), "!".repeat(43)])("%j is no public key", (text) => {
    expect(parsePublicKey(text)).toBeUndefined();
  });
});
