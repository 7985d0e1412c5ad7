import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { Batch, Change } from "./catalog";
import { JournalReader, JournalWriter, lastSeq } from "./journal";
import type { Repl } from "./platform";

const name = fc.stringMatching(/^[a-zé,]{1,6}$/);
const record: fc.Arbitrary<Change> = fc.record({
  kind: fc.constant("rrset" as const),
  zone: fc.constant("repl.test"),
  name,
  type: fc.constant(16),
  ttl: fc.constant(60),
  values: fc.array(fc.string({ unit: "binary" }), { maxLength: 3 }),
  revision: fc.nat(),
});
const repl: fc.Arbitrary<Repl> = fc.record({
  id: name,
  name,
  owner: name,
  clusterId: name,
  generation: fc.integer({ min: 1 }),
});
const change: fc.Arbitrary<Change> = fc.oneof(
  record,
  repl.map((one) => ({ kind: "repl" as const, ...one })),
  name.map((id) => ({ kind: "repl_gone" as const, id })),
);
const batch: fc.Arbitrary<Batch> = fc.record({
  changes: fc.array(change, { maxLength: 4 }),
  seq: fc.nat(),
});
const journal = fc.record({
  records: fc.array(record, { maxLength: 4 }),
  repls: fc.array(repl, { maxLength: 4 }),
  seq: fc.nat(),
  batches: fc.array(batch, { maxLength: 4 }),
});
type Journal = typeof journal extends fc.Arbitrary<infer Value> ? Value : never;

/** The octets of a journal, and how many of them the base and each batch end at. */
function written({ records, repls, seq, batches }: Journal) {
  const lines = new JournalWriter();
  let text = lines.head({ systemId: "s1", repls: repls.length });
  for (const line of [...lines.changes(records), ...lines.repls(repls), lines.end(seq)]) {
    text += line;
  }
  const ends = [Buffer.byteLength(text)];
  for (const one of batches) {
    for (const line of lines.batch(one)) text += line;
    ends.push(Buffer.byteLength(text));
  }
  return { octets: Buffer.from(text), ends };
}

interface Read {
  readonly isWhole: boolean;
  /** What each line behind the base, and the base as a whole, has made known. */
  readonly batches: readonly Batch[];
  readonly fault: unknown;
}

function read(octets: Buffer): Read {
  const reader = new JournalReader();
  const base: Change[] = [];
  const batches: Batch[] = [];
  let fault: unknown;
  for (const line of octets.toString().split("\n").slice(0, -1)) {
    const wasWhole = reader.isWhole;
    try {
      const taken = reader.take(line);
      if (taken && wasWhole) batches.push(taken);
      if (taken && !wasWhole) base.push(...taken.changes);
      if (taken && !wasWhole && reader.isWhole) batches.push({ changes: base, seq: taken.seq });
    } catch (error) {
      fault = error;
      break;
    }
  }
  return { isWhole: reader.isWhole, batches, fault };
}

/** Repls that can be packed come after those that cannot. */
function expected({ records, repls, seq, batches }: Journal): Batch[] {
  const odd = repls.filter((one) => Object.values(one).some((field) => `${field}`.includes(",")));
  const packed = repls.filter((one) => !odd.includes(one));
  const changes = [...odd, ...packed].map((one) => ({ kind: "repl" as const, ...one }));
  return [{ changes: [...records, ...changes], seq }, ...batches];
}

describe("a journal", () => {
  it("reads as it was written", () => {
    fc.assert(
      fc.property(journal, (one) => {
        const { batches, fault } = read(written(one).octets);
        expect(fault).toBeUndefined();
        expect(batches).toEqual(expected(one));
      }),
    );
  });

  it("cut anywhere, reads as a prefix: of whole batches behind a whole base, or nothing", () => {
    fc.assert(
      fc.property(journal, fc.double({ min: 0, max: 1, noNaN: true }), (one, part) => {
        const { octets, ends } = written(one);
        const length = Math.floor(part * octets.length);
        const { isWhole, batches } = read(octets.subarray(0, length));
        const count = ends.filter((end) => end <= length).length;
        expect(isWhole).toBe(count > 0);
        expect(batches).toEqual(expected(one).slice(0, count));
      }),
    );
  });

  it("with an octet altered anywhere, reads as a prefix, and says so", () => {
    fc.assert(
      fc.property(journal, fc.nat(), fc.integer({ min: 1, max: 255 }), (one, where, by) => {
        const { octets, ends } = written(one);
        const at = where % octets.length;
        octets[at]! ^= by;
        const { batches, fault } = read(octets);
        const count = ends.filter((end) => end <= at).length;
        // What follows the last line feed is no line, and so no fault.
        if (at < octets.length - 1) expect(fault).toBeDefined();
        expect(batches).toEqual(expected(one).slice(0, count));
      }),
    );
  });

  it("misses a line that is not there", () => {
    const one = { seq: 1, batches: [1, 2, 3].map((seq) => ({ changes: [], seq })) };
    const lines = written({ records: [], repls: [], ...one })
      .octets.toString()
      .split("\n");
    const { batches, fault } = read(Buffer.from(lines.toSpliced(3, 1).join("\n")));
    expect(batches.map(({ seq }) => seq)).toEqual([1, 1]);
    expect(String(fault)).toContain("not what was written");
  });

  it("is taken for none when it is of another version", () => {
    expect(() =>
      new JournalReader().take('{"version":1,"systemId":"s","seq":1,"changes":['),
    ).toThrow("no snapshot of version 2");
  });

  it("has lines of limited length, and a batch of many lines counts with its last", () => {
    const changes = Array.from({ length: 5_000 }, (_, number): Change => {
      return { kind: "repl_gone", id: `h${number}` };
    });
    const repls = Array.from({ length: 5_000 }, (_, number): Repl => {
      return { id: `h${number}`, name: "n", owner: "o", clusterId: "c", generation: 1 };
    });
    const writer = new JournalWriter();
    const base = [writer.head({ systemId: "s", repls: 0 }), ...writer.repls(repls), writer.end(4)];
    const batchLines = [...writer.batch({ changes, seq: 5 })];
    expect(Math.min(base.length, batchLines.length)).toBeGreaterThan(3);
    for (const line of [...base, ...batchLines]) expect(line.length).toBeLessThan(40_000);
    const all = read(Buffer.from([...base, ...batchLines].join("")));
    expect(all.batches.map((one) => one.changes.length)).toEqual([5_000, 5_000]);
    const torn = read(Buffer.from([...base, ...batchLines.slice(0, -1)].join("")));
    expect(torn.batches.map(({ seq }) => seq)).toEqual([4]);
  });

  it("goes on behind its last whole line when one could not be written", () => {
    const writer = new JournalWriter();
    const start = writer.head({ systemId: "s", repls: 0 }) + writer.end(1);
    const { mark } = writer;
    expect([...writer.batch({ changes: [], seq: 2 })]).toHaveLength(1);
    writer.mark = mark;
    const text = start + [...writer.batch({ changes: [], seq: 3 })].join("");
    expect(read(Buffer.from(text)).batches.map(({ seq }) => seq)).toEqual([1, 3]);
  });

  it("says at its end how far it leads", () => {
    const writer = new JournalWriter();
    const value = '"seq":99}\n';
    const one: Change = { kind: "challenge", zone: "z", name: "n", values: [value], revision: 1 };
    const text = [
      ...writer.batch({ changes: [], seq: 7 }),
      ...writer.batch({ changes: [one], seq: 8 }),
    ];
    expect(lastSeq(text.join(""))).toBe(8);
    expect(lastSeq(text.join("").slice(0, -3))).toBe(7);
    expect(lastSeq("")).toBeUndefined();
  });
});
