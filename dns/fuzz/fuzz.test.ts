import { expect, it, vi } from "vitest";

import { RateLimiter } from "../core/rate-limit";
import { fuzz, fuzzedServer } from "./fuzz";
import { fuzzSigned } from "./fuzz-signed";
import { nextPacket, randomOf } from "./mutate";

vi.setConfig({ testTimeout: 60_000 });

const PACKETS = 100_000;
const SIGNED = 20_000;

it(`answers ${PACKETS} mutated packets without a fault`, () => {
  const limiter = new RateLimiter({ perSecond: 1_000, exempt: [], seed: 1 });
  const { broken, outcomes } = fuzz(fuzzedServer(limiter), { seed: 9_267, packets: PACKETS });
  expect(broken).toBeUndefined();
  // The packets are no noise: answers of every kind are among them.
  for (const outcome of ["0", "1", "3", "4", "5", "16", "silence", "fast"]) {
    expect(outcomes[outcome]).toBeGreaterThan(20);
  }
});

it(`reads ${SIGNED} mutated messages that are signed, and carries out what they ask for`, () => {
  const { broken, outcomes } = fuzzSigned({ seed: 8_945, packets: SIGNED });
  expect(broken).toBeUndefined();
  // What is behind a signature is reached, and gets answers of every kind.
  const kinds = ["unread", "unsigned", "malformed", "query", "signature 16", "signature 17"];
  const updates = [0, 1, 5, 9, 10].map((rcode) => `update ${rcode}`);
  for (const outcome of [...kinds, "signature 18", ...updates]) {
    expect([outcome, (outcomes[outcome] ?? 0) > 5]).toEqual([outcome, true]);
  }
});

it("says which packet broke something", () => {
  const broken = fuzz(
    {
      ...fuzzedServer(),
      zones: {
        zoneOf: () => {
          throw new Error("a fault");
        },
      },
    },
    { seed: 9_267, packets: 1_000 },
  ).broken;
  expect(broken?.reason).toMatch(/SERVFAIL/);
});

it("makes the same packets of the same seed", () => {
  const packetsOf = (seed: number): string[] => {
    const random = randomOf(seed);
    return Array.from({ length: 50 }, () => nextPacket(random).toString("hex"));
  };
  expect(packetsOf(1)).toEqual(packetsOf(1));
  expect(packetsOf(1)).not.toEqual(packetsOf(2));
});
