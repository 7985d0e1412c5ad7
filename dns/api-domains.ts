/** Custom domains of repls. */
import { domainToASCII } from "node:url";

import { APIError, api } from "encore.dev/api";
import type { MaxLen, MinLen } from "encore.dev/validate";

import { isDerived, need } from "./checks";
import { proofNameOf, proofOf } from "./core/domain";
import { fold, formatName, isHostname, labelsOf, parseName } from "./core/names";
import { ourAddresses, ownerOf, settle, targetOf } from "./domains";
import { instance } from "./instance";
import { config } from "./settings";
import * as store from "./store-domain";
import { zones } from "./zones";

/** A hostname of a user's own that leads to a repl. */
export interface Domain {
  hostname: string;
  replId: string;
  /** What the hostname must be a CNAME to, or an ALIAS in a zone of ours. */
  target: string;
  /** The zone of ours that it lies in; null when it is kept elsewhere. */
  zone: string | null;
  /** `verified`: it is proven, but leads elsewhere; `active`: it is served; `lapsed`: it was. */
  status: "pending" | "verified" | "active" | "lapsed";
  /** Where a TXT record proves it when no CNAME can stand at the hostname. */
  proofName: string;
  /** What that record says. */
  proof: string;
  /** Addresses that the hostname may have instead of the CNAME. */
  addresses: string[];
  /** What the last look has found wrong; null when nothing. */
  reason: string | null;
  /** ISO 8601. */
  createdAt: string;
}

interface DomainList {
  items: Domain[];
}

interface AddDomainRequest {
  hostname: string & (MinLen<1> & MaxLen<253>);
  replId: string;
}

interface DomainRequest {
  hostname: string;
}

interface ListDomainsRequest {
  /** Only the domains of this repl. */
  replId?: string;
}

/** Register a domain for a repl; it answers what to make it a CNAME to. */
export const addDomain = api(
  { expose: true, auth: true, method: "POST", path: "/v1/domains" },
  async ({ hostname, replId }: AddDomainRequest): Promise<Domain> => {
    const name = readHostname(`add the domain "${hostname}"`, hostname);
    const owner = await ownerOf(replId);
    if (owner === undefined) throw APIError.notFound(`No repl "${replId}"`);
    if (!(await store.addDomain({ hostname: name, replId, owner }))) {
      throw APIError.alreadyExists(`Cannot add the domain "${name}": ${await whyTaken(name)}`);
    }
    return requireDomain(name);
  },
);

async function whyTaken(hostname: string): Promise<string> {
  const known = await store.findDomain(hostname);
  if (!known?.removedAt) return "another repl has it";
  return `it was another owner's until ${known.removedAt.toISOString()}, and is kept for three days`;
}

/** List domains. */
export const listDomains = api(
  { expose: true, auth: true, method: "GET", path: "/v1/domains" },
  async ({ replId }: ListDomainsRequest): Promise<DomainList> => {
    return { items: (await store.listDomains(replId ?? "")).map(toDomain) };
  },
);

/** Take a domain away from its repl. */
export const removeDomain = api(
  { expose: true, auth: true, method: "DELETE", path: "/v1/domains/:hostname" },
  async ({ hostname }: DomainRequest): Promise<void> => {
    const name = readHostname("remove the domain", hostname);
    if (!(await store.removeDomain(name))) throw APIError.notFound(`No domain "${name}"`);
    const domain = await store.findDomain(name);
    if (domain) await settle(domain);
  },
);

/** Check a domain now instead of at its next turn. What is wrong is in `reason`. */
export const verifyDomain = api(
  { expose: true, auth: true, method: "POST", path: "/v1/domains/:hostname/verify" },
  async ({ hostname }: DomainRequest): Promise<Domain> => {
    const name = readHostname("verify the domain", hostname);
    const domain = await store.findDomain(name);
    if (!domain || isEnding(domain)) throw APIError.notFound(`No domain "${name}"`);
    await zones().refresh();
    await settle(domain);
    return requireDomain(name);
  },
);

function readHostname(what: string, text: string): string {
  // What people write in their own letters is an A-label on the wire (RFC 5891, UTS 46).
  const ascii = domainToASCII(text);
  if (ascii === "")
    throw APIError.invalidArgument(`Cannot ${what}: "${text}" is no domain name (UTS 46)`);
  const name = fold(need(what, parseName(ascii)));
  if (!isHostname(name) || labelsOf(name).length < 2) {
    throw APIError.invalidArgument(
      `Cannot ${what}: "${text}" is no host name of two labels or more (RFC 1123 2.1)`,
    );
  }
  if (formatName(name) === config().zone || isDerived(name)) {
    throw APIError.invalidArgument(`Cannot ${what}: "${text}" is the platform's own`);
  }
  return formatName(name);
}

async function requireDomain(hostname: string): Promise<Domain> {
  const domain = await store.findDomain(hostname);
  if (!domain || isEnding(domain)) throw APIError.notFound(`No domain "${hostname}"`);
  return toDomain(domain);
}

const isEnding = ({ status }: store.DomainRow): boolean =>
  status === "removing" || status === "removed";

function zoneOf(hostname: string): string | null {
  const name = parseName(hostname);
  const zone = name.ok ? instance().catalog.zoneOf(fold(name.value)) : undefined;
  return zone ? formatName(zone.origin) : null;
}

function toDomain({ hostname, replId, token, reason, createdAt, ...row }: store.DomainRow): Domain {
  return {
    hostname,
    replId,
    target: targetOf(replId),
    zone: zoneOf(hostname),
    status: row.status === "removing" || row.status === "removed" ? "pending" : row.status,
    proofName: proofNameOf(hostname),
    proof: proofOf(token),
    addresses: [...ourAddresses()],
    reason,
    createdAt: createdAt.toISOString(),
  };
}
