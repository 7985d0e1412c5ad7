import type { OwnedRRset } from "../answer";
import { Catalog, type CatalogOptions, type Change } from "../catalog";
import { typeCode, typeName } from "../codes";
import type { HashKey } from "../half-siphash";
import { fold, formatName, parseName } from "../names";
import { formatRdata } from "../rdata";

/** A record in presentation form: `name ttl type data`. */
interface Line {
  readonly name: string;
  readonly ttl: number;
  readonly type: number;
  readonly value: string;
}

export function wireName(text: string): string {
  const name = parseName(text);
  if (!name.ok) throw new Error(name.reason);
  return fold(name.value);
}

function line(text: string): Line {
  const [name = "", ttl = "", type = "", ...data] = text.split(" ");
  return { name, ttl: Number(ttl), type: typeCode(type)!, value: data.join(" ") };
}

/** The changes that make `zone` hold these records. */
export function zoneChanges(zone: string, records: readonly string[]): Change[] {
  const rrsets = new Map<string, Change & { kind: "rrset" }>();
  for (const { name, ttl, type, value } of records.map(line)) {
    const key = `${name} ${type}`;
    const values = [...(rrsets.get(key)?.values ?? []), value];
    rrsets.set(key, { kind: "rrset", zone, name, type, ttl, values, revision: 1 });
  }
  return [{ kind: "zone", zone, base: 0, revision: 1 }, ...rrsets.values()];
}

/** A secret for tests. */
export const hashKey: HashKey = [0x03020100, 0x07060504];

export function catalogOf(options: CatalogOptions, ...changes: readonly Change[][]): Catalog {
  const catalog = new Catalog({ hashKey, ...options });
  catalog.apply({ changes: changes.flat(), seq: 0 });
  return catalog;
}

/** RRsets as lines, in order. */
export function lines(rrsets: readonly OwnedRRset[]): string[] {
  return rrsets.flatMap(({ owner, rrset }) =>
    rrset.rdatas.map(
      (rdata) =>
        `${formatName(owner)} ${rrset.ttl} ${typeName(rrset.type)} ${formatRdata(rrset.type, rdata)}`,
    ),
  );
}
