import { isUtf8 } from "node:buffer";

/**
 * Reads the JSON of a body as Encore's decoder does, which differs from `JSON.parse`: a name that
 * occurs twice is known to have, whole numbers beyond a double are exact, half a surrogate pair is
 * refused, and what follows the value is not looked at.
 */

/** A body that is no JSON. The path is what leads to the fault, `list[1].x`. */
export class JsonError extends Error {
  readonly path: string;

  constructor(path: string, reason: string) {
    super(path === "" ? reason : `${path}: ${reason}`);
    this.path = path;
  }
}

const duplicates = new WeakMap<object, Set<string>>();

/** Whether the object's text names a member more than once. */
export function isDuplicate(object: object, name: string): boolean {
  return duplicates.get(object)?.has(name) ?? false;
}

/** Stands in a body's text for bytes that are no UTF-8, which no UTF-8 can spell. */
const BROKEN = "\udc80";
const LONE_SURROGATE = /\p{Surrogate}/u;

/** The text of a body. What is no UTF-8 in it is found where it matters: by the parser. */
export function bodyText(bytes: Buffer): string {
  const text = bytes.toString("utf8");
  return isUtf8(bytes) ? text : text.replaceAll("\ufffd", BROKEN);
}

/** @throws JsonError in the words of serde_json */
export function parseBody(text: string): unknown {
  return new Parser(text).parse();
}

const MAX_DEPTH = 128;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const FIRST_PRINTABLE = 0x20;
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const I64_MIN = -(2n ** 63n);
const U64_MAX = 2n ** 64n - 1n;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

class Parser {
  readonly #text: string;
  /** Names and positions that lead to the value being read. */
  readonly #path: (string | number)[] = [];
  readonly #isBroken: boolean;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#isBroken = text.includes(BROKEN);
  }

  parse(): unknown {
    return this.#value();
  }

  #value(): unknown {
    this.#skipSpace();
    const char = this.#text[this.#at];
    switch (char) {
      case undefined:
        return this.#fail("EOF while parsing a value");
      case "{":
        return this.#object();
      case "[":
        return this.#array();
      case '"':
        this.#at += 1;
        return this.#string();
      case "t":
        return this.#word("true", true);
      case "f":
        return this.#word("false", false);
      case "n":
        return this.#word("null", null);
      default:
        return this.#number(char);
    }
  }

  #object(): Record<string, unknown> {
    this.#enter();
    const result: Record<string, unknown> = {};
    for (let isFirst = true; ; isFirst = false) {
      const char = this.#next("object");
      if (char === "}" && isFirst) break;
      if (!isFirst) {
        if (char === "}") break;
        if (char !== ",") this.#fail("expected `,` or `}`");
        this.#at += 1;
        if (this.#next("object") === "}") this.#fail("trailing comma");
      }
      this.#member(result);
    }
    this.#at += 1;
    return result;
  }

  #member(into: Record<string, unknown>): void {
    if (this.#text[this.#at] !== '"') this.#fail("key must be a string");
    this.#at += 1;
    const name = this.#string();
    if (this.#next("object") !== ":") this.#fail("expected `:`");
    this.#at += 1;
    this.#path.push(name);
    const value = this.#value();
    this.#path.pop();
    if (Object.hasOwn(into, name)) noteDuplicate(into, name);
    if (name === "__proto__") {
      Object.defineProperty(into, name, { value, enumerable: true, configurable: true });
    } else into[name] = value;
  }

  #array(): unknown[] {
    this.#enter();
    const result: unknown[] = [];
    for (;;) {
      const char = this.#next("list");
      if (char === "]") break;
      if (result.length > 0) {
        if (char !== ",") this.#fail("expected `,` or `]`");
        this.#at += 1;
        if (this.#next("list") === "]") this.#fail("trailing comma");
      }
      this.#path.push(result.length);
      result.push(this.#value());
      this.#path.pop();
    }
    this.#at += 1;
    return result;
  }

  #enter(): void {
    this.#at += 1;
    if (this.#path.length >= MAX_DEPTH) this.#fail("recursion limit exceeded");
  }

  /** The string whose opening quote has been read. */
  #string(): string {
    const start = this.#at;
    let result = "";
    for (let from = start; ;) {
      const code = this.#text.charCodeAt(this.#at);
      if (Number.isNaN(code)) this.#fail("EOF while parsing a string");
      if (code < FIRST_PRINTABLE) {
        this.#fail("control character (\\u0000-\\u001F) found while parsing a string");
      }
      if (code === QUOTE) {
        result += this.#text.slice(from, this.#at);
        if (this.#isBroken && LONE_SURROGATE.test(result)) this.#fail("invalid unicode code point");
        this.#at += 1;
        return result;
      }
      if (code !== BACKSLASH) {
        this.#at += 1;
        continue;
      }
      result += this.#text.slice(from, this.#at) + this.#escape();
      from = this.#at;
    }
  }

  #escape(): string {
    const kind = this.#text[this.#at + 1] ?? "";
    this.#at += 2;
    if (kind !== "u") return ESCAPES[kind] ?? this.#fail("invalid escape");
    const high = this.#hex();
    if (high >= 0xdc00 && high <= 0xdfff) this.#fail("lone leading surrogate in hex escape");
    if (high < 0xd800 || high > 0xdbff) return String.fromCharCode(high);
    if (!this.#text.startsWith("\\u", this.#at)) this.#fail("unexpected end of hex escape");
    this.#at += 2;
    const low = this.#hex();
    if (low < 0xdc00 || low > 0xdfff) this.#fail("lone leading surrogate in hex escape");
    return String.fromCharCode(high, low);
  }

  #hex(): number {
    const digits = this.#text.slice(this.#at, this.#at + 4);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.#fail("invalid escape");
    this.#at += 4;
    return Number.parseInt(digits, 16);
  }

  #number(first: string): number | bigint {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match === null) return this.#fail(first === "-" ? "invalid number" : "expected value");
    const [digits, fraction, exponent] = match;
    this.#at += digits.length;
    if (/[\d.eE]/.test(this.#text[this.#at] ?? "")) this.#fail("invalid number");
    const value = Number(digits);
    if (!Number.isFinite(value)) this.#fail("number out of range");
    const isWhole = fraction === undefined && exponent === undefined;
    if (!isWhole || Number.isSafeInteger(value)) return value;
    const exact = BigInt(digits);
    return exact < I64_MIN || exact > U64_MAX ? value : exact;
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) this.#fail("expected ident");
    this.#at += word.length;
    return value;
  }

  #next(inside: "object" | "list"): string {
    this.#skipSpace();
    const what = inside === "list" ? "a list" : "an object";
    return this.#text[this.#at] ?? this.#fail(`EOF while parsing ${what}`);
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at += 1;
    }
  }

  #fail(reason: string): never {
    let path = "";
    for (const step of this.#path) {
      if (typeof step === "number") path += `[${step}]`;
      else path += path === "" ? step : `.${step}`;
    }
    throw new JsonError(path, reason);
  }
}

function noteDuplicate(object: object, name: string): void {
  const names = duplicates.get(object) ?? new Set();
  duplicates.set(object, names.add(name));
}
