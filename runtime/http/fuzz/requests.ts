import { hostileJson } from "./hostile-json";
import { randomFrom, type Random } from "./random";

/** What a hostile client writes on a connection, and what may come of it. */
export interface HostileCase {
  readonly seed: number;
  readonly family: string;
  /** Written one after the other, with a pause of the event loop between them. */
  readonly pieces: readonly Buffer[];
  /** Text that no answer to anybody else may contain. */
  readonly mark: string;
  /** How many answers there are, when that is certain; otherwise the connection is half-closed. */
  readonly answers: number | null;
  /** Whether the answers have no body. */
  readonly isHead: boolean;
  readonly statuses: readonly number[];
}

/** The same for the same seed. */
export function hostileCase(seed: number): HostileCase {
  const random = randomFrom(seed);
  const mark = markOf(seed);
  const [family, make] = random.pick(FAMILIES);
  const made = make(random, mark);
  const bytes = made.bytes;
  return {
    seed,
    family,
    mark,
    pieces: random.chance(0.1) ? cut(random, bytes) : [bytes],
    answers: made.answers === undefined ? 1 : made.answers,
    isHead: made.isHead ?? false,
    statuses: made.statuses,
  };
}

/** A mark that damage to a request does not turn into another request's. */
export function markOf(seed: number): string {
  const check = randomFrom(seed ^ 0x5eed).below(2 ** 32);
  return `mark-${seed}-${check.toString(16).padStart(8, "0")}`;
}

/** The marks in a text, other than the case's own, that belong to some other case. */
export function foreignMarks(text: string, own: string): string[] {
  const marks = [...text.matchAll(/mark-(\d+)-[0-9a-f]{8}/g)];
  return marks
    .filter(([mark, seed]) => mark !== own && markOf(Number(seed)) === mark)
    .map(([mark]) => mark);
}

interface Made {
  readonly bytes: Buffer;
  readonly statuses: readonly number[];
  readonly answers?: number | null;
  readonly isHead?: boolean;
}

type Make = (random: Random, mark: string) => Made;

const OK_OR_BAD = [200, 400];
const ANYTHING_CLEAR = [200, 400, 401, 404, 405, 408, 413, 414, 431];

function cut(random: Random, bytes: Buffer): Buffer[] {
  const places = Array.from({ length: random.below(4) + 1 }, () => random.below(bytes.length + 1));
  const edges = [0, ...places.sort((a, b) => a - b), bytes.length];
  return edges.slice(1).map((end, index) => bytes.subarray(edges[index], end));
}

function request(line: string, headers: readonly string[], body: Buffer | string = ""): Buffer {
  const head = [line, "host: fuzz", ...headers, "", ""].join("\r\n");
  return Buffer.concat([Buffer.from(head, "latin1"), Buffer.from(body)]);
}

function json(random: Random, mark: string): Made {
  const body = hostileJson(random, mark);
  const method = random.pick(["POST", "POST", "PUT", "PATCH"]);
  const length = `content-length: ${body.length}`;
  return { bytes: request(`${method} /body HTTP/1.1`, [length], body), statuses: OK_OR_BAD };
}

function chunkedJson(random: Random, mark: string): Made {
  const body = hostileJson(random, mark);
  const pieces = cut(random, body).filter((piece) => piece.length > 0);
  const chunks = pieces.flatMap((piece) => [
    Buffer.from(`${piece.length.toString(16)}${random.pick(["", ";a=b"])}\r\n`),
    piece,
    Buffer.from("\r\n"),
  ]);
  const last = Buffer.from(`0\r\n${random.pick(["", "x-trailer: a\r\n"])}\r\n`);
  const whole = Buffer.concat([...chunks, last]);
  const bytes = request("POST /body HTTP/1.1", ["transfer-encoding: chunked"], whole);
  return { bytes, statuses: OK_OR_BAD };
}

const QUERY_VALUES = [
  "1",
  "",
  "x",
  "1e999",
  "%FF",
  "%",
  "%zz",
  "%00",
  "+",
  "a".repeat(5000),
  "__proto__",
];
const QUERY_NAMES = ["n", "tags", "tags[]", "token", "__proto__", "constructor", "", "%6e"];

function query(random: Random, mark: string): Made {
  const parts = Array.from({ length: random.below(8) }, () => {
    return `${random.pick(QUERY_NAMES)}${random.pick(["=", "", "=="])}${random.pick(QUERY_VALUES)}`;
  });
  const line = `GET /lookup/${mark}?${parts.join(random.pick(["&", "&&", ";"]))} HTTP/1.1`;
  return { bytes: request(line, []), statuses: OK_OR_BAD };
}

const HEADERS = [
  "x-key: \xff\xfe",
  "x-key: a",
  "x-key:",
  "x-level: 1e999",
  "x-level: high",
  "x-level: 3",
  "cookie: session=a; session=b; __proto__=c; =; ;;",
  "cookie: \xe9",
  "authorization: good-x",
  "authorization: bad",
  "authorization: \xff",
  'x-correlation-id: \xe9"\\',
  "x-forwarded-for: 1.2.3.4, \xff",
  "x-forwarded-host: evil.example",
  "x-encore-meta-caller: api:echo.body",
  "x-encore-meta-userid: good-root",
  "x-encore-meta-svc-auth-method: noop",
  "traceparent: 00-zz-zz-00",
  "origin: https://evil.example",
  "__proto__: x",
  "constructor: y",
  "expect: 100-continue",
  "upgrade: h2c",
  "range: bytes=0-1",
  "accept-encoding: gzip, deflate, br",
];

function headers(random: Random, mark: string): Made {
  const some = Array.from({ length: random.below(12) }, () => random.pick(HEADERS));
  const path = random.pick(["lookup", "mine", "secret", "rest", "raw"]);
  const bytes = request(`GET /${path}/${mark} HTTP/1.1`, some);
  return { bytes, statuses: [200, 400, 401, 404] };
}

const HEADER_COUNTS = [50, 91, 93, 200, 300, 1000, 2001, 10_000];

function manyHeaders(random: Random, mark: string): Made {
  const count = random.pick(HEADER_COUNTS);
  const lines = Array.from({ length: count }, (_, at) => `h${at}: ${random.pick(["", "v"])}`);
  const bytes = request(`GET /lookup/${mark} HTTP/1.1`, lines);
  return { bytes, statuses: [count < 92 ? 200 : 431], answers: count < 10_000 ? 1 : null };
}

function longHead(random: Random, mark: string): Made {
  const length = random.pick([1000, 30_000, 70_000, 300_000]);
  const long = random.pick(["a", "\xff"]).repeat(length);
  const bytes = random.chance(0.5)
    ? request(`GET /lookup/${mark} HTTP/1.1`, [`x-long: ${long}`])
    : request(`GET /lookup/${mark}?x=${"a".repeat(length)} HTTP/1.1`, []);
  return { bytes, statuses: [length < 64_000 ? 200 : 431], answers: length < 64_000 ? 1 : null };
}

const TARGETS = [
  "/",
  "//",
  "/.",
  "/../lookup/x",
  "/lookup",
  "/lookup/",
  "/lookup/%2e%2e",
  "/lookup/a%2Fb",
  "/lookup/%FF",
  "/lookup/%",
  "/lookup//x",
  "/rest/",
  "/rest",
  "/LOOKUP/a",
  "/lookup/a#b",
  "/lookup/a?b#c?d",
  "/__encore/healthz",
  "/__encore/",
  "/lookup/__proto__",
  "/secret/x",
  "*",
  "http://evil.example/lookup/x",
  "https://evil.example:99/",
  '/lookup/x|<>"{}^`\\',
  "/lookup/[::1]",
  `/lookup/${"a/".repeat(5000)}`,
];

function targets(random: Random): Made {
  const bytes = request(`GET ${random.pick(TARGETS)} HTTP/1.1`, []);
  return { bytes, statuses: [200, 400, 404] };
}

const METHODS = ["HEAD", "DELETE", "OPTIONS", "TRACE", "PURGE", "PROPFIND", "M-SEARCH", "QUERY"];

function methods(random: Random, mark: string): Made {
  const method = random.pick(METHODS);
  const path = random.pick(["lookup", "raw", "mine", "nowhere"]);
  const bytes = request(`${method} /${path}/${mark} HTTP/1.1`, []);
  return { bytes, statuses: [200, 400, 401, 404, 405], isHead: method === "HEAD" };
}

function foreignMethods(random: Random, mark: string): Made {
  const method = random.pick(["FOO", "get", "G@T", "", " GET", "CONNECT", "PRI"]);
  const bytes = request(`${method} /lookup/${mark} HTTP/1.1`, []);
  return { bytes, statuses: [400, 404, 405], answers: null };
}

function pipelined(random: Random, mark: string): Made {
  const count = random.below(8) + 2;
  const body = `{"mark":"${mark}"}`;
  const one = (): Buffer =>
    random.pick([
      () => request(`GET /lookup/${mark} HTTP/1.1`, []),
      () => request("POST /body HTTP/1.1", [`content-length: ${body.length}`], body),
      () => request("POST /nowhere HTTP/1.1", [`content-length: ${body.length}`], body),
      () => request(`POST /raw/${mark} HTTP/1.1`, [`content-length: ${body.length}`], body),
    ])();
  const bytes = Buffer.concat(Array.from({ length: count }, one));
  return { bytes, statuses: [200, 404], answers: count };
}

/** What one server of a chain reads in one way, and the next in another. */
const SMUGGLING = [
  ["content-length: 5", "content-length: 6"],
  ["content-length: 5", "content-length: 5"],
  ["content-length: 5, 5"],
  ["content-length: 5", "transfer-encoding: chunked"],
  ["transfer-encoding: chunked", "content-length: 5"],
  ["transfer-encoding: chunked", "transfer-encoding: identity"],
  ["transfer-encoding: identity", "content-length: 5"],
  ["transfer-encoding: xchunked"],
  ["transfer-encoding: chunked, gzip"],
  ["transfer-encoding : chunked"],
  ["transfer-encoding:\tchunked"],
  [" transfer-encoding: chunked"],
  ["transfer-encoding: chunked\x00"],
  ["transfer-encoding:\x0bchunked"],
  ["content-length: +5"],
  ["content-length: -5"],
  ["content-length: 0x5"],
  ["content-length: 5 5"],
  ["content-length: 99999999999999999999"],
  ["content-length:"],
  ["content-length: 5\rx: y"],
  ["content-length: 5\nx: y"],
  ["x: y\n\nGET /secret/x HTTP/1.1"],
  ["no-colon"],
  [": no name"],
  ["folded: a", " b"],
  ["host: second"],
];

function smuggling(random: Random, mark: string): Made {
  const inner = request(`GET /lookup/${mark} HTTP/1.1`, []);
  const chunked = Buffer.from("5\r\nhello\r\n0\r\n\r\n");
  const body = Buffer.concat([random.pick([chunked, Buffer.from("0\r\n\r\n"), inner]), inner]);
  const bytes = request("POST /body HTTP/1.1", random.pick(SMUGGLING), body);
  return { bytes, statuses: ANYTHING_CLEAR, answers: null };
}

const BAD_CHUNKS = [
  "zz\r\nhello\r\n0\r\n\r\n",
  "-1\r\nhello\r\n0\r\n\r\n",
  "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
  "7fffffff\r\nhello",
  "5\r\nhelloXX0\r\n\r\n",
  "5\nhello\n0\n\n",
  "5 \r\nhello\r\n0\r\n\r\n",
  "\r\n",
  `5;${"x".repeat(30_000)}\r\nhello\r\n0\r\n\r\n`,
  "0\r\ncontent-length: 4\r\n\r\n",
  `0\r\n${"t: v\r\n".repeat(5000)}\r\n`,
];

function badChunks(random: Random): Made {
  const bytes = request(
    "POST /body HTTP/1.1",
    ["transfer-encoding: chunked"],
    random.pick(BAD_CHUNKS),
  );
  return { bytes, statuses: ANYTHING_CLEAR, answers: null };
}

/** A proper request with some bytes changed, left out or put in. */
function mutated(random: Random, mark: string): Made {
  const body = `{"mark":"${mark}"}`;
  const whole = request(
    "POST /body HTTP/1.1",
    [`content-length: ${body.length}`, "x-key: a"],
    body,
  );
  let bytes = Buffer.from(whole);
  for (let count = random.below(5) + 1; count > 0; count--) {
    const at = random.below(bytes.length);
    const put = random.pick([
      Buffer.alloc(0),
      random.bytes(1),
      Buffer.from("\r\n"),
      Buffer.from(" "),
    ]);
    bytes = Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + random.below(2))]);
  }
  return { bytes, statuses: ANYTHING_CLEAR, answers: null };
}

function truncated(random: Random, mark: string): Made {
  const body = `{"mark":"${mark}"}`;
  const whole = request("POST /body HTTP/1.1", [`content-length: ${body.length}`], body);
  const bytes = whole.subarray(0, random.below(whole.length));
  return { bytes, statuses: ANYTHING_CLEAR, answers: null };
}

const TLS_HELLO = Buffer.from("1603010200010001fc0303", "hex");

function garbage(random: Random): Made {
  const bytes = random.pick([
    random.bytes(random.below(300)),
    TLS_HELLO,
    Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    Buffer.from("GET /lookup/x\r\n\r\n"),
    Buffer.from("\r\n".repeat(random.below(1000))),
    Buffer.from("GET /lookup/x HTTP/9.9\r\n\r\n"),
  ]);
  return { bytes, statuses: ANYTHING_CLEAR, answers: null };
}

const OVER_THE_LIMIT = 2 * 1024 * 1024 + 1;

function tooLong(random: Random): Made {
  const body = Buffer.alloc(OVER_THE_LIMIT, 0x20);
  const path = random.pick(["body", "raw/x", "nowhere"]);
  const bytes = request(`POST /${path} HTTP/1.1`, [`content-length: ${body.length}`], body);
  return { bytes, statuses: [200, 400, 404], answers: null };
}

/** The ones that cost most come less often. */
const WEIGHTS: readonly (readonly [string, Make, number])[] = [
  ["json", json, 300],
  ["chunked json", chunkedJson, 60],
  ["query", query, 150],
  ["headers", headers, 150],
  ["many headers", manyHeaders, 10],
  ["long head", longHead, 10],
  ["targets", targets, 80],
  ["methods", methods, 40],
  ["foreign methods", foreignMethods, 10],
  ["pipelined", pipelined, 40],
  ["smuggling", smuggling, 60],
  ["bad chunks", badChunks, 20],
  ["mutated", mutated, 80],
  ["truncated", truncated, 20],
  ["garbage", garbage, 20],
  ["too long", tooLong, 2],
];

const FAMILIES = WEIGHTS.flatMap(([name, make, weight]) =>
  Array.from({ length: weight }, () => [name, make] as const),
);
