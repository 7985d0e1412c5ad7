import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { createNonces } from "./nonces";

const lifetimeMs = 1_000;

describe("nonces", () => {
  it("takes one once, and again when it has outlived its lifetime", () => {
    const nonces = createNonces({ lifetimeMs, limit: 10, since: 0 });
    expect(nonces.take("a", 10)).toBe("new");
    expect(nonces.take("a", 10)).toBe("seen");
    expect(nonces.take("a", 1_009)).toBe("seen");
    expect(nonces.take("a", 5_000)).toBe("new");
  });

  it("refuses what it cannot remember, and forgets none for it", () => {
    const nonces = createNonces({ lifetimeMs, limit: 2, since: 0 });
    expect(["a", "b", "c"].map((nonce) => nonces.take(nonce, 1))).toEqual(["new", "new", "full"]);
    expect(nonces.take("a", 2)).toBe("seen");
    expect(nonces.take("c", 1_500)).toBe("new");
  });

  it("never takes one twice within its lifetime, however time goes on", () => {
    const steps = fc.array(fc.tuple(fc.nat(5), fc.nat(1_200)), { maxLength: 60 });
    fc.assert(
      fc.property(steps, (taken) => {
        const nonces = createNonces({ lifetimeMs, limit: 50, since: 0 });
        const lastTaken = new Map<number, number>();
        let now = 0;
        for (const [nonce, later] of taken) {
          now += later;
          const verdict = nonces.take(String(nonce), now);
          const before = lastTaken.get(nonce);
          if (before !== undefined && now - before <= lifetimeMs) expect(verdict).toBe("seen");
          if (verdict === "new") lastTaken.set(nonce, now);
        }
      }),
    );
  });
});
