import { APIError, api } from "encore.dev/api";
import type { MaxLen } from "encore.dev/validate";

import { untilDrained } from "../shared/hosting";
import { changeZone, scopeOf } from "./changes";
import { need, needDone, toAscii } from "./checks";
import { TYPE, typeName } from "./core/codes";
import type { Draft, Records } from "./core/draft";
import { formatName, type Name } from "./core/names";
import { readOwnerName, readRecords, readType, readZoneName } from "./core/rules";
import { instance } from "./instance";
import * as store from "./store";
import { zones, zoneSeed } from "./zones";

/** A zone that this name server answers for. */
export interface Zone {
  name: string;
  /** Rises with every visible change. */
  serial: number;
  /** Names that exist in it, those of repls counted once. */
  names: number;
  /** RRsets that it holds by itself. */
  rrsets: number;
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

/** Make a zone with SOA and NS of our name servers. One that exists stays as it is. */
export const putZone = api(
  { expose: true, auth: true, method: "PUT", path: "/v1/dns/zones/:zone" },
  async ({ zone }: ZoneRequest): Promise<Zone> => {
    const name = formatName(need("make the zone", readZoneName(toAscii(zone))));
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
  const zone = need(what, readZoneName(toAscii(zoneText)));
  const name = need(what, readOwnerName(zone, toAscii(nameText)));
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
    const records = need(what, readRecords(target.type, { ttl, values }));
    await change(what, { ...target, ...records }, records);
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
    await change(what, { ...target, values: [] }, undefined);
  },
);

/** A name that loses its address, or becomes an alias, may be what other records lead to. */
const BREAKS_POINTERS: readonly number[] = [TYPE.A, TYPE.AAAA, TYPE.CNAME, TYPE.ALIAS];

async function change(
  what: string,
  { zone, name, type, values }: Target & { readonly values: readonly string[] },
  records: Records | undefined,
): Promise<void> {
  const scope = scopeOf(zone, [{ name, type, values }], BREAKS_POINTERS.includes(type));
  const edit = (draft: Draft): undefined => draft.set(name, type, records) as undefined;
  needDone(what, await changeZone({ zone, scope, edit }));
}

/** List the records that a zone holds by itself; names of repls follow from where they live. */
export const listRrsets = api(
  { expose: true, auth: true, method: "GET", path: "/v1/dns/zones/:zone/rrsets" },
  async ({ zone }: ZoneRequest): Promise<RrsetList> => {
    const name = formatName(need("list the records", readZoneName(toAscii(zone))));
    if (!(await store.zoneExists(name))) throw APIError.notFound(`No zone "${name}"`);
    return { items: (await store.listRrsets(name)).map(toRrset) };
  },
);

function toRrset({ type, ...row }: store.RrsetRow): Rrset {
  return { ...row, type: typeName(type) };
}

/** Stays pending until this service has drained, so that the process is not ended before. */
export const lifeline = api(
  { expose: false, method: "POST", path: "/v1/internal/dns/lifeline" },
  async (): Promise<void> => untilDrained("dns"),
);
