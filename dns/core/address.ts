/** IP addresses as text and octets (RFC 1035, RFC 4291 section 2.2, RFC 5952). */

export function parseIpv4(text: string): Uint8Array | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (!match) return undefined;
  const octets = match.slice(1).map(Number);
  // A leading zero reads as octal elsewhere, so it is no address here.
  const isPlain = match.slice(1).every((part) => part === "0" || !part.startsWith("0"));
  return isPlain && octets.every((octet) => octet <= 255) ? Uint8Array.from(octets) : undefined;
}

export function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1]!, true) : [];
  if (!head || !tail) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...Array.from({ length: missing }, () => 0), ...tail];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

/** Groups of 16 bits between colons; only the last may be a dotted IPv4 address. */
function parseGroups(text: string, isLast: boolean): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    const ipv4 = isLast && index === parts.length - 1 ? parseIpv4(part) : undefined;
    if (ipv4) {
      groups.push((ipv4[0]! << 8) | ipv4[1]!, (ipv4[2]! << 8) | ipv4[3]!);
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else {
      return undefined;
    }
  }
  return groups;
}

/** Octets of an address that is one, fast: senders' addresses come as text with each datagram. */
export function addressOctets(text: string): Uint8Array {
  if (text.includes(":")) return parseIpv6(text.split("%", 1)[0]!) ?? new Uint8Array(16);
  const octets = new Uint8Array(4);
  let index = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x2e) index++;
    else octets[index & 3] = octets[index & 3]! * 10 + code - 0x30;
  }
  return octets;
}

export const addressText = (octets: Uint8Array): string =>
  octets.length === 4 ? formatIpv4(octets) : formatIpv6(octets);

export const formatIpv4 = (octets: Uint8Array): string => octets.join(".");

/** The canonical text: lower case, the longest run of two or more zero groups as `::`. */
export function formatIpv6(octets: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => (octets[2 * i]! << 8) | octets[2 * i + 1]!);
  const run = longestZeroRun(groups);
  const hex = (part: readonly number[]): string =>
    part.map((group) => group.toString(16)).join(":");
  if (run.length < 2) return hex(groups);
  return `${hex(groups.slice(0, run.start))}::${hex(groups.slice(run.start + run.length))}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (const [index, group] of groups.entries()) {
    if (group !== 0) start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  }
  return best;
}

/** What addresses of one asker share: a /24, or a /56 of IPv6; the text itself where it is none. */
export function networkOf(text: string): string {
  if (!text.includes(":")) return text.slice(0, text.lastIndexOf("."));
  return parseIpv6(text)?.subarray(0, 7).join(".") ?? text;
}
