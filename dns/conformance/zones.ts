/**
 * The zones that the suite asks about: one record a line, `name ttl type data`, all names absolute.
 * A server under test is given them as master files (`npm run wire -- --zones DIRECTORY`).
 */

const repeat = (count: number, line: (index: number) => string): string[] =>
  Array.from({ length: count }, (_, index) => line(index + 1));

/** Longer than any server follows. */
export const LONG_CHAIN = 30;

export const LONG_STRING = "s".repeat(255);

/** Key tag, algorithm 13, digest type 2, digest (RFC 4034 section 5.1). */
const DS = `\\# 36 12670d02${"5a".repeat(32)}`;

const WIRE = [
  "wire.test. 3600 SOA ns1.wire.test. hostmaster.wire.test. 1 3600 600 86400 60",
  "wire.test. 3600 NS ns1.wire.test.",
  "wire.test. 3600 NS ns2.wire.test.",
  "ns1.wire.test. 3600 A 192.0.2.1",
  "ns1.wire.test. 3600 AAAA 2001:db8::1",
  "ns2.wire.test. 3600 A 192.0.2.2",
  "wire.test. 300 A 192.0.2.3",
  "wire.test. 300 MX 10 mail.wire.test.",
  'wire.test. 300 TXT "v=spf1 -all"',
  'wire.test. 300 CAA 0 issue "ca.example"',
  'wire.test. 300 CAA 0 issuewild ";"',
  'wire.test. 300 CAA 128 iodef "mailto:security@example.org"',
  "wire.test. 300 HTTPS 0 service.wire.test.",
  "mail.wire.test. 300 A 192.0.2.25",
  "a.wire.test. 300 A 192.0.2.10",
  "a.wire.test. 300 AAAA 2001:db8::10",
  "x.deep.ent.wire.test. 300 A 192.0.2.11",
  "rr.wire.test. 120 A 192.0.2.12",
  "rr.wire.test. 120 A 192.0.2.13",
  "rr.wire.test. 120 A 192.0.2.14",
  // Labels are octets: one label with a dot in it, and two without.
  "one\\046label.wire.test. 300 A 192.0.2.15",
  "one.label.wire.test. 300 A 192.0.2.16",
  "\\255\\000\\001.wire.test. 300 A 192.0.2.17",
  "at\\064.wire.test. 300 A 192.0.2.18",

  "alias.wire.test. 300 CNAME a.wire.test.",
  "alias2.wire.test. 300 CNAME alias.wire.test.",
  "dangling.wire.test. 300 CNAME gone.wire.test.",
  "outside.wire.test. 300 CNAME www.example.com.",
  "across.wire.test. 300 CNAME www.other.test.",
  "acrossgone.wire.test. 300 CNAME gone.other.test.",
  "toent.wire.test. 300 CNAME ent.wire.test.",
  "tocut.wire.test. 300 CNAME www.cut.wire.test.",
  "towild.wire.test. 300 CNAME made.wild.wire.test.",
  "loop1.wire.test. 300 CNAME loop2.wire.test.",
  "loop2.wire.test. 300 CNAME loop1.wire.test.",
  "self.wire.test. 300 CNAME self.wire.test.",
  ...repeat(LONG_CHAIN, (i) => `chain${i}.wire.test. 300 CNAME chain${i + 1}.wire.test.`),
  `chain${LONG_CHAIN + 1}.wire.test. 300 A 192.0.2.19`,

  "*.wild.wire.test. 300 A 192.0.2.20",
  '*.wild.wire.test. 300 TXT "wild"',
  "sub.ent.wild.wire.test. 300 A 192.0.2.21",
  "leaf.wild.wire.test. 300 A 192.0.2.22",
  "*.aliases.wire.test. 300 CNAME a.wire.test.",

  "cut.wire.test. 300 NS ns.cut.wire.test.",
  "cut.wire.test. 300 NS ns1.wire.test.",
  "ns.cut.wire.test. 300 A 192.0.2.30",
  `cut.wire.test. 300 DS ${DS}`,
  "child.wire.test. 300 NS ns1.wire.test.",
  `child.wire.test. 300 DS ${DS}`,
  ...repeat(13, (i) => `wide.wire.test. 300 NS ns${i}.long-label-of-a-name-server.wide.wire.test.`),
  ...repeat(
    13,
    (i) => `ns${i}.long-label-of-a-name-server.wide.wire.test. 300 AAAA 2001:db8:1::${i}`,
  ),

  '_acme-challenge.a.wire.test. 60 TXT "first-value"',
  '_acme-challenge.a.wire.test. 60 TXT "second-value"',
  "_acme-challenge.b.wire.test. 60 CNAME b.validation.other.test.",

  `strings.wire.test. 300 TXT "one" "${LONG_STRING}" "" "three"`,
  // 20 strings: more than 512 octets, less than 1232.
  ...repeat(20, (i) => `medium.wire.test. 300 TXT "string number ${String(i).padStart(4, "0")}"`),
  // More than any datagram.
  ...repeat(80, (i) => `large.wire.test. 300 TXT "string number ${String(i).padStart(4, "0")}"`),

  "_sip._tcp.wire.test. 300 SRV 10 20 5060 a.wire.test.",
  "service.wire.test. 300 HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.40 ipv6hint=2001:db8::40",
  "service.wire.test. 300 A 192.0.2.40",
  "_dns.wire.test. 300 SVCB 1 a.wire.test. mandatory=alpn alpn=dot port=8530",
  "unknown.wire.test. 300 TYPE65280 \\# 4 0a000001",
];

const OTHER = [
  "other.test. 30 SOA ns1.wire.test. hostmaster.wire.test. 1 3600 600 86400 900",
  "other.test. 3600 NS ns1.wire.test.",
  "www.other.test. 300 A 192.0.2.80",
  'b.validation.other.test. 60 TXT "delegated-value"',
];

const CHILD = [
  "child.wire.test. 3600 SOA ns1.wire.test. hostmaster.wire.test. 1 3600 600 86400 60",
  "child.wire.test. 3600 NS ns1.wire.test.",
  "www.child.wire.test. 300 A 192.0.2.90",
];

/** Records of each zone, by its name. */
export const ZONES: Readonly<Record<string, readonly string[]>> = {
  "wire.test": WIRE,
  "other.test": OTHER,
  "child.wire.test": CHILD,
};

/** The zones as master files (RFC 1035 section 5), by file name. */
export function masterFiles(): Readonly<Record<string, string>> {
  const files = Object.entries(ZONES).map(([zone, records]) => [
    `${zone}.zone`,
    `${records.join("\n")}\n`,
  ]);
  return Object.fromEntries(files);
}
