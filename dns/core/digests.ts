/**
 * Data that is some numbers and octets in hexadecimal, which may be written in parts: DS (RFC 4034
 * section 5), SSHFP (RFC 4255), TLSA (RFC 6698) and SMIMEA (RFC 8162).
 */
import { TYPE, typeName } from "./codes";
import { fault, type Parsed, parsed } from "./names";

interface Form {
  /** Octets of each number, and what it is called. */
  readonly numbers: readonly (readonly [1 | 2, string])[];
  readonly octets: string;
  /** The last number says what the octets are, and how many they are then. */
  readonly lengths: Readonly<Record<number, number>>;
  readonly rfc: string;
}

const TLSA: Form = {
  numbers: [
    [1, "<usage>"],
    [1, "<selector>"],
    [1, "<matching type>"],
  ],
  octets: "<certificate data>",
  lengths: { 1: 32, 2: 64 },
  rfc: "RFC 6698 2.1",
};

const FORMS: Readonly<Record<number, Form>> = {
  [TYPE.DS]: {
    numbers: [
      [2, "<key tag>"],
      [1, "<algorithm>"],
      [1, "<digest type>"],
    ],
    octets: "<digest>",
    lengths: { 1: 20, 2: 32, 4: 48 },
    rfc: "RFC 4034 5.1",
  },
  [TYPE.SSHFP]: {
    numbers: [
      [1, "<algorithm>"],
      [1, "<fingerprint type>"],
    ],
    octets: "<fingerprint>",
    lengths: { 1: 20, 2: 32 },
    rfc: "RFC 4255 3.1",
  },
  [TYPE.TLSA]: TLSA,
  [TYPE.SMIMEA]: TLSA,
};

export const isDigestType = (type: number): boolean => FORMS[type] !== undefined;

/** Read the data of one of these types. */
export function parseDigest(type: number, text: string): Parsed<Uint8Array> {
  const { numbers, octets: name } = FORMS[type]!;
  const fields = text.split(/\s+/).filter((field) => field !== "");
  const octets: number[] = [];
  for (const [index, [size]] of numbers.entries()) {
    const field = fields[index] ?? "";
    const value = /^\d{1,5}$/.test(field) ? Number(field) : Infinity;
    const max = 256 ** size - 1;
    if (fields.length > numbers.length && value > max) {
      return fault(`"${field}": expected an integer from 0 to ${max}`);
    }
    if (size === 2) octets.push(value >> 8);
    octets.push(value & 0xff);
  }
  const hex = fields.slice(numbers.length).join("");
  if (hex === "" || !/^([0-9a-f]{2})+$/i.test(hex)) {
    const expected = [...numbers.map(([, called]) => called), `${name} in hexadecimal`].join(" ");
    return fault(`${typeName(type)} data "${text.slice(0, 60)}": expected ${expected}`);
  }
  for (let at = 0; at < hex.length; at += 2)
    octets.push(Number.parseInt(hex.slice(at, at + 2), 16));
  const data = Uint8Array.from(octets);
  const wrong = faultOfLength(type, data);
  return wrong === undefined ? parsed(data) : fault(wrong);
}

const sizeOf = ({ numbers }: Form): number => numbers.reduce((sum, [size]) => sum + size, 0);

/** Who checks a digest of the wrong length refuses it: for DS that is the zone, for TLSA the mail. */
function faultOfLength(type: number, data: Uint8Array): string | undefined {
  const form = FORMS[type]!;
  const start = sizeOf(form);
  const kind = data[start - 1]!;
  const [expected, found] = [form.lengths[kind], data.length - start];
  if (expected === undefined || expected === found) return undefined;
  const what = form.numbers.at(-1)![1].slice(1, -1);
  return `${typeName(type)} ${form.octets} of ${found} octets: ${what} ${kind} has ${expected} (${form.rfc})`;
}

/** The presentation form, or undefined for data that has none. */
export function formatDigest(type: number, data: Uint8Array): string | undefined {
  const form = FORMS[type]!;
  const start = sizeOf(form);
  if (data.length <= start || faultOfLength(type, data) !== undefined) return undefined;
  let at = 0;
  const numbers = form.numbers.map(([size]) => {
    const value = size === 2 ? (data[at]! << 8) | data[at + 1]! : data[at]!;
    at += size;
    return value;
  });
  const hex = Array.from(data.subarray(start), (octet) => octet.toString(16).padStart(2, "0"));
  return [...numbers, hex.join("")].join(" ");
}
