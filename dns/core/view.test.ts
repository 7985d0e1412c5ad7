import { expect, it } from "vitest";

import { catalogOf, hashKey, wireName, zoneChanges } from "./__tests__/zone-text";
import { TYPE } from "./codes";
import { nameOctets } from "./names";
import { Platform } from "./platform";
import { CHALLENGE_LABEL, CHALLENGE_TYPE, View } from "./view";
import { Zone } from "./zone";

const origin = wireName("repl.test");
const text = (value: string) => {
  return { type: TYPE.TXT, ttl: 300, rdatas: [Uint8Array.of(value.length, ...Buffer.from(value))] };
};

function example(): { zone: Zone; view: View } {
  const platform = new Platform({ hashKey });
  platform.setRepl({ id: "h1", name: "hello", owner: "demo", clusterId: "east", generation: 1 });
  platform.setCluster("east", ["192.0.2.1"]);
  const zone = new Zone(origin);
  const addressesOf = (name: string) => platform.node(name, origin);
  return { zone, view: new View(zone, { platform, validation: undefined, addressesOf }) };
}

it("lays a zone's own data over what is derived", () => {
  const { zone, view } = example();
  const name = wireName("hello.demo.repl.test");
  zone.set(name, TYPE.TXT, text("own"));
  expect(new Set(view.node(name)!.keys())).toEqual(new Set([TYPE.A, TYPE.TXT]));
  const cname = { type: TYPE.CNAME, ttl: 60, rdatas: [Uint8Array.of(1, 0x78, 0)] };
  zone.set(name, TYPE.CNAME, cname);
  expect(view.node(name)!.has(TYPE.A)).toBe(false);
});

it("shows challenges as TXT records, and not as what they lie under", () => {
  const { zone, view } = example();
  const name = wireName(`${CHALLENGE_LABEL}.hello.demo.repl.test`);
  zone.set(name, CHALLENGE_TYPE, text("token"));
  expect([...view.node(name)!.keys()]).toEqual([TYPE.TXT]);
  zone.set(name, TYPE.TXT, { ...text("token"), ttl: 5 });
  expect(view.node(name)!.get(TYPE.TXT)).toEqual({ ...text("token"), ttl: 5 });
});

it("shows an ALIAS as the addresses of its app, for no longer than either may be kept", () => {
  const { zone, view } = example();
  const alias = (ttl: number, target: string) => {
    return { type: TYPE.ALIAS, ttl, rdatas: [nameOctets(wireName(target))] };
  };
  const [name, below] = [wireName("repl.test"), wireName("*.web.repl.test")];
  const rdatas = [Uint8Array.of(192, 0, 2, 1)];
  zone.set(name, TYPE.ALIAS, alias(300, "h1.id.repl.test"));
  zone.set(name, TYPE.TXT, text("beside"));
  expect([...view.node(name)!.keys()]).toEqual([TYPE.TXT, TYPE.A]);
  expect(view.node(name)!.get(TYPE.A)).toEqual({ type: TYPE.A, ttl: 60, rdatas });
  zone.set(below, TYPE.ALIAS, alias(5, "hello--demo.repl.test"));
  expect(view.node(below)!.get(TYPE.A)).toEqual({ type: TYPE.A, ttl: 5, rdatas });
  zone.set(below, TYPE.ALIAS, alias(5, "nobody.demo.repl.test"));
  expect(view.node(below)!.size).toBe(0);
  const types = new Set([...view.nodes()].flatMap(({ node }) => [...node.keys()]));
  expect(types).toEqual(new Set([TYPE.A, TYPE.TXT]));
});

it("lists each name once, whatever is answered there", () => {
  const options = { platformZone: "repl.test", validationZone: "v.example" };
  const catalog = catalogOf(
    options,
    zoneChanges("repl.test", [
      "repl.test 60 SOA ns1.repl.test hostmaster.repl.test 1 3600 600 86400 60",
      'hello.demo.repl.test 60 TXT "own"',
    ]),
    [{ kind: "repl", id: "h1", name: "hello", owner: "demo", clusterId: "east", generation: 1 }],
  );
  const names = [...catalog.zoneOf(origin)!.nodes()].map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(names).toContain(wireName("hello--demo.repl.test"));
  expect(names).toContain(wireName("_acme-challenge.h1.id.repl.test"));
});
