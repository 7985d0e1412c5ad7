import { describe, expect, it } from "vitest";

import { wireName } from "./__tests__/zone-text";
import { TYPE } from "./codes";
import { nameOctets } from "./names";
import { NegativeSoa } from "./negative-soa";
import { parseRdata } from "./rdata";
import { HEADER_OCTETS, Writer } from "./wire";

const origin = wireName("repl.test");

function rrsetOf(text: string) {
  const rdata = parseRdata(TYPE.SOA, text);
  if (!rdata.ok) throw new Error(rdata.reason);
  return { type: TYPE.SOA, ttl: 60, rdatas: [rdata.value] };
}

/** As the writer of whole answers has it behind a question. */
function written(text: string, asked: string): Buffer {
  const name = wireName(asked);
  const end = HEADER_OCTETS + name.length + 4;
  const octets = new Uint8Array(1_024);
  const question = { name, type: TYPE.A, class: 1, end };
  const writer = new Writer(octets, octets.length, new Uint8Array(end), question);
  writer.record({ owner: origin, type: TYPE.SOA, ttl: 60, rdata: rrsetOf(text).rdatas[0]! });
  return Buffer.from(octets.subarray(end, writer.length));
}

/** As the prebuilt one is, its pointers moved. */
function moved(text: string, asked: string): Buffer {
  const soa = new NegativeSoa(rrsetOf(text), origin);
  const octets = Buffer.from(soa.octets);
  for (const at of soa.pointers) {
    octets.writeUInt16BE(octets.readUInt16BE(at) + wireName(asked).length - soa.nameOctets, at);
  }
  return octets;
}

const suits = (text: string, label: string): boolean => {
  const octets = nameOctets(wireName(label));
  return new NegativeSoa(rrsetOf(text), origin).suits(octets, 0, octets.length - 1);
};

describe("a prebuilt SOA", () => {
  const numbers = "1 3600 600 86400 60";
  it.each([
    `ns1.repl.test hostmaster.repl.test ${numbers}`,
    `ns1.repl.test ns1.repl.test ${numbers}`,
    `ns.example.org host.example.org ${numbers}`,
    `ns.other.test other.test ${numbers}`,
    `NS1.Repl.test ns1.REPL.test ${numbers}`,
    `repl.test test ${numbers}`,
  ])("is what the writer writes: %s", (text) => {
    for (const asked of ["a.repl.test", "a.b.repl.test", `${"x".repeat(63)}.y.repl.test`]) {
      expect(moved(text, asked)).toEqual(written(text, asked));
    }
  });

  it("does not suit names that share more with it", () => {
    const text = `ns1.repl.test host.master.repl.test ${numbers}`;
    expect(suits(text, "ns1")).toBe(false);
    expect(suits(text, "master")).toBe(false);
    expect(suits(text, "host")).toBe(true);
    expect(suits(text, "ns10")).toBe(true);
    expect(suits(`NS1.repl.test . ${numbers}`, "ns1")).toBe(true);
  });
});
