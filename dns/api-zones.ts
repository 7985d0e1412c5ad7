/** The end of a zone. */
import { api } from "encore.dev/api";

import { refusal } from "./changes";
import { need, needDone, toAscii } from "./checks";
import { TYPE, typeName } from "./core/codes";
import { targetsOf } from "./core/draft";
import { fold, formatName, isWithin, type Name, parseName } from "./core/names";
import { readZoneName } from "./core/rules";
import { instance } from "./instance";
import { config } from "./settings";
import type { Refusal } from "./store";
import * as store from "./store-zones";
import { nameServerHosts, zones } from "./zones";

interface ZoneRequest {
  zone: string;
}

/**
 * Delete a zone with its records, DNS-01 values and secondaries. No instance answers it when this
 * returns; a zone of that name that is made later has a later serial.
 */
export const deleteZone = api(
  { expose: true, auth: true, method: "DELETE", path: "/v1/dns/zones/:zone" },
  async ({ zone: text }: ZoneRequest): Promise<void> => {
    const what = `delete the zone "${text}"`;
    const zone = need(what, readZoneName(toAscii(text)));
    const judge = (pointers: readonly store.PointerRow[]): Refusal | undefined => {
      const fault =
        faultOfUse(zone) ?? pointers.map((row) => faultOfPointer(zone, row)).find(isFault);
      return fault === undefined ? undefined : refusal(fault);
    };
    const outcome = await store.deleteZone(formatName(zone), judge);
    await zones().reach(needDone(what, outcome));
  },
);

const isFault = (fault: string | undefined): boolean => fault !== undefined;

/** What this platform itself needs the zone for. */
function faultOfUse(zone: Name): string | undefined {
  const { zone: platform, validationZone } = config();
  const holds = (text: string): boolean => {
    const name = parseName(text);
    return name.ok && isWithin(fold(name.value), zone) && !isDeeper(fold(name.value), zone);
  };
  if (formatName(zone) === platform) return "apps have their names in it (STELE_ZONE)";
  if (holds(validationZone)) return "DNS-01 look-ups are sent there (STELE_DNS_VALIDATION_ZONE)";
  const host = nameServerHosts().find(holds);
  if (host !== undefined) return `our name server "${host}" is in it (STELE_DNS_NAMESERVERS)`;
  return undefined;
}

/** A record of another zone that would lead to nothing, or to us without a zone. */
function faultOfPointer(zone: Name, { name, type, values, zone: of }: store.PointerRow) {
  const at = `${typeName(type)} at "${name}" in "${of}"`;
  const target = targetsOf(type, values).find(
    (each) => isWithin(each, zone) && !isDeeper(each, zone),
  );
  if (target !== undefined) return `${at} leads to "${formatName(target)}", which is in it`;
  const hosts = new Set(nameServerHosts());
  const isOurs = targetsOf(type, values).some((each) => hosts.has(formatName(each)));
  const isDelegation = type === TYPE.NS && name === formatName(zone);
  return isDelegation && isOurs ? `${at} delegates it to us (RFC 1912 2.8)` : undefined;
}

/** The name is in a zone of ours below this one, which stays. */
const isDeeper = (name: Name, zone: Name): boolean =>
  (instance().catalog.zoneOf(name)?.origin.length ?? 0) > zone.length;
