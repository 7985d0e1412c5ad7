import { APIError, api } from "encore.dev/api";
import type { Max, MaxLen, Min, MinLen } from "encore.dev/validate";

import { untilDrained } from "../shared/hosting";
import { CHALLENGE_LABEL } from "./core/catalog";
import { TYPE, typeName } from "./core/codes";
import {
  firstLabel,
  fold,
  formatName,
  isHostname,
  isWithin,
  labelsOf,
  type Name,
  type Parsed,
  parseName,
} from "./core/names";
import {
  checkRrset,
  faultOfChallengeValue,
  faultOfRemoval,
  readOwnerName,
  readType,
  readZoneName,
} from "./core/rules";
import { replExists, settle, targetOf } from "./domains";
import { instance } from "./instance";
import { formatAddress } from "./protocol";
import { config } from "./settings";
import * as store from "./store";
import * as domainStore from "./store-domain";
import { zones, zoneSeed } from "./zones";

/** A certificate order takes minutes; what is forgotten for an hour is not wanted. */
const CHALLENGE_SECONDS = 3_600;

/** A zone that this name server answers for. */
export interface Zone {
  name: string;
  /** Rises with every visible change. */
  serial: number;
  /** Names that exist in it, those of repls counted once. */
  names: number;
}

interface ZoneList {
  items: Zone[];
}

/** Records of one type at one name. */
export interface Rrset {
  zone: string;
  /** Absolute, without a trailing dot. */
  name: string;
  /** A mnemonic, or `TYPE65`. */
  type: string;
  ttl: number;
  /** In presentation form: `10 mail.example.org`. */
  values: string[];
}

interface RrsetList {
  items: Rrset[];
}

interface ZoneRequest {
  zone: string;
}

interface RrsetRequest {
  zone: string;
  /** Relative to the zone, or absolute; `@` is the zone itself. */
  name: string;
  type: string;
}

interface PutRrsetRequest {
  zone: string;
  /** Relative to the zone, or absolute; `@` is the zone itself. */
  name: string;
  type: string;
  /** Seconds that resolvers may keep it. */
  ttl: number;
  values: string[] & MaxLen<1000>;
}

function need<T>(what: string, read: Parsed<T>): T {
  if (!read.ok) throw APIError.invalidArgument(`Cannot ${what}: ${read.reason}`);
  return read.value;
}

function needRevision(what: string, outcome: store.Refusal | number): number {
  if (typeof outcome === "number") return outcome;
  const message = `Cannot ${what}: ${outcome.reason}`;
  if (outcome.code === "not_found") throw APIError.notFound(message);
  if (outcome.code === "taken") throw APIError.alreadyExists(message);
  throw APIError.invalidArgument(message);
}

const refusal = (reason: string): store.Refusal => ({ code: "invalid", reason });

/** Make a zone with SOA and NS of our name servers. One that exists stays as it is. */
export const putZone = api(
  { expose: true, auth: true, method: "PUT", path: "/v1/dns/zones/:zone" },
  async ({ zone }: ZoneRequest): Promise<Zone> => {
    const name = formatName(need("make the zone", readZoneName(zone)));
    await zones().reach(await store.putZone(zoneSeed(name)));
    return requireZone(name);
  },
);

/** List the zones that are served. */
export const listZones = api(
  { expose: true, auth: true, method: "GET", path: "/v1/dns/zones" },
  async (): Promise<ZoneList> => {
    await zones().refresh();
    return { items: allZones() };
  },
);

function allZones(): Zone[] {
  const { catalog } = instance();
  return catalog.zones.map(({ name, ...zone }) => ({ name: formatName(name), ...zone }));
}

function requireZone(name: string): Zone {
  const zone = allZones().find((candidate) => candidate.name === name);
  if (!zone) throw APIError.notFound(`No zone "${name}"`);
  return zone;
}

interface Target {
  readonly zone: Name;
  readonly name: Name;
  readonly type: number;
  readonly key: store.RrsetKey;
}

function readTarget(
  what: string,
  { zone: zoneText, name: nameText, type: typeText }: RrsetRequest,
) {
  const zone = need(what, readZoneName(zoneText));
  const name = need(what, readOwnerName(zone, nameText));
  const type = need(what, readType(typeText));
  const key = { zone: formatName(zone), name: formatName(name), type };
  return { zone, name, type, key } satisfies Target;
}

/** Put the records of one type at a name, in place of those there. Answered when this returns. */
export const putRrset = api(
  { expose: true, auth: true, method: "PUT", path: "/v1/dns/zones/:zone/rrsets/:name/:type" },
  async ({ zone, name, type, ttl, values }: PutRrsetRequest): Promise<Rrset> => {
    const what = `put ${type} at "${name}"`;
    const target = readTarget(what, { zone, name, type });
    const outcome = await store.changeRrset(target.key, ({ types, hasChallenge }) => {
      const candidate = { ...target, ttl, values };
      const neighbours = { types, hasChallenge, isDerived: isDerived(target.name), isAlias };
      const checked = checkRrset(candidate, neighbours);
      return checked.ok ? { ttl, values: checked.value } : refusal(checked.reason);
    });
    await zones().reach(needRevision(what, outcome));
    const row = await store.findRrset(target.key);
    if (!row) throw APIError.aborted(`Cannot ${what}: someone else has deleted it meanwhile`);
    return toRrset(row);
  },
);

/** Take the records of one type away from a name. Answered when this returns; none is no error. */
export const deleteRrset = api(
  { expose: true, auth: true, method: "DELETE", path: "/v1/dns/zones/:zone/rrsets/:name/:type" },
  async ({ zone, name, type }: RrsetRequest): Promise<void> => {
    const what = `delete ${type} at "${name}"`;
    const target = readTarget(what, { zone, name, type });
    const fault = faultOfRemoval(target);
    const outcome = await store.changeRrset(target.key, () => {
      return fault === undefined ? { ttl: 0, values: [] } : refusal(fault);
    });
    await zones().reach(needRevision(what, outcome));
  },
);

/** List the records that a zone holds by itself; names of repls follow from where they live. */
export const listRrsets = api(
  { expose: true, auth: true, method: "GET", path: "/v1/dns/zones/:zone/rrsets" },
  async ({ zone }: ZoneRequest): Promise<RrsetList> => {
    const name = formatName(need("list the records", readZoneName(zone)));
    if (!(await store.zoneExists(name))) throw APIError.notFound(`No zone "${name}"`);
    return { items: (await store.listRrsets(name)).map(toRrset) };
  },
);

function toRrset({ type, ...row }: store.RrsetRow): Rrset {
  return { ...row, type: typeName(type) };
}

/** Whether a name is a repl's, whatever the zone holds beside it. */
function isDerived(name: Name): boolean {
  const platform = readZoneName(config().zone);
  if (!platform.ok || !isWithin(name, platform.value)) return false;
  return instance().catalog.platform.node(name, platform.value) !== undefined;
}

function isAlias(name: Name): boolean {
  return instance().catalog.zoneOf(name)?.node(name)?.has(TYPE.CNAME) ?? false;
}

interface PutChallengeRequest {
  /** `_acme-challenge.…`, in a zone of ours. */
  name: string;
  /** The TXT value that the certificate authority looks for. */
  value: string;
  /** How long it stays, in seconds; an hour when absent. */
  ttlSeconds?: number & (Min<1> & Max<86400>);
}

interface DeleteChallengeRequest {
  name: string;
  value: string;
}

/** Add a DNS-01 value beside the others of its name. Answered when this returns. */
export const putChallenge = api(
  { expose: true, auth: true, method: "POST", path: "/v1/dns/challenges" },
  async ({ name, value, ttlSeconds }: PutChallengeRequest): Promise<void> => {
    const what = `put a challenge at "${name}"`;
    const at = await challengePlace(what, name);
    const fault = faultOfChallengeValue(value);
    if (fault !== undefined) throw APIError.invalidArgument(`Cannot ${what}: ${fault}`);
    const outcome = await store.putChallenge({ ...at, value }, ttlSeconds ?? CHALLENGE_SECONDS);
    await zones().reach(needRevision(what, outcome));
  },
);

/** Take a DNS-01 value away; one that is not there is no error. */
export const deleteChallenge = api(
  { expose: true, auth: true, method: "DELETE", path: "/v1/dns/challenges" },
  async ({ name, value }: DeleteChallengeRequest): Promise<void> => {
    const at = await challengePlace(`delete a challenge at "${name}"`, name);
    await zones().reach(await store.deleteChallenge(at.name, value));
  },
);

async function challengePlace(what: string, text: string): Promise<{ zone: string; name: string }> {
  const name = fold(need(what, parseName(text)));
  if (firstLabel(name) !== CHALLENGE_LABEL) {
    throw APIError.invalidArgument(
      `Cannot ${what}: the name must begin with "${CHALLENGE_LABEL}" (RFC 8555 8.4)`,
    );
  }
  const { catalog } = instance();
  // Another process may have made the zone a moment ago.
  if (!catalog.zoneOf(name)) await zones().refresh();
  const zone = catalog.zoneOf(name);
  if (!zone) throw APIError.invalidArgument(`Cannot ${what}: it lies in no zone of ours`);
  return { zone: formatName(zone.origin), name: formatName(name) };
}

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
    if (!(await domainStore.addDomain(name, replId))) {
      throw APIError.alreadyExists(`Cannot add the domain "${name}": another repl has it`);
    }
    return requireDomain(name);
  },
);

/** List domains. */
export const listDomains = api(
  { expose: true, auth: true, method: "GET", path: "/v1/domains" },
  async ({ replId }: ListDomainsRequest): Promise<DomainList> => {
    return { items: (await domainStore.listDomains(replId ?? "")).map(toDomain) };
  },
);

/** Take a domain away from its repl. */
export const removeDomain = api(
  { expose: true, auth: true, method: "DELETE", path: "/v1/domains/:hostname" },
  async ({ hostname }: DomainRequest): Promise<void> => {
    const name = readHostname("remove the domain", hostname);
    if (!(await domainStore.removeDomain(name))) throw APIError.notFound(`No domain "${name}"`);
    const domain = await domainStore.findDomain(name);
    if (domain) await settle(domain);
  },
);

/** Check a domain now instead of at its next turn. What is wrong is in `reason`. */
export const verifyDomain = api(
  { expose: true, auth: true, method: "POST", path: "/v1/domains/:hostname/verify" },
  async ({ hostname }: DomainRequest): Promise<Domain> => {
    const name = readHostname("verify the domain", hostname);
    const domain = await domainStore.findDomain(name);
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
  const domain = await domainStore.findDomain(hostname);
  if (!domain || domain.status === "removing") throw APIError.notFound(`No domain "${hostname}"`);
  return toDomain(domain);
}

function toDomain({ hostname, replId, status, reason, createdAt }: domainStore.DomainRow): Domain {
  return {
    hostname,
    replId,
    target: targetOf(replId),
    status: status === "pending" ? "pending" : "verified",
    reason,
    createdAt: createdAt.toISOString(),
  };
}

interface InstancesRequest {
  /** Answer when this sequence of the placement log is answered everywhere. */
  seq?: number & Min<0>;
  /** How long to wait for it. */
  waitMs?: number & (Min<0> & Max<30000>);
}

/** How often a response code was given. */
export interface RcodeCount {
  rcode: number;
  count: number;
}

/** One process that answers. */
export interface DnsInstance {
  instanceId: string;
  /** Sequence of the placement log that its answers show. */
  seq: number;
  /** `127.0.0.1:5300`, over UDP and TCP. */
  listening: string[];
  /** Serial of the platform zone. */
  serial: number;
  queries: number;
  udpQueries: number;
  tcpQueries: number;
  tcpConnections: number;
  /** Connections that were refused at a limit. */
  tcpRefused: number;
  dropped: number;
  truncated: number;
  rcodes: RcodeCount[];
  /** Workers that died in a row. */
  deaths: number;
}

interface InstanceList {
  items: DnsInstance[];
}

/** What the answering processes know and do. */
export const instances = api(
  { expose: true, auth: true, method: "GET", path: "/v1/dns/instances" },
  async ({ seq, waitMs }: InstancesRequest): Promise<InstanceList> => {
    await instance().waitFor(seq ?? 0, waitMs ?? 0);
    return { items: [thisInstance()] };
  },
);

function thisInstance(): DnsInstance {
  const { id, answerer, answeredSeq } = instance();
  const { rcodes, ...counters } = answerer.counters;
  return {
    instanceId: id,
    seq: answeredSeq,
    listening: answerer.listening.map(formatAddress),
    serial: allZones().find(({ name }) => name === config().zone)?.serial ?? 0,
    queries: counters.udpQueries + counters.tcpQueries,
    ...counters,
    rcodes: Object.entries(rcodes).map(([rcode, count]) => ({ rcode: Number(rcode), count })),
    deaths: answerer.deaths,
  };
}

/** Stays pending until this service has drained, so that the process is not ended before. */
export const lifeline = api(
  { expose: false, method: "POST", path: "/v1/internal/dns/lifeline" },
  async (): Promise<void> => untilDrained("dns"),
);
