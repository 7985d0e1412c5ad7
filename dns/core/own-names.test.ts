import { expect, it } from "vitest";

import { hashKey, wireName } from "./__tests__/zone-text";
import { halfSipHash } from "./half-siphash";
import { nameOctets } from "./names";
import { lastLabelAt, OwnNames } from "./own-names";
import { Zone } from "./zone";
import { TYPE } from "./codes";

const origin = wireName("repl.test");

function hashOf(labels: string): number {
  const octets = nameOctets(wireName(labels));
  return halfSipHash(hashKey[0], hashKey[1], octets, 0, octets.length - 1);
}

function watched(): { zone: Zone; own: OwnNames } {
  const own = new OwnNames(origin, hashKey);
  return { own, zone: new Zone(origin, (...seen) => own.see(...seen)) };
}

const address = { type: TYPE.A, ttl: 60, rdatas: [Uint8Array.of(192, 0, 2, 1)] };

it("knows names that exist, and those that have data, until they have none", () => {
  const { zone, own } = watched();
  const name = wireName("a.b.repl.test");
  zone.set(name, TYPE.A, address);
  zone.set(name, TYPE.TXT, { ...address, type: TYPE.TXT });
  zone.set(name, TYPE.A, { ...address, ttl: 30 });
  expect([own.mayHaveData(hashOf("a.b")), own.mayExist(hashOf("a.b"))]).toEqual([true, true]);
  expect([own.mayHaveData(hashOf("b")), own.mayExist(hashOf("b"))]).toEqual([false, true]);
  zone.set(name, TYPE.A, undefined);
  zone.set(name, TYPE.A, undefined);
  expect(own.mayHaveData(hashOf("a.b"))).toBe(true);
  zone.set(name, TYPE.TXT, undefined);
  expect([own.mayHaveData(hashOf("a.b")), own.mayExist(hashOf("a.b"))]).toEqual([false, false]);
  expect(own.mayExist(hashOf("b"))).toBe(false);
});

it("lets any name exist while there is a wildcard", () => {
  const { zone, own } = watched();
  zone.set(wireName("*.b.repl.test"), TYPE.A, address);
  expect(own.mayExist(hashOf("x"))).toBe(true);
  zone.set(wireName("*.b.repl.test"), TYPE.A, undefined);
  expect(own.mayExist(hashOf("x"))).toBe(false);
});

it("knows below which labels others answer", () => {
  const { zone, own } = watched();
  expect(own.hasCuts).toBe(false);
  zone.set(wireName("x.cut.repl.test"), TYPE.NS, { ...address, type: TYPE.NS });
  own.see("cut", wireName("other.repl.test"), 1);
  own.see("cut", wireName("repl.example"), 1);
  expect(own.mayBeCut(hashOf("cut"))).toBe(true);
  expect(own.mayBeCut(hashOf("other"))).toBe(true);
  expect(own.mayBeCut(hashOf("x"))).toBe(false);
  zone.set(wireName("x.cut.repl.test"), TYPE.NS, undefined);
  expect(own.mayBeCut(hashOf("cut"))).toBe(false);
});

it("finds the last of some labels", () => {
  expect(lastLabelAt(nameOctets(wireName("a.bc.d")), 7)).toBe(5);
  expect(lastLabelAt(nameOctets(wireName("a")), 2)).toBe(0);
});
