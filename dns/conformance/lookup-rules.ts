/** Rules about what is found under a name. */
import { type Message, query } from "./message";
import { asked, must, type Rule, type Shape, should } from "./rule";
import { LONG_CHAIN, LONG_STRING } from "./zones";

const soa = "wire.test. 60 SOA ns1.wire.test. hostmaster.wire.test. _ 3600 600 86400 60";
const otherSoa = "other.test. 30 SOA ns1.wire.test. hostmaster.wire.test. _ 3600 600 86400 900";
const a = "a.wire.test. 300 A 192.0.2.10";
const alias = "alias.wire.test. 300 CNAME a.wire.test.";

const found = (...answers: string[]): Shape => ({
  rcode: "NOERROR",
  aa: true,
  tc: false,
  answers,
});
const nodata = (...answers: string[]): Shape => ({ ...found(...answers), authorities: [soa] });
const nxdomain = (...answers: string[]): Shape => ({ ...nodata(...answers), rcode: "NXDOMAIN" });

const ask = (name: string, type: string, shape: Shape) => asked(query(name, type), shape);

const negative: Rule[] = [
  must(
    "2308 3",
    "NXDOMAIN has the SOA, for min(TTL, MINIMUM)",
    ask("gone.wire.test", "A", nxdomain()),
  ),
  must(
    "2308 5",
    "the SOA's own TTL counts where it is the smaller one",
    ask("gone.other.test", "A", { ...nxdomain(), authorities: [otherSoa] }),
  ),
  must("2308 2.2", "NODATA has the SOA", ask("a.wire.test", "TXT", nodata())),
  must("4592 2.2.2", "an empty non-terminal is NODATA", ask("ent.wire.test", "A", nodata())),
  must("8020 2", "so is one below it", ask("deep.ent.wire.test", "A", nodata())),
  must("8020 2", "below a leaf is NXDOMAIN", ask("x.a.wire.test", "A", nxdomain())),
  must("3597 2", "a type that nobody knows is NODATA", ask("a.wire.test", "TYPE65281", nodata())),
];

const made = (name: string): string => `${name}.wire.test. 300 A 192.0.2.20`;

const wildcards: Rule[] = [
  must("4592 3.3", "a wildcard stands in", ask("x.wild.wire.test", "A", found(made("x.wild")))),
  must(
    "4592 3.3",
    "several labels deep",
    ask("x.y.z.wild.wire.test", "A", found(made("x.y.z.wild"))),
  ),
  must(
    "4592 2.2.1",
    "it has types that it has not: NODATA",
    ask("x.wild.wire.test", "MX", nodata()),
  ),
  must("4592 2.2.1", "not for names that exist", ask("leaf.wild.wire.test", "TXT", nodata())),
  must("4592 2.2.1", "not for empty ones either", ask("ent.wild.wire.test", "A", nodata())),
  must("4592 3.3.1", "not below a closer encloser", ask("x.leaf.wild.wire.test", "A", nxdomain())),
  must("4592 3.3.1", "not below an empty one either", ask("x.ent.wild.wire.test", "A", nxdomain())),
  must(
    "4592 2.1.1",
    "asked literally, it is a name",
    ask("*.wild.wire.test", "A", found(made("*.wild"))),
  ),
  must(
    "4592 2.1.3",
    "below the literal one is no name",
    ask("x.*.wild.wire.test", "A", nxdomain()),
  ),
  must("4592 2.2.1", "the wildcard's parent is no match", ask("wild.wire.test", "A", nodata())),
  must(
    "4592 3.3",
    "an alias may stand in",
    ask("x.aliases.wire.test", "A", found("x.aliases.wire.test. 300 CNAME a.wire.test.", a)),
  ),
];

/** A chain that ends somewhere: its links as far as they go, and no error. */
const endsSomewhere = (min: number): Shape => ({
  rcode: "NOERROR",
  aa: true,
  also: ({ answers }: Message) => {
    const owners = new Set(answers.map(({ owner }) => owner));
    if (owners.size !== answers.length) return "a link is there twice";
    return answers.length >= min ? undefined : `${answers.length} links: expected ${min} or more`;
  },
});

const cname = (from: string, to: string): string => `${from}.wire.test. 300 CNAME ${to}.`;

const cut = ["cut.wire.test. 300 NS ns.cut.wire.test.", "cut.wire.test. 300 NS ns1.wire.test."];

const aliases: Rule[] = [
  must("1034 4.3.2", "an alias is followed", ask("alias.wire.test", "A", found(alias, a))),
  must(
    "1034 4.3.2",
    "two aliases are followed",
    ask("alias2.wire.test", "A", found(cname("alias2", "alias.wire.test"), alias, a)),
  ),
  must(
    "1034 3.6.2",
    "asked for CNAME, it is the answer",
    ask("alias.wire.test", "CNAME", found(alias)),
  ),
  must(
    "2308 2.2.1",
    "the end without that type: SOA",
    ask("alias.wire.test", "TXT", nodata(alias)),
  ),
  must(
    "6604 3",
    "the end does not exist: NXDOMAIN, SOA",
    ask("dangling.wire.test", "A", nxdomain(cname("dangling", "gone.wire.test"))),
  ),
  must(
    "4592 2.2.2",
    "the end is an empty non-terminal: NODATA",
    ask("toent.wire.test", "A", nodata(cname("toent", "ent.wire.test"))),
  ),
  must(
    "1034 4.3.2",
    "the end is a wildcard's",
    ask("towild.wire.test", "A", found(cname("towild", "made.wild.wire.test"), made("made.wild"))),
  ),
  must(
    "1034 4.3.2",
    "the end is elsewhere: NOERROR, no SOA",
    ask("outside.wire.test", "A", {
      ...found(cname("outside", "www.example.com")),
      authorities: [],
    }),
  ),
  should(
    "1034 4.3.2",
    "the end is in another zone of ours",
    ask(
      "across.wire.test",
      "A",
      found(cname("across", "www.other.test"), "www.other.test. 300 A 192.0.2.80"),
    ),
  ),
  should(
    "6604 3",
    "rcode and SOA are those of the other zone",
    ask("acrossgone.wire.test", "A", {
      ...nxdomain(cname("acrossgone", "gone.other.test")),
      authorities: [otherSoa],
    }),
  ),
  must(
    "1034 4.3.2",
    "the end is delegated: what was found, with AA, and the referral",
    ask("tocut.wire.test", "A", {
      rcode: "NOERROR",
      aa: true,
      answers: [cname("tocut", "www.cut.wire.test")],
      authorities: cut,
    }),
  ),
  must("1034 3.6.2", "a loop ends", ask("loop1.wire.test", "A", endsSomewhere(1))),
  must("1034 3.6.2", "an alias of itself ends", ask("self.wire.test", "A", endsSomewhere(1))),
  must(
    "1034 3.6.2",
    `of ${LONG_CHAIN} aliases at least eight are followed`,
    ask("chain1.wire.test", "A", endsSomewhere(8)),
  ),
];

const referral: Shape = {
  rcode: "NOERROR",
  aa: false,
  answers: [],
  authorities: cut,
  additionals: ["ns.cut.wire.test. 300 A 192.0.2.30"],
};

const delegations: Rule[] = [
  should("1034 4.3.2", "below a cut: NS, glue, no AA", ask("x.y.cut.wire.test", "A", referral)),
  should("1034 4.3.2", "at the cut, too", ask("cut.wire.test", "A", referral)),
  should("1034 4.3.2", "its NS are no answer", ask("cut.wire.test", "NS", referral)),
  should("1034 4.2.1", "glue is no answer", ask("ns.cut.wire.test", "A", referral)),
  should(
    "4035 3.1.4.1",
    "DS is answered from above the cut",
    ask("cut.wire.test", "DS", {
      rcode: "NOERROR",
      aa: true,
      also: ({ answers: [ds, ...more] }) =>
        ds?.type === 43 && more.length === 0 ? undefined : "no DS",
    }),
  ),
  should(
    "4035 3.1.4.1",
    "DS is answered from above where both sides are served",
    ask("child.wire.test", "DS", {
      rcode: "NOERROR",
      aa: true,
      also: ({ answers: [ds] }) => (ds?.type === 43 ? undefined : "no DS"),
    }),
  ),
  should(
    "1034 4.3.2",
    "the closest zone answers",
    ask("www.child.wire.test", "A", found("www.child.wire.test. 300 A 192.0.2.90")),
  ),
];

const apex: Rule[] = [
  must(
    "1035 3.3.13",
    "the apex has its SOA",
    ask("wire.test", "SOA", found(soa.replace(" 60 ", " 3600 "))),
  ),
  must(
    "1912 2.8",
    "the apex has its NS, with their addresses",
    ask("wire.test", "NS", {
      ...found("wire.test. 3600 NS ns1.wire.test.", "wire.test. 3600 NS ns2.wire.test."),
      additionals: [
        "ns1.wire.test. 3600 A 192.0.2.1",
        "ns1.wire.test. 3600 AAAA 2001:db8:0:0:0:0:0:1",
        "ns2.wire.test. 3600 A 192.0.2.2",
      ],
    }),
  ),
  must(
    "2181 5.2",
    "an RRset has one TTL, which does not count down",
    ask(
      "rr.wire.test",
      "A",
      found(...["12", "13", "14"].map((last) => `rr.wire.test. 120 A 192.0.2.${last}`)),
    ),
  ),
];

const data = (hex: string): string => {
  const octets = hex.replaceAll(" ", "");
  return `\\# ${octets.length / 2} ${octets}`;
};
const hex = (text: string): string => Buffer.from(text).toString("hex");

const types: Rule[] = [
  must(
    "3596 2.2",
    "AAAA",
    ask("a.wire.test", "AAAA", found("a.wire.test. 300 AAAA 2001:db8:0:0:0:0:0:10")),
  ),
  must(
    "1035 3.3.9",
    "MX, with the address of the host",
    ask("wire.test", "MX", {
      ...found("wire.test. 300 MX 10 mail.wire.test."),
      additionals: ["mail.wire.test. 300 A 192.0.2.25"],
    }),
  ),
  must(
    "1035 3.3.14",
    "TXT of several strings, of none to 255 octets each",
    ask(
      "strings.wire.test",
      "TXT",
      found(`strings.wire.test. 300 TXT "one" "${LONG_STRING}" "" "three"`),
    ),
  ),
  must(
    "8659 4.1",
    "CAA: issue, issuewild, iodef",
    ask(
      "wire.test",
      "CAA",
      found(
        `wire.test. 300 CAA ${data(`00 05 ${hex("issueca.example")}`)}`,
        `wire.test. 300 CAA ${data(`00 09 ${hex("issuewild;")}`)}`,
        `wire.test. 300 CAA ${data(`80 05 ${hex("iodefmailto:security@example.org")}`)}`,
      ),
    ),
  ),
  must(
    "2782",
    "SRV",
    ask(
      "_sip._tcp.wire.test",
      "SRV",
      found("_sip._tcp.wire.test. 300 SRV 10 20 5060 a.wire.test."),
    ),
  ),
  should(
    "9460 2.4.2",
    "HTTPS in AliasMode at an apex",
    ask(
      "wire.test",
      "HTTPS",
      found(
        `wire.test. 300 HTTPS ${data(`0000 07${hex("service")} 04${hex("wire")} 04${hex("test")} 00`)}`,
      ),
    ),
  ),
  should(
    "9460 2.4.3",
    "HTTPS in ServiceMode: alpn, ipv4hint, ipv6hint, in order of their keys",
    ask(
      "service.wire.test",
      "HTTPS",
      found(
        `service.wire.test. 300 HTTPS ${data(
          "0001 00 0001 0006 026832 026833 0004 0004 c0000228 0006 0010 20010db8000000000000000000000040",
        )}`,
      ),
    ),
  ),
  should(
    "9460 8",
    "SVCB with mandatory keys",
    ask(
      "_dns.wire.test",
      "SVCB",
      found(
        `_dns.wire.test. 300 SVCB ${data(
          `0001 01${hex("a")} 04${hex("wire")} 04${hex("test")} 00 0000 0002 0001 0001 0004 03${hex("dot")} 0003 0002 2152`,
        )}`,
      ),
    ),
  ),
  must(
    "3597 5",
    "a type that nobody knows has its octets",
    ask("unknown.wire.test", "TYPE65280", found("unknown.wire.test. 300 TYPE65280 \\# 4 0a000001")),
  ),
  must(
    "8482 4",
    "ANY is no more than one RRset over UDP, or TC",
    asked(query("wire.test", "ANY"), {
      rcode: "NOERROR",
      also: ({ answers, tc }) =>
        tc || new Set(answers.map(({ type }) => type)).size === 1 ? undefined : "several RRsets",
    }),
    "udp",
  ),
  must(
    "8482 4",
    "ANY of an alias is the alias",
    asked(query("alias.wire.test", "ANY"), { also: aliasOnly }),
    "tcp",
  ),
];

function aliasOnly({ answers: [record, ...more] }: Message): string | undefined {
  return record?.type === 5 && more.length === 0 ? undefined : "not the CNAME alone";
}

const challenge = "_acme-challenge.a.wire.test. 60 TXT";

const challenges: Rule[] = [
  must(
    "8555 8.4",
    "several values of a challenge stand at one name, for a minute",
    ask(
      "_acme-challenge.a.wire.test",
      "TXT",
      found(`${challenge} "first-value"`, `${challenge} "second-value"`),
    ),
  ),
  must(
    "8555 8.4",
    "a challenge may be delegated by an alias",
    ask("_acme-challenge.b.wire.test", "TXT", {
      rcode: "NOERROR",
      aa: true,
      also: ({ answers: [record] }) => (record?.type === 5 ? undefined : "no CNAME"),
    }),
  ),
];

export const LOOKUP_RULES: readonly Rule[] = [
  ...negative,
  ...wildcards,
  ...aliases,
  ...delegations,
  ...apex,
  ...types,
  ...challenges,
];
