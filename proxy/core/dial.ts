/** Where a proxy may connect to: addresses of containers and peers, never a name (research: SSRF). */

const V4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;

/** An IP literal that a container or a peer can have: not link-local, metadata, multicast or "any". */
export function mayDial(host: string, port: number): boolean {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return false;
  const match = V4.exec(host);
  if (match !== null) return mayDialV4(match.slice(1).map(Number));
  const lower = host.toLowerCase();
  if (!/^[0-9a-f:]{2,39}$/.test(lower) || !lower.includes(":")) return false;
  return lower !== "::" && !/^(?:fe[89ab]|ff)/.test(lower) && lower !== "fd00:ec2::254";
}

function mayDialV4(bytes: readonly number[]): boolean {
  const [first = 0, second = 0] = bytes;
  if (bytes.some((byte) => byte > 255)) return false;
  return first > 0 && first < 224 && !(first === 169 && second === 254);
}
