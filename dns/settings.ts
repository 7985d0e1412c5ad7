import { isIP } from "node:net";

import {
  type Address,
  address,
  addresses,
  integer,
  list,
  oneOf,
  readSettings,
  type Settings,
  type SettingsTable,
  text,
} from "../shared/settings";
import { parseIpv4, parseIpv6 } from "./core/address";
import { SECRET_OCTETS } from "./core/cookies";
import { MAX_IDENTITY_OCTETS } from "./core/identity";
import { formatName } from "./core/names";
import type { Network } from "./core/rate-limit";
import { readZoneName } from "./core/rules";

/** A name server of our zones, and where it is. */
export interface NameServer {
  /** Relative to the platform zone when it has no dot. */
  readonly host: string;
  readonly address: string;
}

function nameServers(value: string): readonly NameServer[] {
  const servers = list(value).map((part) => {
    const [host, at, ...rest] = part.split("=");
    if (!host || !at || isIP(at) === 0 || rest.length > 0) throw new Error(EXPECTED_SERVERS);
    return { host, address: at };
  });
  if (servers.length === 0) throw new Error(EXPECTED_SERVERS);
  return servers;
}

const EXPECTED_SERVERS = "name servers with an address each, such as ns1=192.0.2.1,ns2=192.0.2.2";

function zoneName(value: string): string {
  const name = readZoneName(value);
  if (name.ok && formatName(name.value) === value) return value;
  throw new Error("a host name in lower case without the last dot, such as repl.example");
}

function optionalAddress(value: string): Address | undefined {
  return value === "" ? undefined : address(value);
}

function listenAddresses(value: string): readonly Address[] {
  const found = someAddresses(value);
  if (found.length > 0) return found;
  throw new Error(EXPECTED_ADDRESSES);
}

function someAddresses(value: string): readonly Address[] {
  const found = addresses(value);
  const isWildcard = found.some(({ host }) => host === "0.0.0.0" || /^[0:]+$/.test(host));
  if (!isWildcard) return found;
  // A wildcard socket answers from an address that was not asked.
  throw new Error(EXPECTED_ADDRESSES);
}

const EXPECTED_ADDRESSES =
  "each address to answer on, such as 192.0.2.1:53,[2001:db8::1]:53, no wildcard";

function identity(value: string): string {
  if (/^[\x20-\x7e]*$/.test(value) && value.length <= MAX_IDENTITY_OCTETS) return value;
  throw new Error(`at most ${MAX_IDENTITY_OCTETS} characters of ASCII, such as ns1-east`);
}

/** Two, while one takes the place of the other (RFC 9018 section 5). */
const MAX_SECRETS = 2;

function secrets(value: string): readonly Uint8Array[] {
  const found = list(value);
  const isFine = found.every(
    (secret) => /^[0-9a-f]+$/i.test(secret) && secret.length === HEX_DIGITS,
  );
  if (isFine && found.length <= MAX_SECRETS)
    return found.map((secret) => Buffer.from(secret, "hex"));
  throw new Error(`one or two secrets of ${HEX_DIGITS} hexadecimal digits, the one in use first`);
}

const HEX_DIGITS = 2 * SECRET_OCTETS;

function networks(value: string): readonly Network[] {
  return list(value).map((text) => {
    const [at = "", bits = ""] = text.split("/");
    const octets = parseIpv4(at) ?? parseIpv6(at);
    const max = (octets?.length ?? 0) * 8;
    if (octets && /^\d{1,3}$/.test(bits) && Number(bits) <= max)
      return { octets, bits: Number(bits) };
    throw new Error("networks such as 192.0.2.0/24,2001:db8::/32");
  });
}

/** More than a machine has cores for serves nobody. */
const MAX_WORKERS = 64;
const MAX_RATE = 1_000_000;
const MAX_QUERY_LOG = 1_000_000_000;

export const settings = {
  zone: {
    name: "STELE_ZONE",
    default: "repl.localhost",
    parse: zoneName,
    doc: "The zone under which repls have their names",
  },
  listen: {
    name: "STELE_DNS_LISTEN",
    default: "127.0.0.1:5300",
    parse: listenAddresses,
    doc: "Addresses that the name server answers on, over UDP and TCP, separated by commas",
  },
  udp: {
    name: "STELE_DNS_UDP",
    default: "auto",
    parse: oneOf("auto", "batched", "portable"),
    doc: "How UDP is answered: `batched` with many datagrams a system call, on Linux with the optional package `koffi`; `portable` by Node's own sockets; `auto` for the first that can be done",
  },
  workers: {
    name: "STELE_DNS_WORKERS",
    default: "1",
    parse: integer(1, MAX_WORKERS),
    doc: "Threads that answer UDP in batches, for each address of `STELE_DNS_LISTEN`",
  },
  certificate: {
    name: "STELE_DNS_TLS_CERTIFICATE",
    default: "",
    parse: text,
    doc: "Directory with `cert.pem` and `key.pem` for DNS over TLS and HTTPS, looked at again each minute; without it both are off",
  },
  listenTls: {
    name: "STELE_DNS_TLS_LISTEN",
    default: "",
    parse: someAddresses,
    doc: "Addresses that the name server answers on over TLS, such as 192.0.2.1:853; empty for none",
  },
  listenHttps: {
    name: "STELE_DNS_HTTPS_LISTEN",
    default: "",
    parse: someAddresses,
    doc: "Addresses that the name server answers on over HTTPS, at `/dns-query`; empty for none",
  },
  nameServers: {
    name: "STELE_DNS_NAMESERVERS",
    default: "ns1=127.0.0.1,ns2=127.0.0.1",
    parse: nameServers,
    doc: "Name servers of the zones made here, with their addresses; a name without a dot is in the platform zone. Used when a zone is made",
  },
  validationZone: {
    name: "STELE_DNS_VALIDATION_ZONE",
    default: "",
    parse: (value) => (value === "" ? "" : zoneName(value)),
    doc: "Zone that answers DNS-01 challenges: `_acme-challenge.X.<zone>` becomes a CNAME to `_acme-challenge.X.<validation zone>`; empty for none",
  },
  resolver: {
    name: "STELE_DNS_RESOLVER",
    default: "",
    parse: optionalAddress,
    doc: "Resolver that checks custom domains, such as 192.0.2.53:53; empty for the system's",
  },
  identity: {
    name: "STELE_DNS_IDENTITY",
    default: "",
    parse: identity,
    doc: "What this name server answers to NSID and `id.server`; empty for nothing",
  },
  cookieSecrets: {
    name: "STELE_DNS_COOKIE_SECRETS",
    default: "",
    parse: secrets,
    doc: "Secrets of DNS cookies, the same on all servers of an address: 32 hexadecimal digits each, the one in use first; empty for one of this process",
  },
  rateLimit: {
    name: "STELE_DNS_RATE_LIMIT",
    default: "200",
    parse: integer(0, MAX_RATE),
    doc: "Answers over UDP a second, of one name and response code to one /24 or /56, unless the asker shows a cookie; 0 for no limit",
  },
  rateLimitExempt: {
    name: "STELE_DNS_RATE_LIMIT_EXEMPT",
    default: "127.0.0.0/8,::1/128",
    parse: networks,
    doc: "Networks whose queries are all answered, separated by commas",
  },
  queryLog: {
    name: "STELE_DNS_QUERY_LOG",
    default: "0",
    parse: integer(0, MAX_QUERY_LOG),
    doc: "One query in so many is logged, with the network that asks, not its address; 0 for none",
  },
  metricsListen: {
    name: "STELE_DNS_METRICS_LISTEN",
    default: "",
    parse: optionalAddress,
    doc: "Address that serves `/metrics` of this process to Prometheus, over HTTP and to anybody, such as 10.0.0.1:9153; empty for none",
  },
  sealKey: {
    name: "STELE_DNS_SEAL_KEY",
    default: "",
    parse: text,
    doc: "32 bytes in base64 that seal the secrets of TSIG keys in the database, the same for all instances; empty for those of the file",
  },
  sealKeyFile: {
    name: "STELE_DNS_SEAL_KEY_FILE",
    default: ".stele/dns-seal.key",
    parse: text,
    doc: "Where that key is, unless it is set; made when it is missing and needed",
  },
  snapshotFile: {
    name: "STELE_DNS_SNAPSHOT",
    default: ".stele/dns-snapshot.json",
    parse: text,
    doc: "Copy of everything that is answered, to start from when the database is away",
  },
} as const satisfies SettingsTable;

let read: Settings<typeof settings> | undefined;

/** The settings of this process, read at the first use. */
export function config(): Settings<typeof settings> {
  return (read ??= readSettings(settings));
}
