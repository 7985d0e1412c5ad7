/** Custom domains: proven by a CNAME to `<repl id>.id.<zone>`, then handed to the proxies. */
import { Resolver } from "node:dns/promises";
import { isIPv6 } from "node:net";

import { APIError, ErrCode } from "encore.dev/api";
import { clusters } from "~encore/clients";

import { outbound } from "../shared/outbound";
import { answer } from "./core/answer";
import { CLASS, TYPE } from "./core/codes";
import { formatName, fold, nameAt, parseName } from "./core/names";
import { instance } from "./instance";
import { config } from "./settings";
import * as store from "./store-domain";

const RESOLVE_TIMEOUT_MS = 2_000;
const CLUSTERS_TIMEOUT_MS = 2_000;

/** Made at the first use, since its settings are read then. */
let resolver: Resolver | undefined;

const toClusters = outbound("clusters", { timeoutMs: CLUSTERS_TIMEOUT_MS });

/** What a custom domain of a repl must be an alias of. */
export const targetOf = (replId: string): string => `${replId}.id.${config().zone}`;

function ownResolver(): Resolver {
  if (resolver) return resolver;
  resolver = new Resolver({ timeout: RESOLVE_TIMEOUT_MS, tries: 1 });
  const at = config().resolver;
  if (at) resolver.setServers([`${isIPv6(at.host) ? `[${at.host}]` : at.host}:${at.port}`]);
  return resolver;
}

/** The aliases of a name, from our own zones when it lies there, else by the resolver. */
async function aliasesOf(hostname: string): Promise<string[]> {
  const name = parseName(hostname);
  const { catalog } = instance();
  if (!name.ok || !catalog.zoneOf(fold(name.value))) return ownResolver().resolveCname(hostname);
  const question = { name: fold(name.value), type: TYPE.CNAME, class: CLASS.IN };
  return answer(catalog, question)
    .answers.filter(({ owner, rrset }) => owner === question.name && rrset.type === TYPE.CNAME)
    .map(({ rrset }) => formatName(fold(nameAt(rrset.rdatas[0]!, 0) ?? "\0")));
}

/** Null when the domain is an alias of its target, or why it cannot be taken for that. */
async function whyUnproven({ hostname, replId }: store.DomainRow): Promise<string | null> {
  const target = targetOf(replId);
  try {
    const aliases = await aliasesOf(hostname);
    if (aliases.some((alias) => alias.toLowerCase() === target)) return null;
    const found = aliases.length > 0 ? `a CNAME to "${aliases.join('", "')}"` : "no CNAME";
    return `"${hostname}" has ${found}: expected a CNAME to "${target}"`;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    return `Cannot look up the CNAME of "${hostname}" (${code}): expected "${target}"`;
  }
}

/**
 * Bring a domain one step on: check what is pending, tell `clusters` of what is verified or shall
 * go. Repeating it does no harm. A failure is kept with the domain, and the next check set.
 */
export async function settle(domain: store.DomainRow): Promise<void> {
  const { hostname } = domain;
  if (domain.status === "pending") {
    const reason = await whyUnproven(domain);
    if (reason !== null) return store.markFailed(hostname, reason);
    await store.markVerified(hostname);
  }
  const present = domain.status !== "removing";
  try {
    await toClusters(() => clusters.setHostname({ hostname, replId: domain.replId, present }));
  } catch (error) {
    const isGone = error instanceof APIError && error.code === ErrCode.NotFound;
    if (present || !isGone) return store.markFailed(hostname, (error as Error).message);
  }
  await store.markAnnounced({ ...domain, status: present ? "verified" : "removing" });
}

/** Whether a repl exists: from memory, or asked when it may be too new for that. */
export async function replExists(replId: string): Promise<boolean> {
  if (instance().catalog.platform.repl(replId)) return true;
  const { found } = await toClusters(() => clusters.lookup({ replId }));
  return found;
}
