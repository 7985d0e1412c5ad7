/** Custom domains: looked up, and handed to the proxies while they lead here. */
import { Resolver } from "node:dns/promises";
import { isIPv6 } from "node:net";

import { APIError, ErrCode } from "encore.dev/api";
import { clusters } from "~encore/clients";

import { outbound } from "../shared/outbound";
import { answer } from "./core/answer";
import { CLASS, TYPE } from "./core/codes";
import { afterLook, type DomainStatus, type Evidence, proofNameOf, proofOf } from "./core/domain";
import { fold, formatName, parseName } from "./core/names";
import { formatRdata } from "./core/rdata";
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

type LookedUp = "CNAME" | "TXT" | "A" | "AAAA";

/** The values of a name, from our own zones when it lies there, else by the resolver; null: unknown. */
async function lookUp(text: string, type: LookedUp): Promise<string[] | null> {
  const name = parseName(text);
  if (!name.ok) return [];
  const { catalog } = instance();
  const asked = { name: fold(name.value), type: TYPE[type], class: CLASS.IN };
  if (!catalog.zoneOf(asked.name)) return resolve(text, type);
  const alias = type === "CNAME" ? catalog.aliasOf(asked.name) : undefined;
  if (alias !== undefined) return [formatName(alias)];
  return answer(catalog, asked)
    .answers.filter(({ rrset }) => rrset.type === asked.type)
    .flatMap(({ rrset }) => rrset.rdatas.map((rdata) => textOf(type, rdata)));
}

function textOf(type: LookedUp, rdata: Uint8Array): string {
  const text = formatRdata(TYPE[type], rdata);
  return type === "TXT" ? text.replace(/^"|"$/g, "").replaceAll('" "', "") : text.toLowerCase();
}

/** Names without such records have none; whoever cannot be asked says nothing. */
const NONE_CODES = ["ENODATA", "ENOTFOUND"];

async function resolve(name: string, type: LookedUp): Promise<string[] | null> {
  try {
    const found = (await ownResolver().resolve(name, type)) as (string | string[])[];
    return found.map((value) => (typeof value === "string" ? value : value.join("")));
  } catch (error) {
    return NONE_CODES.includes((error as NodeJS.ErrnoException).code ?? "") ? [] : null;
  }
}

async function evidenceOf(hostname: string): Promise<Evidence> {
  const [aliases, proofs, ipv4, ipv6] = await Promise.all([
    lookUp(hostname, "CNAME"),
    lookUp(proofNameOf(hostname), "TXT"),
    lookUp(hostname, "A"),
    lookUp(hostname, "AAAA"),
  ]);
  return { aliases, proofs, addresses: ipv4 && ipv6 && [...ipv4, ...ipv6] };
}

/** Addresses at which the platform serves, for names at which no CNAME can stand. */
export const ourAddresses = (): readonly string[] => instance().catalog.platform.addresses();

async function look(domain: store.DomainRow, status: DomainStatus): Promise<DomainStatus> {
  const { hostname, replId, token, failingSince } = domain;
  const expected = {
    hostname,
    target: targetOf(replId),
    proof: proofOf(token),
    addresses: ourAddresses(),
  };
  const state = { status, failingSinceMs: failingSince?.getTime() ?? null };
  const after = afterLook(state, await evidenceOf(hostname), expected, Date.now());
  await store.markLooked({
    hostname,
    from: status,
    status: after.status,
    failingSince: after.failingSinceMs === null ? null : new Date(after.failingSinceMs),
    reason: after.reason,
  });
  return after.status;
}

/**
 * Bring a domain one step on: look whether it leads here, tell `clusters` of what has changed.
 * Repeating it does no harm. A failure is kept with the domain, and the next look set.
 */
export async function settle(domain: store.DomainRow): Promise<void> {
  const { hostname, status, announced } = domain;
  if (status === "removed") return;
  const present = status !== "removing" && (await look(domain, status)) === "active";
  if (present === announced && status !== "removing") return;
  try {
    await toClusters(() => clusters.setHostname({ hostname, replId: domain.replId, present }));
  } catch (error) {
    const isGone = error instanceof APIError && error.code === ErrCode.NotFound;
    if (present || !isGone) return store.markUntold(hostname, (error as Error).message);
  }
  await store.markTold(hostname, present);
}

/** The owner of a repl, from memory, or asked when it may be too new for that; undefined: no repl. */
export async function ownerOf(replId: string): Promise<string | undefined> {
  const known = instance().catalog.platform.repl(replId);
  if (known) return known.owner;
  const { found, owner } = await toClusters(() => clusters.lookup({ replId }));
  return found ? owner : undefined;
}
