/**
 * Record data between its presentation form (RFC 1035 section 5.1) and the wire, uncompressed.
 * Names in it are absolute, with or without the trailing dot.
 */
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from "./address";
import { TYPE, typeName } from "./codes";
import { formatDigest, isDigestType, parseDigest } from "./digests";
import {
  fault,
  fold,
  formatName,
  isHostname,
  nameAt,
  nameOctets,
  type Parsed,
  parsed,
  parseName,
  readEscape,
} from "./names";
import { formatSvcb, parseSvcb } from "./svcb";

/** One record's data. Far below the 65535 of the wire, so that a set of them fits a message. */
export const MAX_RDATA_OCTETS = 8192;

const MAX_STRING_OCTETS = 255;

interface Token {
  readonly octets: readonly number[];
  /** As written, without quotes. */
  readonly text: string;
  readonly isQuoted: boolean;
}

type Field = (token: Token) => Parsed<Uint8Array>;

/** Read the data of a record of `type`. */
export function parseRdata(type: number, text: string): Parsed<Uint8Array> {
  if (/^\s*\\#/.test(text)) return parseGeneric(type, text);
  if (type === TYPE.TXT && !text.trimStart().startsWith('"')) return limited(wholeText(text));
  if (type === TYPE.SVCB || type === TYPE.HTTPS) return limited(parseSvcb(text));
  if (isDigestType(type)) return limited(parseDigest(type, text));
  const tokens = tokenize(text);
  if (!tokens.ok) return tokens;
  if (type === TYPE.TXT) return limited(joined(tokens.value.map(characterString)));
  const fields = FIELDS[type];
  if (!fields) {
    return fault(`${typeName(type)} data must be written as "\\# length hex" (RFC 3597 5)`);
  }
  if (tokens.value.length !== fields.names.length) {
    return fault(`${typeName(type)} data "${text}": expected ${fields.names.join(" ")}`);
  }
  return limited(joined(tokens.value.map((token, index) => fields.read[index]!(token))));
}

function limited(data: Parsed<Uint8Array>): Parsed<Uint8Array> {
  if (!data.ok || data.value.length <= MAX_RDATA_OCTETS) return data;
  return fault(`the data is ${data.value.length} octets: at most ${MAX_RDATA_OCTETS}`);
}

function joined(parts: readonly Parsed<Uint8Array>[]): Parsed<Uint8Array> {
  const octets: number[] = [];
  for (const part of parts) {
    if (!part.ok) return part;
    for (const octet of part.value) octets.push(octet);
  }
  return parsed(Uint8Array.from(octets));
}

// The fields of the types that have a presentation form of their own.

const integer =
  (octets: 1 | 2 | 4): Field =>
  ({ text }) => {
    const max = 2 ** (8 * octets) - 1;
    const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value <= max)) return fault(`"${text}": expected an integer from 0 to ${max}`);
    return parsed(
      Uint8Array.from({ length: octets }, (_, i) => (value / 256 ** (octets - 1 - i)) & 0xff),
    );
  };

const ipv4: Field = ({ text }) => {
  const octets = parseIpv4(text);
  return octets ? parsed(octets) : fault(`"${text}": expected an IPv4 address (RFC 1035 3.4.1)`);
};

const ipv6: Field = ({ text }) => {
  const octets = parseIpv6(text);
  return octets ? parsed(octets) : fault(`"${text}": expected an IPv6 address (RFC 3596 2.2)`);
};

const anyName: Field = ({ text }) => {
  const name = parseName(text);
  return name.ok ? parsed(nameOctets(name.value)) : name;
};

/** A host's name: what NS, MX and SRV point to. An address there is a common mistake. */
const hostName: Field = (token) => {
  if (parseIpv4(token.text) ?? parseIpv6(token.text)) {
    return fault(`"${token.text}" is an address: expected a host name (RFC 1035 3.3)`);
  }
  const name = parseName(token.text);
  if (!name.ok) return name;
  if (!isHostname(fold(name.value))) {
    return fault(`"${token.text}": expected a host name (RFC 1123 2.1)`);
  }
  return parsed(nameOctets(name.value));
};

/** A host's name, or the root: "no service here" (RFC 7505, RFC 2782). */
const hostNameOrNone: Field = (token) =>
  token.text === "." ? parsed(Uint8Array.of(0)) : hostName(token);

const anyNameOrNone: Field = (token) =>
  token.text === "." ? parsed(Uint8Array.of(0)) : anyName(token);

const characterString: Field = ({ octets }) => {
  if (octets.length > MAX_STRING_OCTETS) {
    return fault(`a string of ${octets.length} octets: at most 255 (RFC 1035 3.3)`);
  }
  return parsed(Uint8Array.of(octets.length, ...octets));
};

const CAA_TAG = /^[a-z0-9]{1,15}$/i;

const caaTag: Field = (token) =>
  CAA_TAG.test(token.text)
    ? characterString(token)
    : fault(`"${token.text}": expected a CAA tag of letters and digits (RFC 8659 4.1)`);

const restOctets: Field = ({ octets }) => parsed(Uint8Array.from(octets));

const FIELDS: Readonly<Record<number, { names: readonly string[]; read: readonly Field[] }>> = {
  [TYPE.A]: { names: ["<IPv4 address>"], read: [ipv4] },
  [TYPE.AAAA]: { names: ["<IPv6 address>"], read: [ipv6] },
  [TYPE.NS]: { names: ["<host name>"], read: [hostName] },
  [TYPE.CNAME]: { names: ["<name>"], read: [anyName] },
  [TYPE.ALIAS]: { names: ["<name>"], read: [anyName] },
  [TYPE.PTR]: { names: ["<name>"], read: [anyName] },
  [TYPE.MX]: { names: ["<preference>", "<host name>"], read: [integer(2), hostNameOrNone] },
  [TYPE.HINFO]: { names: ["<cpu>", "<os>"], read: [characterString, characterString] },
  [TYPE.SRV]: {
    names: ["<priority>", "<weight>", "<port>", "<host name>"],
    read: [integer(2), integer(2), integer(2), hostNameOrNone],
  },
  [TYPE.NAPTR]: {
    names: ["<order>", "<preference>", "<flags>", "<services>", "<regexp>", "<replacement>"],
    read: [
      integer(2),
      integer(2),
      characterString,
      characterString,
      characterString,
      anyNameOrNone,
    ],
  },
  [TYPE.CAA]: { names: ["<flags>", "<tag>", "<value>"], read: [integer(1), caaTag, restOctets] },
  [TYPE.SOA]: {
    names: ["<mname>", "<rname>", "<serial>", "<refresh>", "<retry>", "<expire>", "<minimum>"],
    read: [hostName, anyName, ...Array.from({ length: 5 }, () => integer(4))],
  },
};

/** TXT without quotes is one text, split where a string of the wire ends. */
function wholeText(text: string): Parsed<Uint8Array> {
  const octets = utf8(text);
  const strings: Parsed<Uint8Array>[] = [];
  for (let at = 0; at < octets.length || at === 0; at += MAX_STRING_OCTETS) {
    const part = octets.slice(at, at + MAX_STRING_OCTETS);
    strings.push(characterString({ octets: part, text: "", isQuoted: true }));
  }
  return joined(strings);
}

/** The generic form of a type that has its own must say what that form can say. */
function parseGeneric(type: number, text: string): Parsed<Uint8Array> {
  const data = parseUnknown(text);
  if (!data.ok || (!FORMATS[type] && !isDigestType(type))) return data;
  const own = ownForm(type, data.value);
  return own === undefined
    ? fault(`"${text}" is no ${typeName(type)} data`)
    : parseRdata(type, own);
}

/** `\# length hex` (RFC 3597 section 5). */
function parseUnknown(text: string): Parsed<Uint8Array> {
  const match = /^\s*\\#\s+(\d{1,5})((?:\s+[0-9a-f]+)*)\s*$/i.exec(text);
  const hex = match?.[2]?.replace(/\s/g, "") ?? "";
  if (!match || hex.length !== 2 * Number(match[1])) {
    return fault(`"${text.slice(0, 40)}": expected \\# length hex, of that length (RFC 3597 5)`);
  }
  return limited(
    parsed(
      Uint8Array.from({ length: hex.length / 2 }, (_, i) =>
        Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16),
      ),
    ),
  );
}

/** Split at white space; a quoted string is one token. Escapes are read in strings only. */
function tokenize(text: string): Parsed<Token[]> {
  const tokens: Token[] = [];
  for (let at = 0; at < text.length;) {
    if (/\s/.test(text[at]!)) {
      at++;
      continue;
    }
    const token = text[at] === '"' ? readQuoted(text, at + 1) : readWord(text, at);
    if (!token.ok) return token;
    tokens.push(token.value.token);
    at = token.value.end;
  }
  return parsed(tokens);
}

function readWord(text: string, start: number): Parsed<{ token: Token; end: number }> {
  let end = start;
  while (end < text.length && !/[\s"]/.test(text[end]!)) end += text[end] === "\\" ? 2 : 1;
  const word = text.slice(start, end);
  return parsed({ token: { octets: utf8(word), text: word, isQuoted: false }, end });
}

function readQuoted(text: string, start: number): Parsed<{ token: Token; end: number }> {
  const octets: number[] = [];
  for (let at = start; at < text.length;) {
    const character = String.fromCodePoint(text.codePointAt(at)!);
    if (character === '"') {
      const token = { octets, text: text.slice(start, at), isQuoted: true };
      return parsed({ token, end: at + 1 });
    }
    if (character === "\\") {
      const escape = readEscape(text, at);
      if (!escape.ok) return escape;
      octets.push(escape.value.octet);
      at = escape.value.end;
    } else {
      octets.push(...utf8(character));
      at += character.length;
    }
  }
  return fault(`"${text.slice(0, 40)}" has a quote without its end`);
}

function utf8(text: string): number[] {
  const octets: number[] = [];
  for (const character of text) {
    const code = character.codePointAt(0)!;
    if (code < 0x80) octets.push(code);
    else if (code < 0x800) octets.push(0xc0 | (code >> 6), 0x80 | (code & 0x3f));
    else if (code < 0x10000) {
      octets.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
    } else {
      octets.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 0x3f));
      octets.push(0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
    }
  }
  return octets;
}

/** The presentation form of record data; `\#` where the type has none of its own. */
export function formatRdata(type: number, data: Uint8Array): string {
  return ownForm(type, data) ?? formatUnknown(data);
}

const ownForm = (type: number, data: Uint8Array): string | undefined =>
  isDigestType(type) ? formatDigest(type, data) : FORMATS[type]?.(data);

type Format = (data: Uint8Array) => string | undefined;

const u16 = (data: Uint8Array, at: number): number => (data[at]! << 8) | data[at + 1]!;
const u32 = (data: Uint8Array, at: number): number => u16(data, at) * 65536 + u16(data, at + 2);

const formatNameAt = (data: Uint8Array, at: number): string | undefined => {
  const name = nameAt(data, at);
  if (name === undefined || at + name.length !== data.length) return undefined;
  return formatName(name);
};

const FORMATS: Readonly<Record<number, Format>> = {
  [TYPE.A]: (data) => (data.length === 4 ? formatIpv4(data) : undefined),
  [TYPE.AAAA]: (data) => (data.length === 16 ? formatIpv6(data) : undefined),
  [TYPE.NS]: (data) => formatNameAt(data, 0),
  [TYPE.CNAME]: (data) => formatNameAt(data, 0),
  [TYPE.ALIAS]: (data) => formatNameAt(data, 0),
  [TYPE.PTR]: (data) => formatNameAt(data, 0),
  [TYPE.MX]: (data) => withPrefix([u16(data, 0)], formatNameAt(data, 2)),
  [TYPE.SRV]: (data) =>
    withPrefix([u16(data, 0), u16(data, 2), u16(data, 4)], formatNameAt(data, 6)),
  [TYPE.NAPTR]: formatNaptr,
  [TYPE.TXT]: formatStrings,
  [TYPE.HINFO]: formatStrings,
  [TYPE.CAA]: formatCaa,
  [TYPE.SOA]: formatSoa,
  [TYPE.SVCB]: formatSvcb,
  [TYPE.HTTPS]: formatSvcb,
};

const withPrefix = (numbers: readonly number[], rest: string | undefined): string | undefined =>
  rest === undefined ? undefined : [...numbers, rest].join(" ");

function formatStrings(data: Uint8Array): string | undefined {
  const strings: string[] = [];
  for (let at = 0; at < data.length; at += 1 + data[at]!) {
    if (at + 1 + data[at]! > data.length) return undefined;
    strings.push(quoted(data.subarray(at + 1, at + 1 + data[at]!)));
  }
  return strings.length > 0 ? strings.join(" ") : undefined;
}

/** Order, preference, three strings, and what replaces the name (RFC 3403 section 4.1). */
function formatNaptr(data: Uint8Array): string | undefined {
  let end = 4;
  for (let strings = 0; strings < 3; strings++) end += 1 + (data[end] ?? Infinity);
  const strings = end < data.length ? formatStrings(data.subarray(4, end)) : undefined;
  const name = formatNameAt(data, end);
  if (strings === undefined || name === undefined) return undefined;
  return [u16(data, 0), u16(data, 2), strings, name].join(" ");
}

function formatCaa(data: Uint8Array): string | undefined {
  const end = 2 + (data[1] ?? 0);
  if (data.length < 2 || end > data.length) return undefined;
  const tag = String.fromCharCode(...data.subarray(2, end));
  if (!CAA_TAG.test(tag)) return undefined;
  return `${data[0]} ${tag} ${quoted(data.subarray(end))}`;
}

function formatSoa(data: Uint8Array): string | undefined {
  const mname = nameAt(data, 0);
  const rname = mname === undefined ? undefined : nameAt(data, mname.length);
  if (mname === undefined || rname === undefined) return undefined;
  const at = mname.length + rname.length;
  if (data.length !== at + 20) return undefined;
  const numbers = [0, 4, 8, 12, 16].map((offset) => u32(data, at + offset));
  return [formatName(mname), formatName(rname), ...numbers].join(" ");
}

function quoted(octets: Uint8Array): string {
  let text = "";
  for (const octet of octets) {
    if (octet < 0x20 || octet >= 0x7f) text += `\\${String(octet).padStart(3, "0")}`;
    else
      text +=
        octet === 0x22 || octet === 0x5c
          ? `\\${String.fromCharCode(octet)}`
          : String.fromCharCode(octet);
  }
  return `"${text}"`;
}

const formatUnknown = (data: Uint8Array): string => {
  const hex = Array.from(data, (octet) => octet.toString(16).padStart(2, "0")).join("");
  return `\\# ${data.length}${hex === "" ? "" : ` ${hex}`}`;
};
