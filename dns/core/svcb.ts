/** SVCB and HTTPS data (RFC 9460) between presentation form and the wire. */
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from "./address";
import { formatBase64, parseBase64 } from "./base64";
import {
  fault,
  formatName,
  nameAt,
  nameOctets,
  type Parsed,
  parsed,
  parseName,
  readEscape,
} from "./names";

const KEYS = [
  "mandatory",
  "alpn",
  "no-default-alpn",
  "port",
  "ipv4hint",
  "ech",
  "ipv6hint",
  "dohpath",
] as const;

const KEY = { mandatory: 0, alpn: 1, noDefaultAlpn: 2, port: 3 } as const;
const MAX_PORT = 65_535;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;

type Octets = readonly number[];
type Params = Map<number, Octets>;

/** `priority target key=value …`; priority 0 is AliasMode. */
export function parseSvcb(text: string): Parsed<Uint8Array> {
  const head = /^\s*(\d{1,5})\s+([^\s"]+)/.exec(text);
  const priority = Number(head?.[1]);
  if (!head || priority > 0xffff) {
    return fault(
      `"${text.slice(0, 40)}": expected <priority> <target> <key>=<value>… (RFC 9460 2.1)`,
    );
  }
  const target = parseTarget(head[2]!);
  if (!target.ok) return target;
  const params = parseParams(text, head[0].length);
  if (!params.ok) return params;
  const reason = faultOfParams(priority, params.value);
  if (reason !== undefined) return fault(reason);
  const octets = [...word(priority), ...target.value];
  for (const key of sortedKeys(params.value)) {
    const value = params.value.get(key)!;
    octets.push(...word(key), ...word(value.length), ...value);
  }
  return parsed(Uint8Array.from(octets));
}

const word = (value: number): Octets => [value >> 8, value & 0xff];

const sortedKeys = (params: Params): number[] =>
  [...params.keys()].sort((one, other) => one - other);

function parseTarget(text: string): Parsed<Uint8Array> {
  if (parseIpv4(text) ?? parseIpv6(text)) {
    return fault(`"${text}" is an address: expected a host name, or "." (RFC 9460 2.5)`);
  }
  const name = parseName(text);
  return name.ok ? parsed(nameOctets(name.value)) : name;
}

/** `key`, `key=value` or `key="value"`, behind white space. */
const PARAM = /\s+([a-z0-9-]+)(?:=(?:"((?:[^"\\]|\\[\s\S])*)"|((?:[^\s"\\]|\\[\s\S])*)))?(?=\s|$)/y;

function parseParams(text: string, start: number): Parsed<Params> {
  const params: Params = new Map();
  const end = text.trimEnd().length;
  for (let at = start; at < end; at = PARAM.lastIndex) {
    PARAM.lastIndex = at;
    const match = PARAM.exec(text);
    if (!match) return fault(`"${text.slice(at, at + 40).trim()}": expected <key>=<value>`);
    const key = keyOf(match[1]!);
    if (key === undefined) return fault(`"${match[1]}": expected a key of RFC 9460 or key<number>`);
    if (params.has(key)) return fault(`"${match[1]}" is there twice (RFC 9460 2.1)`);
    const octets = unescape(match[2] ?? match[3] ?? "");
    if (!octets.ok) return octets;
    const value = encodeValue(key, octets.value);
    if (!value.ok) return value;
    params.set(key, value.value);
  }
  return parsed(params);
}

/** Each number is written in one way only: by its name, where it has one. */
function keyOf(text: string): number | undefined {
  const index = KEYS.findIndex((name) => name === text);
  if (index >= 0) return index;
  const number = /^key(0|[1-9]\d{0,4})$/.exec(text);
  // 65535 is reserved as an invalid key (RFC 9460 section 14.3.2).
  return number && Number(number[1]) < 0xffff ? Number(number[1]) : undefined;
}

const keyText = (key: number): string => KEYS[key] ?? `key${key}`;

function unescape(text: string): Parsed<Octets> {
  const octets: number[] = [];
  for (let at = 0; at < text.length;) {
    const code = text.charCodeAt(at);
    if (code === BACKSLASH) {
      const escape = readEscape(text, at);
      if (!escape.ok) return escape;
      octets.push(escape.value.octet);
      at = escape.value.end;
    } else {
      if (code >= 0x80) return fault(`"${text}" has a character that is not ASCII: expected \\DDD`);
      octets.push(code);
      at++;
    }
  }
  return parsed(octets);
}

const textOf = (octets: Octets): string => String.fromCharCode(...octets);

function encodeValue(key: number, octets: Octets): Parsed<Octets> {
  switch (KEYS[key]) {
    case "mandatory":
      return each(octets, (item) => {
        const listed = keyOf(textOf(item));
        return listed === undefined ? undefined : word(listed);
      });
    case "alpn":
      return each(octets, (item) => (item.length <= 255 ? [item.length, ...item] : undefined));
    case "no-default-alpn":
      return octets.length === 0
        ? parsed([])
        : fault("no-default-alpn has no value (RFC 9460 7.1.1)");
    case "port": {
      const port = /^\d{1,5}$/.test(textOf(octets)) ? Number(textOf(octets)) : Infinity;
      return port <= MAX_PORT
        ? parsed(word(port))
        : fault(`port "${textOf(octets)}": expected 0 to 65535`);
    }
    case "ipv4hint":
      return each(octets, (item) => parseIpv4(textOf(item)));
    case "ipv6hint":
      return each(octets, (item) => parseIpv6(textOf(item)));
    case "ech": {
      const bytes = parseBase64(textOf(octets));
      return bytes && bytes.length > 0
        ? parsed([...bytes])
        : fault("ech: expected base64 (RFC 9848 4)");
    }
    default:
      return parsed(octets);
  }
}

/** The items of a list, encoded one behind the other (RFC 9460 appendix A.1). */
function each(
  octets: Octets,
  encode: (item: Octets) => Iterable<number> | undefined,
): Parsed<Octets> {
  const encoded: number[] = [];
  for (const item of items(octets)) {
    const value = item.length === 0 ? undefined : encode(item);
    if (!value) return fault(`"${textOf(octets)}": "${textOf(item)}" is no item of this list`);
    encoded.push(...value);
  }
  return parsed(encoded);
}

/** Commas separate; behind a backslash they, and backslashes, are characters. */
function items(octets: Octets): Octets[] {
  const found: number[][] = [[]];
  for (let at = 0; at < octets.length; at++) {
    const isEscape = octets[at] === BACKSLASH && at + 1 < octets.length;
    if (octets[at] === COMMA) found.push([]);
    else found.at(-1)!.push(octets[isEscape ? ++at : at]!);
  }
  return found;
}

function faultOfParams(priority: number, params: Params): string | undefined {
  if (priority === 0 && params.size > 0) return "AliasMode has no parameters (RFC 9460 2.4.2)";
  if (params.has(KEY.noDefaultAlpn) && !params.has(KEY.alpn)) {
    return "no-default-alpn without alpn (RFC 9460 7.1.1)";
  }
  const mandatory = params.get(KEY.mandatory);
  return mandatory && faultOfMandatory(mandatory, params);
}

/** RFC 9460 section 8: sorted, each once, all there, and never itself. */
function faultOfMandatory(value: Octets, params: Params): string | undefined {
  const keys = keysIn(value);
  params.set(
    KEY.mandatory,
    [...keys].sort((one, other) => one - other).flatMap((key) => word(key)),
  );
  if (new Set(keys).size !== keys.length) return "mandatory names a key twice (RFC 9460 8)";
  if (keys.includes(KEY.mandatory)) return "mandatory names itself (RFC 9460 8)";
  const absent = keys.find((key) => !params.has(key));
  return absent === undefined
    ? undefined
    : `mandatory names ${keyText(absent)}, which is not there (RFC 9460 8)`;
}

const keysIn = (value: Octets): number[] =>
  Array.from({ length: value.length / 2 }, (_, i) => (value[2 * i]! << 8) | value[2 * i + 1]!);

/** The presentation form, or undefined for what is none of SVCB's data. */
export function formatSvcb(data: Uint8Array): string | undefined {
  const target = data.length > 2 ? nameAt(data, 2) : undefined;
  if (target === undefined) return undefined;
  const parts = [String((data[0]! << 8) | data[1]!), formatName(target)];
  let last = -1;
  for (let at = 2 + target.length; at < data.length;) {
    if (at + 4 > data.length) return undefined;
    const key = (data[at]! << 8) | data[at + 1]!;
    const end = at + 4 + ((data[at + 2]! << 8) | data[at + 3]!);
    const param = formatParam(key, data.subarray(at + 4, end));
    if (end > data.length || key <= last || param === undefined) return undefined;
    parts.push(param);
    last = key;
    at = end;
  }
  return parts.join(" ");
}

function formatParam(key: number, value: Uint8Array): string | undefined {
  const octets = decodeValue(key, value);
  if (octets === undefined || key === 0xffff) return undefined;
  return octets.length === 0 ? keyText(key) : `${keyText(key)}=${quoted(octets)}`;
}

const octetsOf = (text: string): Octets => Array.from(text, (letter) => letter.charCodeAt(0));

function decodeValue(key: number, value: Uint8Array): Octets | undefined {
  switch (KEYS[key]) {
    case "mandatory":
      if (value.length === 0 || value.length % 2 !== 0) return undefined;
      return octetsOf(
        keysIn([...value])
          .map(keyText)
          .join(","),
      );
    case "alpn":
      return alpnOf(value);
    case "no-default-alpn":
      return value.length === 0 ? [] : undefined;
    case "port":
      return value.length === 2 ? octetsOf(String((value[0]! << 8) | value[1]!)) : undefined;
    case "ipv4hint":
      return hints(value, 4, formatIpv4);
    case "ipv6hint":
      return hints(value, 16, formatIpv6);
    case "ech":
      return value.length > 0 ? octetsOf(formatBase64(value)) : undefined;
    default:
      return [...value];
  }
}

function hints(value: Uint8Array, size: number, format: (octets: Uint8Array) => string) {
  if (value.length === 0 || value.length % size !== 0) return undefined;
  const addresses = Array.from({ length: value.length / size }, (_, i) =>
    format(value.subarray(i * size, (i + 1) * size)),
  );
  return octetsOf(addresses.join(","));
}

function alpnOf(value: Uint8Array): Octets | undefined {
  const octets: number[] = [];
  for (let at = 0; at < value.length; at += 1 + value[at]!) {
    const end = at + 1 + value[at]!;
    if (value[at] === 0 || end > value.length) return undefined;
    if (at > 0) octets.push(COMMA);
    for (const octet of value.subarray(at + 1, end)) {
      if (octet === COMMA || octet === BACKSLASH) octets.push(BACKSLASH);
      octets.push(octet);
    }
  }
  return octets.length > 0 ? octets : undefined;
}

/** As it is where nothing in it needs a quote; else between quotes, escaped. */
function quoted(octets: Octets): string {
  const isPlain = octets.every((octet) => octet > 0x20 && octet < 0x7f && !isSpecial(octet));
  if (isPlain) return textOf(octets);
  const escaped = octets.map((octet) => {
    if (octet < 0x20 || octet >= 0x7f) return `\\${String(octet).padStart(3, "0")}`;
    const isEscaped = octet === 0x22 || octet === BACKSLASH;
    return `${isEscaped ? "\\" : ""}${String.fromCharCode(octet)}`;
  });
  return `"${escaped.join("")}"`;
}

const isSpecial = (octet: number): boolean => '"\\;()'.includes(String.fromCharCode(octet));
