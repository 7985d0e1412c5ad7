import { describe, expect, it } from "vitest";

import { catalogOf, lines, wireName, zoneChanges } from "./__tests__/zone-text";
import { answer } from "./answer";
import { CLASS, RCODE, typeCode } from "./codes";

const soa = "example.org 3600 SOA ns1.example.org hostmaster.example.org 1 3600 600 86400 60";
const negative = soa.replace("3600", "60");
const netSoa = "example.net 30 SOA ns1.example.org hostmaster.example.org 1 3600 600 86400 60";
const ns = "example.org 3600 NS ns1.example.org";
const ns1 = "ns1.example.org 3600 A 192.0.2.53";
const a = "a.example.org 60 A 192.0.2.1";
const deep = "x.deep.ent.example.org 60 A 192.0.2.2";
const alias = "alias.example.org 60 CNAME A.Example.org";
const dangling = "dangling.example.org 60 CNAME gone.example.org";
const outside = "outside.example.org 60 CNAME www.example.com";
const across = "across.example.org 60 CNAME www.example.net";
const www = "www.example.net 60 A 192.0.2.80";
const loop = ["l1.example.org 60 CNAME l2.example.org", "l2.example.org 60 CNAME l1.example.org"];
const mx = "example.org 60 MX 10 a.example.org";
const wild = '*.wild.example.org 60 TXT "wild"';
const wildCname = "*.cw.example.org 60 CNAME a.example.org";
const below = "sub.ent.wild.example.org 60 A 192.0.2.3";
const cut = ["cut.example.org 60 NS ns.cut.example.org", "cut.example.org 60 NS ns1.example.org"];
const glue = "ns.cut.example.org 60 A 192.0.2.99";
const ds = "cut.example.org 60 DS 1 2 3 00";

const catalog = catalogOf(
  { platformZone: "repl.test", validationZone: "" },
  zoneChanges("example.org", [
    soa,
    ns,
    ns1,
    a,
    deep,
    alias,
    dangling,
    outside,
    across,
    ...loop,
    mx,
    wild,
    wildCname,
    below,
    ...cut,
    glue,
    ds,
  ]),
  zoneChanges("example.net", [netSoa, www]),
);

function ask(name: string, type: string, klass: number = CLASS.IN) {
  const reply = answer(catalog, { name: wireName(name), type: typeCode(type)!, class: klass });
  const rcode = Object.entries(RCODE).find(([, code]) => code === reply.rcode)![0];
  return {
    rcode,
    answers: lines(reply.answers).map((line) => line.replace(" 0 3600 600", " 1 3600 600")),
    authorities: lines(reply.authorities).map((l) => l.replace(/ \d+ 3600 600/, " 1 3600 600")),
    additionals: lines(reply.additionals),
    isAuthoritative: reply.isAuthoritative,
  };
}

describe("answer()", () => {
  it.each([
    ["a.example.org", "A", "NOERROR", [a], []],
    ["A.eXample.ORG", "A", "NOERROR", [a], []],
    ["a.example.org", "AAAA", "NOERROR", [], [negative]], // NODATA, RFC 2308 2.2
    ["gone.example.org", "A", "NXDOMAIN", [], [negative]], // RFC 2308 2.1
    ["below.a.example.org", "A", "NXDOMAIN", [], [negative]], // RFC 8020
    ["ent.example.org", "A", "NOERROR", [], [negative]], // RFC 4592 2.2.2
    ["deep.ent.example.org", "ANY", "NOERROR", [], [negative]],
    ["alias.example.org", "A", "NOERROR", [alias, a], []], // RFC 1034 4.3.2 3a
    ["alias.example.org", "CNAME", "NOERROR", [alias], []],
    ["alias.example.org", "ANY", "NOERROR", [alias], []],
    ["alias.example.org", "TXT", "NOERROR", [alias], [negative]],
    ["dangling.example.org", "A", "NXDOMAIN", [dangling], [negative]], // RFC 6604 2.1
    ["outside.example.org", "A", "NOERROR", [outside], []],
    ["across.example.org", "A", "NOERROR", [across, www], []],
    ["across.example.org", "AAAA", "NOERROR", [across], [netSoa]],
    ["l1.example.org", "A", "NOERROR", loop, []],
    ["x.wild.example.org", "TXT", "NOERROR", [wild.replace("*", "x")], []], // RFC 4592 3.3
    ["x.y.wild.example.org", "TXT", "NOERROR", [wild.replace("*", "x.y")], []],
    ["x.wild.example.org", "A", "NOERROR", [], [negative]], // RFC 4592 2.2.1
    ["*.wild.example.org", "TXT", "NOERROR", [wild], []],
    ["ent.wild.example.org", "TXT", "NOERROR", [], [negative]], // it exists: no wildcard
    ["x.ent.wild.example.org", "TXT", "NXDOMAIN", [], [negative]], // closest encloser is ent
    ["x.cw.example.org", "A", "NOERROR", [wildCname.replace("*", "x"), a], []],
    ["a.example.org", "ANY", "NOERROR", ['a.example.org 60 HINFO "RFC8482" ""'], []],
    ["example.com", "A", "REFUSED", [], []],
    ["org", "NS", "REFUSED", [], []],
    [".", "NS", "REFUSED", [], []],
    ["example.org", "AXFR", "REFUSED", [], []],
    ["example.org", "TYPE65280", "NOERROR", [], [negative]],
  ])("%s %s is %s", (name, type, rcode, answers, authorities) => {
    expect(ask(name, type)).toMatchObject({ rcode, answers, authorities });
  });

  it("has authority over its data, and none over what it refuses", () => {
    expect(ask("gone.example.org", "A").isAuthoritative).toBe(true);
    expect(ask("example.com", "A").isAuthoritative).toBe(false);
  });

  it("gives the apex its SOA and NS, with the addresses of the servers", () => {
    expect(ask("example.org", "SOA").answers).toEqual([soa]);
    expect(ask("example.org", "NS")).toMatchObject({ answers: [ns], additionals: [ns1] });
    expect(ask("example.org", "MX")).toMatchObject({ answers: [mx], additionals: [a] });
  });

  it("refers to who knows more, with glue first (RFC 1034 4.3.2 3b, RFC 9471)", () => {
    const referral = {
      rcode: "NOERROR",
      isAuthoritative: false,
      answers: [],
      authorities: cut,
      additionals: [glue, ns1],
    };
    expect(ask("www.cut.example.org", "A")).toEqual(referral);
    expect(ask("cut.example.org", "A")).toEqual(referral);
    expect(ask("cut.example.org", "NS")).toEqual(referral);
    expect(ask("ns.cut.example.org", "A")).toEqual(referral);
  });

  it("answers DS itself, from above the cut (RFC 4035 3.1.4.1)", () => {
    const reply = ask("cut.example.org", "DS");
    expect(reply).toMatchObject({ isAuthoritative: true, authorities: [] });
    expect(reply.answers).toEqual(["cut.example.org 60 DS 1 2 3 00"]);
  });

  it("refuses other classes", () => {
    expect(ask("version.bind", "TXT", CLASS.CH).rcode).toBe("REFUSED");
    expect(ask("a.example.org", "A", CLASS.CH).rcode).toBe("REFUSED");
  });
});
