/** Rules about EDNS and its options. */
import { type Message, type Option, OPTIONS, query, words } from "./message";
import { asked, type Exchange, must, type Rule, type Shape, should } from "./rule";

const withOptions = (...options: Option[]): Buffer =>
  query("a.wire.test", "A", { edns: { options } });

const dataOf = ({ opt }: Message, code: number): Buffer | undefined =>
  opt?.options.find((option) => option.code === code)?.data;

const answered: Shape = { rcode: "NOERROR", answers: ["a.wire.test. 300 A 192.0.2.10"] };

const general: Rule[] = [
  must(
    "6891 6.1.1",
    "no OPT was asked, none comes",
    asked(query("a.wire.test", "A"), { also: ({ opt }) => opt && "OPT" }),
  ),
  must(
    "6891 6.1.1",
    "OPT comes back: version 0, its own size, no flags",
    asked(query("a.wire.test", "A", { edns: { flags: 0x7fff } }), {
      ...answered,
      also: ({ opt }) => {
        if (!opt) return "no OPT";
        if (opt.version !== 0 || opt.flags !== 0)
          return `version ${opt.version}, flags ${opt.flags}`;
        return opt.size >= 512 ? undefined : `size ${opt.size}`;
      },
    }),
  ),
  must(
    "3225 3",
    "DO is copied",
    asked(query("a.wire.test", "A", { edns: { flags: 0x8000 } }), {
      also: ({ opt }) => (opt?.flags === 0x8000 ? undefined : "DO is clear"),
    }),
  ),
  must("6891 6.1.1", "OPT comes with NXDOMAIN and REFUSED, too", {
    ...asked(query("gone.wire.test", "A", { edns: {} }), hasOpt("NXDOMAIN")),
    next: () => asked(query("example.com", "A", { edns: {} }), hasOpt("REFUSED")),
  }),
  must(
    "6891 6.1.3",
    "a version of the future is BADVERS, version 0, no data",
    asked(query("a.wire.test", "A", { edns: { version: 1 } }), {
      rcode: "BADVERS",
      answers: [],
      authorities: [],
      also: ({ opt }) => (opt?.version === 0 ? undefined : `version ${opt?.version}`),
    }),
  ),
  must(
    "6891 6.1.2",
    "options that nobody knows are ignored, and not echoed",
    asked(withOptions({ code: 65_001, data: Buffer.from("abc") }), {
      ...answered,
      also: ({ opt }) => (opt?.options.length === 0 ? undefined : "an option came back"),
    }),
  ),
  should(
    "5001 2.1",
    "NSID comes when it is asked for",
    asked(withOptions({ code: OPTIONS.NSID, data: Buffer.alloc(0) }), {
      ...answered,
      also: (reply) => (dataOf(reply, OPTIONS.NSID)?.length ? undefined : "no NSID"),
    }),
  ),
  must(
    "5001 2.1",
    "NSID does not come unasked",
    asked(withOptions(), { also: (reply) => dataOf(reply, OPTIONS.NSID) && "NSID" }),
  ),
  must(
    "8467 4",
    "no padding over what anybody can read",
    asked(withOptions({ code: OPTIONS.PADDING, data: Buffer.alloc(16) }), {
      ...answered,
      also: (reply) => dataOf(reply, OPTIONS.PADDING) && "padding",
    }),
  ),
];

function hasOpt(rcode: string): Shape {
  return { rcode, also: ({ opt }) => (opt ? undefined : "no OPT") };
}

const client = Buffer.from("2464c4abcf10c957", "hex");
const cookie = (data: Buffer): Option => ({ code: OPTIONS.COOKIE, data });

/** The client's eight octets, then sixteen of the server's (RFC 9018 section 4). */
function hasCookie(reply: Message): string | undefined {
  const data = dataOf(reply, OPTIONS.COOKIE);
  if (!data) return "no cookie";
  if (!data.subarray(0, 8).equals(client)) return "another client's cookie";
  if (data.length !== 24) return `${data.length} octets: expected 24`;
  return data.readUInt32BE(8) === 0x0100_0000 ? undefined : "not of version 1";
}

const ofLength = (length: number): Exchange =>
  asked(withOptions(cookie(Buffer.alloc(length, 1))), { rcode: "FORMERR" });

const cookies: Rule[] = [
  should(
    "7873 5.2",
    "a client's cookie gets a server's, of version 1",
    asked(withOptions(cookie(client)), { ...answered, also: hasCookie }),
  ),
  should("7873 5.2", "the server knows its own cookie again", {
    ...asked(withOptions(cookie(client)), { also: hasCookie }),
    next: (reply) =>
      asked(withOptions(cookie(dataOf(reply, OPTIONS.COOKIE)!)), { ...answered, also: hasCookie }),
  }),
  should(
    "7873 5.2",
    "a forged cookie is answered with a good one",
    asked(withOptions(cookie(Buffer.concat([client, Buffer.alloc(16, 7)]))), {
      also: (reply) => {
        const isTold = reply.rcode === 0 || reply.rcode === 23;
        return isTold ? hasCookie(reply) : `rcode ${reply.rcode}`;
      },
    }),
  ),
  ...[0, 7, 9, 15, 41].map((length) =>
    should("7873 5.2.2", `a cookie of ${length} octets is FORMERR`, ofLength(length)),
  ),
  should(
    "7873 5.4",
    "a cookie without a question is answered",
    asked(
      Buffer.concat([
        words(0x5eed, 0, 0, 0, 0, 1),
        withOptions(cookie(client)).subarray(query("a.wire.test", "A").length),
      ]),
      { rcode: "NOERROR", answers: [], also: hasCookie },
    ),
  ),
];

const keepalive = withOptions({ code: OPTIONS.KEEPALIVE, data: Buffer.alloc(0) });

const keepalives: Rule[] = [
  should(
    "7828 3.2.1",
    "edns-tcp-keepalive is ignored over UDP",
    asked(keepalive, {
      ...answered,
      also: (reply) => dataOf(reply, OPTIONS.KEEPALIVE) && "keepalive",
    }),
    "udp",
  ),
  should(
    "7828 3.3.2",
    "asked over TCP, the time of an idle connection is said",
    asked(keepalive, {
      ...answered,
      also: (reply) => {
        const data = dataOf(reply, OPTIONS.KEEPALIVE);
        return data?.length === 2 && data.readUInt16BE() > 0 ? undefined : "no time";
      },
    }),
    "tcp",
  ),
  should(
    "7828 3.3.2",
    "unasked, it is not said",
    asked(withOptions(), { also: (reply) => dataOf(reply, OPTIONS.KEEPALIVE) && "keepalive" }),
    "tcp",
  ),
];

const chaos = (name: string): Exchange =>
  asked(query(name, "TXT", { class: 3 }), {
    authorities: [],
    also: ({ rcode, answers }) => {
      if (rcode === 5) return answers.length === 0 ? undefined : "REFUSED, with data";
      const isOwn = answers.length === 1 && answers[0]!.class === 3 && answers[0]!.type === 16;
      return rcode === 0 && isOwn ? undefined : `rcode ${rcode}, not one TXT of class CH`;
    },
  });

const identity: Rule[] = ["version.bind", "version.server", "id.server", "hostname.bind"].map(
  (name) => should("4892 2", `"${name}" is a text of class CH, or REFUSED`, chaos(name)),
);

export const EDNS_RULES: readonly Rule[] = [...general, ...cookies, ...keepalives, ...identity];
