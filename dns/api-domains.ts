/** Custom domains of repls. */
import { APIError, api } from "encore.dev/api";
import type { MaxLen, MinLen } from "encore.dev/validate";

import { isDerived, need } from "./checks";
import { fold, formatName, isHostname, labelsOf, parseName } from "./core/names";
import { replExists, settle, targetOf } from "./domains";
import { config } from "./settings";
import * as store from "./store-domain";
import { zones } from "./zones";

/** A hostname of a user's own that leads to a repl. */
export interface Domain {
  hostname: string;
  replId: string;
  /** What the hostname must be a CNAME to. */
  target: string;
  status: "pending" | "verified";
  /** Why the last check failed; null when none did. */
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
    if (!(await replExists(replId))) throw APIError.notFound(`No repl "${replId}"`);
    if (!(await store.addDomain(name, replId))) {
      throw APIError.alreadyExists(`Cannot add the domain "${name}": another repl has it`);
    }
    return requireDomain(name);
  },
);

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
    if (!domain || domain.status === "removing") throw APIError.notFound(`No domain "${name}"`);
    await zones().refresh();
    await settle(domain);
    return requireDomain(name);
  },
);

function readHostname(what: string, text: string): string {
  const name = fold(need(what, parseName(text)));
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
  if (!domain || domain.status === "removing") throw APIError.notFound(`No domain "${hostname}"`);
  return toDomain(domain);
}

function toDomain({ hostname, replId, status, reason, createdAt }: store.DomainRow): Domain {
  return {
    hostname,
    replId,
    target: targetOf(replId),
    status: status === "pending" ? "pending" : "verified",
    reason,
    createdAt: createdAt.toISOString(),
  };
}
