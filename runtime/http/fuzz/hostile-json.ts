import type { Random } from "./random";

/** Values that decoders and JavaScript itself stumble over. */
const VALUES = [
  "null",
  "true",
  "0",
  "-0",
  "1e999",
  "-1e999",
  "1e308",
  "5e-324",
  "9007199254740993",
  "18446744073709551615",
  "18446744073709551616",
  "-9223372036854775809",
  "9".repeat(400),
  `0.${"1".repeat(400)}`,
  "01",
  "1.",
  ".5",
  "+1",
  "NaN",
  "Infinity",
  "-",
  '""',
  '"a"',
  '"\\u0000"',
  '"\\ud800"',
  '"\\udc00\\ud800"',
  '"\\x41"',
  '"\ttab"',
  '"\u2028"',
  "'a'",
  "[]",
  "{}",
  "[1,2,]",
  '{"a":1,}',
  "[[1],[2]]",
  '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '{"toString":1,"valueOf":2,"hasOwnProperty":3}',
  '{"name":"x","children":[{"name":"y"}]}',
  '"2026-01-02T03:04:05Z"',
  '"12345678901234567890"',
  "undefined",
  "/* a */ 1",
];

const NAMES = [
  "mark",
  "n",
  "flag",
  "list",
  "record",
  "tree",
  "any",
  "when",
  "big",
  "choice",
  "mixed",
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "",
  "\u0000",
  "é",
];

const DEPTHS = [1, 10, 100, 126, 127, 128, 129, 1000, 5000];
const LONG_STRINGS = [10, 100, 1000, 50_000];

/** The body of a request that carries `mark`, more or less. */
export function hostileJson(random: Random, mark: string): Buffer {
  const members = Array.from({ length: random.below(6) }, () => {
    return `${JSON.stringify(random.pick(NAMES))}:${hostileValue(random)}`;
  });
  if (random.chance(0.9)) members.push(`"mark":"${mark}"`);
  const text = `{${members.join(random.pick([",", " , ", ",\n"]))}}`;
  return damaged(random, Buffer.from(text));
}

function hostileValue(random: Random): string {
  switch (random.below(8)) {
    case 0:
      return nested(random, "[", "]");
    case 1:
      return nested(random, '{"children":[', "]}");
    case 2:
      return JSON.stringify(random.pick(["x", "é", "💀"]).repeat(random.pick(LONG_STRINGS)));
    case 3:
      return `[${Array.from({ length: random.below(50) }, () => random.pick(VALUES)).join(",")}]`;
    default:
      return random.pick(VALUES);
  }
}

function nested(random: Random, open: string, close: string): string {
  const depth = random.pick(DEPTHS);
  return open.repeat(depth) + random.pick(VALUES) + close.repeat(depth);
}

/** Mostly whole; else cut, with bytes changed, or with something around it. */
function damaged(random: Random, body: Buffer): Buffer {
  switch (random.below(10)) {
    case 0:
      return body.subarray(0, random.below(body.length + 1));
    case 1: {
      const changed = Buffer.from(body);
      for (let count = random.below(4) + 1; count > 0; count--) {
        changed[random.below(changed.length)] = random.below(256);
      }
      return changed;
    }
    case 2:
      return Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), body]);
    case 3:
      return Buffer.concat([body, random.bytes(random.below(20))]);
    default:
      return body;
  }
}
