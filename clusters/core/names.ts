/**
 * What may be the id, name or address of something. Each check answers with the fault, as a
 * sentence for the caller, or undefined when there is none.
 */

const CLUSTER_ID = /^[a-z][a-z0-9-]{0,30}$/;
/** A DNS label of at most 32 characters (RFC 1123 section 2.1), so that `name--owner` fits into one. */
const LABEL = /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/;
const HOST_LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?$/;
const API_URL = /^https?:\/\/[a-z0-9.-]+(:\d{1,5})?$|^https?:\/\/\[[0-9a-f:.]+\](:\d{1,5})?$/i;
const PUBLIC_KEY = /^[A-Za-z0-9_-]{43}$/;
/** A DNS label may be that long (RFC 1035 section 2.3.4). */
const MAX_LABEL = 63;
/** A name in text form, without the dot of the root (RFC 1035 section 2.3.4). */
const MAX_HOSTNAME = 253;
const MAX_PORT = 65_535;

export type Fault = string | undefined;

export function checkClusterId(id: string): Fault {
  if (CLUSTER_ID.test(id)) return undefined;
  return (
    `Cannot name a cluster "${id}": ` +
    "expected a lower-case letter, then up to 30 lower-case letters, digits or hyphens"
  );
}

/** The owner `id` is reserved: `<repl id>.id.<zone>` is every repl's second name. */
export function checkReplName(name: string, owner: string): Fault {
  return checkLabel("name", name) ?? checkLabel("owner", owner) ?? checkPair(name, owner);
}

function checkLabel(what: "name" | "owner", label: string): Fault {
  if (!LABEL.test(label)) {
    return (
      `Cannot use "${label}" as the ${what} of a repl: expected 1 to 32 lower-case letters, ` +
      "digits or hyphens, with no hyphen at either end"
    );
  }
  if (label.includes("--")) {
    return `Cannot use "${label}" as the ${what} of a repl: "--" stands between name and owner`;
  }
  return undefined;
}

function checkPair(name: string, owner: string): Fault {
  if (owner === "id") return `Cannot use "id" as an owner: names below "id" are repl ids`;
  const joined = `${name}--${owner}`.length;
  if (joined <= MAX_LABEL) return undefined;
  return (
    `Cannot name a repl "${name}" of "${owner}": "${name}--${owner}" has ${joined} characters, ` +
    `a DNS label has at most ${MAX_LABEL}`
  );
}

/** A custom hostname: at least two labels, lower case, no dot at the end. */
export function checkHostname(hostname: string): Fault {
  const labels = hostname.split(".");
  const fits = hostname.length <= MAX_HOSTNAME && labels.length >= 2;
  if (fits && labels.every((label) => HOST_LABEL.test(label))) return undefined;
  return `Cannot use "${hostname}" as a hostname: expected a name such as "www.example.com", in lower case`;
}

export function checkAddress(address: string): Fault {
  if (isIpv4(address) || isIpv6(address)) return undefined;
  return `Cannot use "${address}" as an address: expected IPv4 or IPv6, such as 192.0.2.1 or 2001:db8::1`;
}

export function checkPort(port: number): Fault {
  if (Number.isInteger(port) && port >= 1 && port <= MAX_PORT) return undefined;
  return `Cannot use ${port} as a port: expected 1 to ${MAX_PORT}`;
}

/** `127.0.1.1:8080` or `[::1]:8080`. */
export function checkListen(listen: string): Fault {
  const match = /^(?:\[([^\]]+)\]|([0-9.]+)):(\d{1,5})$/.exec(listen);
  const [, ipv6 = "", ipv4 = "", port = ""] = match ?? [];
  const host = ipv6 === "" ? isIpv4(ipv4) : isIpv6(ipv6);
  if (host && checkPort(Number(port)) === undefined) return undefined;
  return `Cannot listen on "${listen}": expected address and port, such as 127.0.1.1:8080 or [::1]:8080`;
}

export function checkApiUrl(url: string): Fault {
  if (API_URL.test(url)) return undefined;
  return `Cannot use "${url}" as an API URL: expected http(s)://host[:port], without a path`;
}

/** An Ed25519 public key: 32 bytes as base64url. */
export function checkPublicKey(key: string): Fault {
  if (PUBLIC_KEY.test(key)) return undefined;
  return `Cannot use "${key}" as a public key: expected 43 characters of base64url (Ed25519)`;
}

function isIpv4(text: string): boolean {
  const parts = text.split(".");
  return (
    parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && +part < 256)
  );
}

/** RFC 4291 section 2.2: eight groups, one run of zeros as `::`, the last two groups also as IPv4. */
function isIpv6(text: string): boolean {
  const halves = text.split("::");
  if (halves.length > 2) return false;
  const groups = halves.map((half) => (half === "" ? [] : half.split(":")));
  const count = groups.flat().length;
  const last = groups.at(-1)?.at(-1) ?? "";
  const width = last.includes(".") ? count + 1 : count;
  const compressed = halves.length === 2;
  const sized = compressed ? width <= 7 : width === 8;
  const ipv4At = text.endsWith("::") ? -1 : count - 1;
  return sized && groups.flat().every((group, index) => isGroup(group, index === ipv4At));
}

function isGroup(group: string, mayBeIpv4: boolean): boolean {
  return /^[0-9a-f]{1,4}$/i.test(group) || (mayBeIpv4 && isIpv4(group));
}
