import { describe, expect, it } from "vitest";

import { wireName } from "./__tests__/zone-text";
import { typeCode } from "./codes";
import { Draft, type Row } from "./draft";
import { faultOfDraft } from "./integrity";

const origin = wireName("example.org");

/** `name type value`, with a whole name. */
function row(text: string): Row {
  const [name = "", type = "", ...value] = text.split(" ");
  return { name, type: typeCode(type)!, ttl: 60, values: [value.join(" ")] };
}

const zone = [
  "example.org SOA ns1.example.org hostmaster.example.org 0 1 2 3 4",
  "example.org NS ns1.example.org",
  "ns1.example.org A 192.0.2.1",
  "a.example.org A 192.0.2.2",
  "alias.example.org CNAME a.example.org",
  "m.example.org MX 10 a.example.org",
  "sub.example.org NS ns.sub.example.org",
  "ns.sub.example.org A 192.0.2.3",
].map(row);

/** Puts a record beside those of its name and type; with `-` in front the RRset goes. */
function edited(...edits: string[]): string | undefined {
  const draft = new Draft(origin, zone);
  for (const edit of edits) {
    const { name, type, values } = row(edit.replace(/^-/, ""));
    const kept = draft.get(wireName(name), type)?.values ?? [];
    const records = edit.startsWith("-") ? undefined : { ttl: 60, values: [...kept, ...values] };
    draft.set(wireName(name), type, records);
  }
  return faultOfDraft(draft, {
    hasChallenge: (name) => name === wireName("_acme-challenge.example.org"),
    isDerived: (name) => name === wireName("hello.demo.example.org"),
    isAlias: (name) => name === wireName("alias.example.net"),
    isApp: (name) => name === wireName("hello.demo.example.org"),
  });
}

describe("a zone after a change", () => {
  it.each([
    [["alias.example.org A 192.0.2.9"], /beside a CNAME.*RFC 1034 3\.6\.2/],
    [["a.example.org CNAME b.example"], /beside A data.*RFC 1034 3\.6\.2/],
    [["_acme-challenge.example.org CNAME b.example"], /challenge/],
    [["hello.demo.example.org CNAME b.example"], /repl's name/],
    [["example.org CNAME b.example"], /RFC 1912 2\.4/],
    [["x.example.org CNAME b.example", "x.example.org CNAME c.example"], /at most one/],
    [["a.example.org SOA a b 1 2 3 4 5"], /RFC 1035 3\.3\.13/],
    [["*.example.org NS ns.example"], /RFC 4592/],
    [["a.example.org DNAME b.example"], /RFC 6672/],
    [["a.example.org DS 1 8 0 00"], /not delegated/],
    [["example.org DS 1 8 0 00"], /belongs to the zone above/],
    [["x.example.org MX 1 Alias.example.org"], /alias \(RFC 2181 10\.3\)/],
    [["x.example.org MX 1 alias.example.net"], /alias \(RFC 2181 10\.3\)/],
    [["x.example.org SRV 0 0 1 alias.example.org"], /alias \(RFC 2181 10\.3\)/],
    [["-a.example.org A x", "a.example.org CNAME b.example"], /MX at "m.*alias/],
    [["example.org NS ns2.example.org"], /no address.*RFC 1912 2\.8/],
    [["-ns1.example.org A x"], /NS at "example\.org" to "ns1.*no address/],
    [["-ns.sub.example.org A x"], /NS at "sub.*no address/],
    [["-example.org NS x"], /must have its NS/],
    [["-example.org SOA x"], /must have its SOA/],
    [["a.example.org ALIAS hello.demo.example.org"], /beside A data of "a\./],
    [["b.example.org ALIAS hello.demo.example.org", "b.example.org AAAA ::1"], /beside AAAA/],
    [["alias.example.org ALIAS hello.demo.example.org"], /beside a CNAME/],
    [["hello.demo.example.org ALIAS hello.demo.example.org"], /repl's name/],
    [["b.example.org ALIAS www.example.net"], /"www\.example\.net", which is no app of ours/],
    [["b.example.org ALIAS a.example.org"], /no app of ours/],
    [["b.example.org ALIAS a.b", "b.example.org ALIAS b.a"], /at most one/],
  ])("may not hold %j", (edits, reason) => {
    expect(edited(...edits)).toMatch(reason);
  });

  it.each([
    [['alias.example.org TXT ""', "-alias.example.org CNAME x"]],
    [["example.org NS ns2.example.org", "ns2.example.org AAAA ::1"]],
    [["example.org NS ns.example.net"]],
    [["example.org NS hello.demo.example.org"]],
    [["b.example.org NS ns.sub.example.org"]],
    [["b.example.org NS elsewhere.sub.example.org"]],
    [["sub.example.org DS 1 8 0 00"]],
    [["-sub.example.org NS x", "-ns.sub.example.org A x"]],
    [["-a.example.org A x"]],
    [["x.example.org MX 0 ."]],
    [["example.org ALIAS Hello.demo.example.org", "example.org MX 0 example.org"]],
    [["-ns1.example.org A x", "ns1.example.org ALIAS hello.demo.example.org"]],
  ])("may hold %j", (edits) => {
    expect(edited(...edits)).toBeUndefined();
  });

  it("may not have an address beside an ALIAS that was there", () => {
    const draft = new Draft(origin, [...zone, row("b.example.org ALIAS x.y.repl.test")]);
    draft.set(wireName("b.example.org"), 1, { ttl: 60, values: ["192.0.2.1"] });
    const nothing = (): boolean => false;
    const around = { hasChallenge: nothing, isDerived: nothing, isAlias: nothing, isApp: nothing };
    expect(faultOfDraft(draft, around)).toMatch(/A at "b\.example\.org" beside an ALIAS/);
  });

  it("is not blamed for what was there before", () => {
    const draft = new Draft(origin, [...zone, row("old.example.org NS lost.example.org")]);
    draft.set(wireName("b.example.org"), 1, { ttl: 60, values: ["192.0.2.1"] });
    const nothing = (): boolean => false;
    const around = { hasChallenge: nothing, isDerived: nothing, isAlias: nothing, isApp: nothing };
    expect(faultOfDraft(draft, around)).toBeUndefined();
  });
});
