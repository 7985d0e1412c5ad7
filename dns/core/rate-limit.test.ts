import { describe, expect, it } from "vitest";

import { addressOctets, parseIpv4, parseIpv6 } from "./address";
import { RCODE } from "./codes";
import { wireName } from "./__tests__/zone-text";
import { type Network, newLimiterBuffer, RateLimiter, type Verdict } from "./rate-limit";

const name = wireName("a.example.org");
const response = {
  address: addressOctets("192.0.2.1"),
  countedAs: name,
  rcode: RCODE.NOERROR,
};
const limiterOf = (perSecond: number, ...exempt: Network[]): RateLimiter => {
  return new RateLimiter({ perSecond, exempt, seed: 20_121 });
};

/** How often each verdict comes of `count` answers, `everyMs` apart. */
function verdicts(
  limiter: RateLimiter,
  { count, everyMs = 0, ...of }: { count: number; everyMs?: number } & Partial<typeof response>,
): Record<Verdict, number> {
  const counted = { answer: 0, slip: 0, drop: 0 };
  for (let i = 0; i < count; i++) counted[limiter.take({ ...response, ...of }, i * everyMs)]++;
  return counted;
}

describe("a rate limiter", () => {
  it("lets the rate through, slips one of two above it, and drops the other", () => {
    const limiter = limiterOf(10);
    expect(verdicts(limiter, { count: 30 })).toEqual({ answer: 10, slip: 10, drop: 10 });
  });

  it("never limits who keeps to the rate", () => {
    const kept = verdicts(limiterOf(10), { count: 1_000, everyMs: 100 });
    expect(kept).toEqual({ answer: 1_000, slip: 0, drop: 0 });
  });

  it("gives a flood no more than the first answers, however long it lasts", () => {
    const flood = verdicts(limiterOf(10), { count: 10_000, everyMs: 10 });
    expect(flood.answer).toBeLessThanOrEqual(12);
  });

  it("forgives after the window", () => {
    const limiter = limiterOf(10);
    verdicts(limiter, { count: 1_000 });
    expect(limiter.take(response, 15_000)).not.toBe("answer");
    expect(limiter.take(response, 15_400)).toBe("answer");
  });

  it.each([
    ["one /24", "192.0.2.200", 0],
    ["another /24", "192.0.3.1", 10],
    ["one /56", "2001:db8:0:1ff::1", 10],
  ])("counts %s together", (_what, address, answers) => {
    const limiter = limiterOf(10);
    verdicts(limiter, { count: 10 });
    expect(verdicts(limiter, { count: 20, address: addressOctets(address) }).answer).toBe(answers);
  });

  it("counts a /56 of IPv6 together, and no more", () => {
    const limiter = limiterOf(10);
    verdicts(limiter, { count: 10, address: addressOctets("2001:db8:0:100::1") });
    expect(limiter.take({ ...response, address: addressOctets("2001:db8:0:1ff::2") }, 0)).toBe(
      "slip",
    );
    expect(limiter.take({ ...response, address: addressOctets("2001:db8:0:200::1") }, 0)).toBe(
      "answer",
    );
  });

  it("tells names and response codes apart", () => {
    const limiter = limiterOf(1);
    verdicts(limiter, { count: 10 });
    expect(limiter.take({ ...response, countedAs: wireName("b.example.org") }, 0)).toBe("answer");
    expect(limiter.take({ ...response, rcode: RCODE.NXDOMAIN }, 0)).toBe("answer");
  });

  it.each([
    ["192.0.2.0", 24, "192.0.2.7", true],
    ["192.0.2.0", 24, "192.0.3.7", false],
    ["192.0.2.128", 25, "192.0.2.200", true],
    ["192.0.2.128", 25, "192.0.2.100", false],
    ["0.0.0.0", 0, "198.51.100.1", true],
    ["2001:db8::", 32, "2001:db8:1::1", true],
    ["2001:db8::", 32, "2001:db9::1", false],
    ["::1", 128, "::1", true],
    ["0.0.0.0", 0, "::1", false],
  ])("exempts %s/%i: %s %s", (network, bits, address, isExempt) => {
    const octets = (parseIpv4(network) ?? parseIpv6(network))!;
    const limiter = limiterOf(1, { octets, bits });
    expect(verdicts(limiter, { count: 5, address: addressOctets(address) }).answer).toBe(
      isExempt ? 5 : 1,
    );
  });

  it("of several threads counts an asker once, whichever it comes to", () => {
    const buffer = newLimiterBuffer();
    const of = { perSecond: 10, exempt: [], seed: 20_121 };
    const [one, other] = [new RateLimiter(of, buffer), new RateLimiter(of, buffer)];
    expect(verdicts(one, { count: 6 }).answer).toBe(6);
    expect(verdicts(other, { count: 6 }).answer).toBe(4);
  });

  it("takes a slot over from a class that shares it, and counts that one afresh", () => {
    const limiter = limiterOf(1);
    const names = Array.from({ length: 200_000 }, (_, i) => wireName(`n${i}.example.org`));
    for (const countedAs of names) limiter.take({ ...response, countedAs }, 0);
    const again = names.filter(
      (countedAs) => limiter.take({ ...response, countedAs }, 0) === "answer",
    );
    // Most have lost their slot to a later one by now.
    expect(again.length).toBeGreaterThan(100_000);
  });
});
