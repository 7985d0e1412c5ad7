/** Rules about TCP, and about transfers. */
import { type Message, query, words } from "./message";
import { type Conversation, must, rcodeText, replies, type Rule, type Stream } from "./rule";

const framed = (message: Buffer): Buffer => Buffer.concat([words(message.length), message]);

const QUERIES = 20;
const ids = Array.from({ length: QUERIES }, (_, index) => index + 1);
const pipeline = Buffer.concat(ids.map((id) => framed(query("a.wire.test", "A", { id }))));

const cutAt = (octets: Buffer, step: number): Buffer[] => {
  const pieces: Buffer[] = [];
  for (let at = 0; at < octets.length; at += step) pieces.push(octets.subarray(at, at + step));
  return pieces;
};

/** Each query has one reply, whatever their order (RFC 7766 section 7). */
function allAnswered({ replies: found }: Conversation): string | undefined {
  const got = found.map(({ id }) => id).sort((one, other) => one - other);
  if (JSON.stringify(got) !== JSON.stringify(ids)) return `replies to ${got.join(", ")}`;
  return found.every(({ answers }) => answers.length === 1) ? undefined : "one has no answer";
}

const conversation = (pieces: readonly Buffer[]): Stream => {
  return { pieces, replies: QUERIES, expect: allAnswered };
};

const one = framed(query("a.wire.test", "A"));

const streams: Rule[] = [
  must("7766 6.2.1.1", "pipelined queries are all answered", conversation([pipeline]), "tcp"),
  ...[1, 7, 61].map((step) =>
    must(
      "7766 8",
      `a stream may be cut after every ${step} octets`,
      conversation(cutAt(pipeline.subarray(0, pipeline.length), step)),
      "tcp",
    ),
  ),
  must(
    "7766 8",
    "length and message leave together",
    {
      pieces: [one],
      replies: 1,
      expect: ({ firstPiece }: Conversation) =>
        firstPiece > 2 ? undefined : "the length came alone",
    },
    "tcp",
  ),
  must(
    "7766 6.2.4",
    "who has closed their half gets their answers",
    { pieces: [pipeline], isEnded: true, replies: QUERIES, expect: allAnswered },
    "tcp",
  ),
  must(
    "7766 8",
    "a message of no octets closes",
    {
      pieces: [words(0)],
      expect: ({ hasClosed }: Conversation) => (hasClosed ? undefined : "it stays open"),
    },
    "tcp",
  ),
  must(
    "7766 6.2.1",
    "a connection stays open for another query",
    {
      pieces: [one],
      replies: 1,
      expect: ({ hasClosed }: Conversation) => (hasClosed ? "it closed" : undefined),
    },
    "tcp",
  ),
];

/** No record of the zone; over UDP it may also be malformed, or pointed to TCP (RFC 5936 4.2). */
function isNoTransfer({ rcode, answers, tc }: Message): string | undefined {
  if (tc) return undefined;
  if (answers.length > 0) return "records of the zone";
  const isFine = ["REFUSED", "NOTAUTH", "NOTIMP", "FORMERR"].includes(rcodeText(rcode));
  return isFine ? undefined : `rcode ${rcodeText(rcode)}`;
}

const transfers: Rule[] = ["AXFR", "IXFR"].map((type) =>
  must("5936 5", `${type} of a stranger is refused`, {
    ask: query("wire.test", type),
    expect: replies({ also: isNoTransfer }),
  }),
);

export const STREAM_RULES: readonly Rule[] = [...streams, ...transfers];
