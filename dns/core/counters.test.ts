import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { RCODE, TYPE, typeCode } from "./codes";
import {
  BATCH_BOUNDS,
  Counters,
  DROP,
  type Histogram,
  LATENCY_BOUNDS,
  lineWritten,
  newCounterBuffer,
  OTHER_RCODE,
  OVER,
  queriesOver,
  SAMPLED_ONE_IN,
  totalsOf,
  TRANSPORTS,
  TYPE_LABELS,
} from "./counters";

function counted(...each: ((counters: Counters) => void)[]) {
  const buffers = each.map((count) => {
    const buffer = newCounterBuffer();
    count(new Counters(buffer));
    return buffer;
  });
  return totalsOf(buffers);
}

describe("counters of threads", () => {
  it("are added up", () => {
    const one = (counters: Counters): void => {
      counters.query(OVER.UDP, TYPE.A);
      counters.answer(RCODE.NOERROR, true);
      counters.drop(DROP.RESPONSE);
    };
    const totals = counted(one, one, (counters) => counters.query(OVER.HTTPS, TYPE.A));
    expect(totals.queries).toEqual([
      { transport: "udp", type: "A", count: 2 },
      { transport: "https", type: "A", count: 1 },
    ]);
    expect(totals.rcodes[RCODE.NOERROR]).toBe(2);
    expect(totals).toMatchObject({ truncated: 2, drops: { short: 0, response: 2, limit: 0 } });
  });

  it("have a place for every transport, type and code, and only one", () => {
    const message = fc.record({
      over: fc.constantFrom(...Object.values(OVER)),
      type: fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(...Object.values(TYPE))),
      rcode: fc.integer({ min: 0, max: 0xfff }),
    });
    const property = fc.property(fc.array(message), (messages) => {
      const totals = counted((counters) => {
        for (const { over, type, rcode } of messages) {
          counters.query(over, type);
          counters.answer(rcode, false);
        }
      });
      for (const over of Object.values(OVER)) {
        const of = messages.filter((one) => one.over === over);
        expect(queriesOver(totals, TRANSPORTS[over])).toBe(of.length);
        for (const { type, count } of totals.queries.filter(
          ({ transport }) => transport === TRANSPORTS[over],
        )) {
          const labels = of.map((one) => labelOf(one.type));
          expect(count).toBe(labels.filter((label) => label === type).length);
        }
      }
      const codes = messages.map(({ rcode }) => Math.min(rcode, OTHER_RCODE));
      for (const [rcode, count] of totals.rcodes.entries()) {
        expect(count).toBe(codes.filter((code) => code === rcode).length);
      }
      expect(totals).toMatchObject({ truncated: 0, fast: 0, connections: 0 });
    });
    fc.assert(property, { numRuns: 200 });
  });

  it("say what became of a message", () => {
    const outcome = { type: TYPE.A, rcode: RCODE.NOERROR, isTruncated: false } as const;
    const totals = counted((counters) => {
      counters.outcome(OVER.UDP, 40, { ...outcome, length: 56, verdict: "answer" });
      counters.outcome(OVER.UDP, 40, {
        ...outcome,
        length: 40,
        isTruncated: true,
        verdict: "slip",
      });
      counters.outcome(OVER.UDP, 40, { ...outcome, length: 0, verdict: "drop" });
      counters.outcome(OVER.UDP, 11, { ...outcome, type: 0, length: 0, verdict: "answer" });
      counters.outcome(OVER.UDP, 12, { ...outcome, type: 0, length: 0, verdict: "answer" });
    });
    expect(queriesOver(totals, "udp")).toBe(5);
    expect(totals.rcodes[RCODE.NOERROR]).toBe(2);
    expect(totals).toMatchObject({
      truncated: 1,
      slipped: 1,
      limited: 1,
      drops: { short: 1, response: 1, limit: 0 },
    });
  });

  it("go on where a thread that died left off, without its connections", () => {
    const buffer = newCounterBuffer();
    const first = new Counters(buffer);
    first.connectionOpened();
    first.connectionOpened();
    first.connectionClosed();
    first.connectionRefused();
    expect(totalsOf([buffer])).toMatchObject({ connections: 1, connectionsAccepted: 2 });
    new Counters(buffer).connectionOpened();
    const expected = { connections: 1, connectionsAccepted: 3, connectionsRefused: 1 };
    expect(totalsOf([buffer])).toMatchObject(expected);
  });

  it("let so many lines of the query log wait to be written", () => {
    const buffer = newCounterBuffer();
    const counters = new Counters(buffer);
    const given = (): number => {
      let lines = 0;
      while (counters.mayLog()) lines++;
      return lines;
    };
    const room = given();
    expect(room).toBeGreaterThan(100);
    lineWritten(buffer);
    expect(given()).toBe(1);
    expect(totalsOf([buffer])).toMatchObject({ logged: 1, unlogged: 2 });
    // Lines of a thread that died may never come.
    const next = new Counters(buffer);
    expect(next.mayLog()).toBe(true);
  });

  it("put values into the bucket whose bound is the next power of two", () => {
    const bucketOf = (histogram: Histogram): number => histogram.counts.findIndex(Boolean);
    for (const [bounds, count] of [
      [LATENCY_BOUNDS, (us: number) => counted((one) => one.took(us)).latency],
      [BATCH_BOUNDS, (size: number) => counted((one) => one.batch(size)).batches],
    ] as const) {
      for (const [index, bound] of bounds.entries()) {
        expect(bucketOf(count(bound))).toBe(index);
        expect(bucketOf(count(bound + 0.5))).toBe(index + 1);
        expect(count(bound).sum).toBe(bound);
      }
      expect(bucketOf(count(0))).toBe(0);
      expect(bucketOf(count(1e6))).toBe(bounds.length);
    }
  });

  it("take the time of one answer in so many", () => {
    const counters = new Counters(newCounterBuffer());
    const sampled = Array.from({ length: 10 * SAMPLED_ONE_IN }, () => counters.isSampled());
    expect(sampled.filter(Boolean)).toHaveLength(10);
  });
});

/** Codes that `codes.ts` does not name are named in the table, or other ones. */
function labelOf(type: number): string {
  if (type === 0) return "none";
  const codes = new Map([
    ["NAPTR", 35],
    ["DNSKEY", 48],
    ["TLSA", 52],
  ]);
  return TYPE_LABELS.find((name) => (codes.get(name) ?? typeCode(name)) === type) ?? "other";
}
