/** Octets as base64 text (RFC 4648 section 4), with its padding. */
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** The octets, or undefined for what is not exactly how they are written. */
export function parseBase64(text: string): Uint8Array | undefined {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) return undefined;
  const octets: number[] = [];
  let bits = 0;
  let count = 0;
  for (const letter of text.replace(/=+$/, "")) {
    bits = ((bits << 6) | LETTERS.indexOf(letter)) & 0xffff;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    octets.push((bits >> count) & 0xff);
  }
  const parsed = Uint8Array.from(octets);
  return formatBase64(parsed) === text ? parsed : undefined;
}

export function formatBase64(octets: Uint8Array): string {
  let text = "";
  for (let at = 0; at < octets.length; at += 3) {
    const [one = 0, two = 0, three = 0] = octets.subarray(at, at + 3);
    const bits = (one << 16) | (two << 8) | three;
    for (const shift of [18, 12, 6, 0]) text += LETTERS[(bits >> shift) & 63];
  }
  const missing = (3 - (octets.length % 3)) % 3;
  return text.slice(0, text.length - missing) + "=".repeat(missing);
}
