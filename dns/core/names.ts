/**
 * Domain names as the wire has them: length-prefixed labels of octets, ended by the root's empty
 * label, held in a string with one character per octet. A label is 8-bit data (RFC 2181 section
 * 11), so a dot in a label stays a dot in a label, and the parent of a name is one `slice`.
 *
 * Names are compared with A–Z folded, and nothing else (RFC 4343): a {@link Name} is folded.
 */
export type Name = string;

/** What reading text gives: the value, or why there is none. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string };

export const parsed = <T>(value: T): Parsed<T> => ({ ok: true, value });
export const fault = (reason: string): { ok: false; reason: string } => ({ ok: false, reason });

export const ROOT: Name = "\0";

/** RFC 1035 section 2.3.4. */
export const MAX_LABEL_OCTETS = 63;
export const MAX_NAME_OCTETS = 255;

const DOT = 0x2e;
const BACKSLASH = 0x5c;

const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;
const isUpper = (code: number): boolean => code >= 0x41 && code <= 0x5a;

/** Fold one octet for comparison (RFC 4343 section 3). */
export const foldOctet = (octet: number): number => (isUpper(octet) ? octet | 0x20 : octet);

/** Fold the labels of a name. Length octets are below 64, so they are never touched. */
export function fold(name: string): Name {
  return name.replace(/[A-Z]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) | 0x20));
}

/** The name without its first label. The root is its own parent. */
export const parentOf = (name: Name): Name => name.slice(1 + name.charCodeAt(0)) || ROOT;

/** The first label, without its length octet. */
export const firstLabel = (name: Name): string => name.slice(1, 1 + name.charCodeAt(0));

/** `label` in front of `name`. */
export const child = (label: string, name: Name): Name =>
  String.fromCharCode(label.length) + label + name;

/** The labels from the left, without the root's. */
export function labelsOf(name: Name): string[] {
  const labels: string[] = [];
  for (let at = 0; name.charCodeAt(at) > 0; at += 1 + name.charCodeAt(at)) {
    labels.push(name.slice(at + 1, at + 1 + name.charCodeAt(at)));
  }
  return labels;
}

/** Whether `name` is `zone` or lies below it. Compares at label borders only. */
export function isWithin(name: Name, zone: Name): boolean {
  let at = 0;
  while (name.length - at > zone.length) at += 1 + name.charCodeAt(at);
  return name.length - at === zone.length && name.endsWith(zone);
}

/** Replace the suffix `from` of `name` by `to`; undefined when it lies elsewhere or gets too long. */
export function rebase(name: Name, from: Name, to: Name): Name | undefined {
  if (!isWithin(name, from)) return undefined;
  const rebased = name.slice(0, name.length - from.length) + to;
  return rebased.length <= MAX_NAME_OCTETS ? rebased : undefined;
}

/**
 * Read a name in presentation form (RFC 1035 section 5.1: `\.` and `\DDD` escapes). A trailing
 * dot changes nothing: every name is absolute. Letters keep their case; fold owner names.
 */
export function parseName(text: string): Parsed<string> {
  if (text === ".") return parsed(ROOT);
  if (text === "") return fault("an empty name: expected a domain name");
  let wire = "";
  let label = "";
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === DOT) {
      const closed = closeLabel(label, text);
      if (!closed.ok) return closed;
      wire += closed.value;
      label = "";
      continue;
    }
    const octet = readOctet(text, at);
    if (!octet.ok) return octet;
    label += String.fromCharCode(octet.value.octet);
    at = octet.value.end - 1;
  }
  if (label !== "") {
    const closed = closeLabel(label, text);
    if (!closed.ok) return closed;
    wire += closed.value;
  }
  if (wire.length + 1 > MAX_NAME_OCTETS) {
    return fault(`"${text}" is ${wire.length + 1} octets: a name has at most 255 (RFC 1035 2.3.4)`);
  }
  return parsed(wire + ROOT);
}

function closeLabel(label: string, text: string): Parsed<string> {
  if (label === "") return fault(`"${text}" has an empty label`);
  if (label.length > MAX_LABEL_OCTETS) {
    return fault(`"${text}" has a label of ${label.length} octets: at most 63 (RFC 1035 2.3.4)`);
  }
  return parsed(String.fromCharCode(label.length) + label);
}

/** One octet of presentation text at `at`: a plain ASCII character or an escape. */
function readOctet(text: string, at: number): Parsed<{ octet: number; end: number }> {
  const code = text.charCodeAt(at);
  if (code !== BACKSLASH) {
    if (code <= 0x20 || code >= 0x7f) {
      return fault(`"${text}" has a character that a name needs escaped as \\DDD`);
    }
    return parsed({ octet: code, end: at + 1 });
  }
  return readEscape(text, at);
}

/** The octet of `\DDD` or `\X` at `at`, and where it ends (RFC 1035 section 5.1). */
export function readEscape(text: string, at: number): Parsed<{ octet: number; end: number }> {
  const next = text.charCodeAt(at + 1);
  if (Number.isNaN(next)) return fault(`"${text}" ends in a lone backslash`);
  if (!isDigit(next)) {
    return next < 0x80
      ? parsed({ octet: next, end: at + 2 })
      : fault(`"${text}" escapes a character that is not ASCII: expected \\DDD`);
  }
  const digits = text.slice(at + 1, at + 4);
  if (!/^\d{3}$/.test(digits) || Number(digits) > 255) {
    return fault(`"${text}" has the escape "\\${digits}": expected \\000 to \\255`);
  }
  return parsed({ octet: Number(digits), end: at + 4 });
}

/** A name for people: dots, escapes where needed, and no trailing dot but for the root. */
export function formatName(name: string): string {
  const labels = labelsOf(name);
  return labels.length === 0 ? "." : labels.map(formatLabel).join(".");
}

function formatLabel(label: string): string {
  let text = "";
  for (let at = 0; at < label.length; at++) {
    const octet = label.charCodeAt(at);
    const character = label[at]!;
    if (octet <= 0x20 || octet >= 0x7f) text += `\\${String(octet).padStart(3, "0")}`;
    else text += /[."();@$\\]/.test(character) ? `\\${character}` : character;
  }
  return text;
}

/** The octets of a name, to put into RDATA. */
export function nameOctets(name: string): Uint8Array {
  const octets = new Uint8Array(name.length);
  for (let at = 0; at < name.length; at++) octets[at] = name.charCodeAt(at);
  return octets;
}

/**
 * The uncompressed name at `at` of `octets`, as it stands there, or undefined when there is none.
 * For data that is our own: RDATA in zones.
 */
export function nameAt(octets: Uint8Array, at: number): string | undefined {
  let name = "";
  for (let start = at; ; start += 1 + octets[start]!) {
    const length = octets[start];
    if (length === undefined || length > MAX_LABEL_OCTETS) return undefined;
    const label = octets.subarray(start, start + 1 + length);
    if (label.length <= length || name.length + label.length > MAX_NAME_OCTETS) return undefined;
    for (const octet of label) name += String.fromCharCode(octet);
    if (length === 0) return name;
  }
}

/** A host name's labels: letters, digits and hyphens inside (RFC 952, RFC 1123 section 2.1). */
export function isHostname(name: Name): boolean {
  const labels = labelsOf(name);
  return (
    labels.length > 0 && labels.every((label) => /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/i.test(label))
  );
}
