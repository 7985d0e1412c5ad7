import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { wireName } from "./core/__tests__/zone-text";
import { KeyRing, sealSecret } from "./keys";
import type { KeyRow } from "./store-keys";

const folder = mkdtempSync(join(tmpdir(), "stele-keys-"));
beforeAll(() => {
  process.env.STELE_DNS_SEAL_KEY_FILE = join(folder, "seal.key");
});
afterAll(() => rmSync(folder, { recursive: true }));

const rowOf = (name: string, sealed = sealSecret(name, Buffer.from("secret"))): KeyRow => {
  const policy = { mayTransfer: true, mayUpdate: false, zones: ["*"], names: [], types: [] };
  return { name, algorithm: "hmac-sha256", sealed, ...policy, createdAt: new Date(0) };
};

describe("the key ring", () => {
  it("reads at most once a second, and at once when it knows of a change", async () => {
    let rows = [rowOf("a")];
    let reads = 0;
    let now = 0;
    const ring = new KeyRing(
      async () => {
        reads++;
        return rows;
      },
      () => now,
    );
    const names = (...texts: string[]) =>
      Promise.all(texts.map((text) => ring.find(wireName(text))));
    const [a, b] = await names("a", "b");
    expect([a?.secret.toString(), b, reads]).toEqual(["secret", undefined, 1]);
    rows = [rowOf("b")];
    expect((await names("a"))[0]).toBeDefined();
    now = 1_001;
    expect(await names("a")).toEqual([undefined]);
    expect(reads).toBe(2);
    rows = [];
    ring.forget();
    expect(await names("b")).toEqual([undefined]);
  });

  it("goes on with what it knows while the database is away, and knows nothing before", async () => {
    let isAway = true;
    let now = 0;
    const read = async (): Promise<KeyRow[]> => {
      if (isAway) throw new Error("away");
      return [rowOf("a")];
    };
    const ring = new KeyRing(read, () => now);
    await expect(ring.find(wireName("a"))).rejects.toThrow("away");
    isAway = false;
    expect(await ring.find(wireName("a"))).toBeDefined();
    isAway = true;
    now = 5_000;
    expect(await ring.find(wireName("a"))).toBeDefined();
  });

  it("leaves out a key that it cannot open", async () => {
    const ring = new KeyRing(
      async () => [rowOf("moved", rowOf("other").sealed), rowOf("a")],
      () => 0,
    );
    expect(await ring.find(wireName("moved"))).toBeUndefined();
    expect(await ring.find(wireName("a"))).toBeDefined();
  });
});
