import { describe, expect, it } from "vitest";

import { query } from "../conformance/message";
import { addressOctets } from "./address";
import { RCODE, TYPE } from "./codes";
import { OVER } from "./counters";
import { loggedQuery, networkText, Sampler } from "./query-log";

const outcome = {
  length: 60,
  rcode: RCODE.NXDOMAIN,
  type: TYPE.A,
  isTruncated: false,
  verdict: "answer",
  ttlSeconds: 60,
} as const;
const seen = {
  over: OVER.UDP,
  query: query("Hello.demo.repl.test", "A"),
  address: addressOctets("192.0.2.77"),
  outcome,
  microseconds: 12.4,
  isFast: false,
} as const;

describe("a logged query", () => {
  it("says what was asked, from which network, and what became of it", () => {
    expect(loggedQuery(seen)).toEqual({
      transport: "udp",
      client: "192.0.2.0/24",
      name: "Hello.demo.repl.test",
      type: "A",
      rcode: "NXDOMAIN",
      octets: 60,
      microseconds: 12,
      path: "complete",
      isTruncated: false,
      limited: null,
    });
    expect(
      loggedQuery({ ...seen, outcome: { ...outcome, length: 0, verdict: "drop" }, isFast: true }),
    ).toMatchObject({ rcode: null, octets: 0, limited: "drop", path: "fast" });
  });

  it("of what cannot be read says so, whatever it is", () => {
    for (const length of [0, 1, 12, 13, 20]) {
      const octets = new Uint8Array(length).fill(0xff);
      const logged = loggedQuery({ ...seen, query: octets, outcome: { ...outcome, type: 0 } });
      expect(logged).toMatchObject({ name: "", type: "none" });
    }
  });

  it("tells networks, never an address", () => {
    expect(networkText(addressOctets("203.0.113.9"))).toBe("203.0.113.0/24");
    expect(networkText(addressOctets("2001:db8:0:12ff::1"))).toBe("2001:db8:0:1200::/56");
  });
});

it("a sampler takes one of so many", () => {
  const sampler = new Sampler(3);
  const taken = Array.from({ length: 7 }, () => sampler.isNext());
  expect(taken).toEqual([false, false, true, false, false, true, false]);
  expect(new Sampler(1).isNext()).toBe(true);
});
