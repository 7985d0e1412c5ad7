import { isIP } from "node:net";

import {
  type Address,
  address,
  addresses,
  list,
  readSettings,
  type Settings,
  type SettingsTable,
  text,
} from "../shared/settings";
import { formatName } from "./core/names";
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
  const found = addresses(value);
  const isWildcard = found.some(({ host }) => host === "0.0.0.0" || /^[0:]+$/.test(host));
  if (found.length > 0 && !isWildcard) return found;
  // A wildcard socket answers from an address that was not asked.
  throw new Error("each address to answer on, such as 192.0.2.1:53,[2001:db8::1]:53, no wildcard");
}

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
