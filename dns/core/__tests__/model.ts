/**
 * The algorithm of RFC 1034 section 4.3.2, with RFC 4592 and RFC 6604, over a plain list of records in
 * text: slow, and written without the name server's own, to be held against it.
 */

export interface ModelRecord {
  readonly name: string;
  readonly ttl: number;
  readonly type: string;
  readonly value: string;
}

export interface ModelZone {
  readonly origin: string;
  readonly records: readonly ModelRecord[];
}

export interface ModelAnswer {
  readonly rcode: string;
  readonly aa: boolean;
  readonly answers: readonly string[];
  readonly authorities: readonly string[];
  readonly additionals: readonly string[];
}

const REFUSED: ModelAnswer = {
  rcode: "REFUSED",
  aa: false,
  answers: [],
  authorities: [],
  additionals: [],
};

/** As the server's own: links of a chain that are followed. */
const MAX_CHAIN = 8;

const isWithin = (name: string, zone: string): boolean =>
  name === zone || name.endsWith(`.${zone}`);

function nearest(zones: readonly ModelZone[], name: string): ModelZone | undefined {
  return zones
    .filter(({ origin }) => isWithin(name, origin))
    .sort((one, other) => other.origin.length - one.origin.length)[0];
}

/** DS is asked of the zone above, where that delegates the name. */
function zoneFor(zones: readonly ModelZone[], name: string, type: string): ModelZone | undefined {
  const others = zones.filter(({ origin }) => origin !== name);
  const above = type === "DS" ? nearest(others, name) : undefined;
  return above && at(above, name, "NS").length > 0 ? above : nearest(zones, name);
}

const at = ({ records }: ModelZone, name: string, type?: string): ModelRecord[] =>
  records.filter((record) => record.name === name && (type === undefined || record.type === type));

const exists = (zone: ModelZone, name: string): boolean =>
  name === zone.origin || zone.records.some((record) => isWithin(record.name, name));

const text = ({ name, ttl, type, value }: ModelRecord, owner = name): string =>
  `${owner}. ${ttl} ${type} ${value}`;

function soaOf(zone: ModelZone): string {
  const soa = at(zone, zone.origin, "SOA")[0]!;
  const minimum = Number(soa.value.split(" ").at(-1));
  return text({ ...soa, ttl: Math.min(soa.ttl, minimum) });
}

/** What is at the name, what stands in for it, the cut above it, or nothing. */
function find(zone: ModelZone, name: string, type: string) {
  const labels = name === zone.origin ? [] : name.slice(0, -zone.origin.length - 1).split(".");
  let closest = zone.origin;
  for (let depth = labels.length - 1; depth >= 0; depth--) {
    const here = [...labels.slice(depth), zone.origin].join(".");
    if (!exists(zone, here)) {
      const wildcard = `*.${closest}`;
      return exists(zone, wildcard) ? { records: at(zone, wildcard) } : "nothing";
    }
    const ns = at(zone, here, "NS");
    if (ns.length > 0 && !(here === name && type === "DS")) return { cut: ns };
    closest = here;
  }
  return { records: at(zone, name) };
}

const target = (value: string): string => value.split(" ").at(-1)!.replace(/\.$/, "");

/** A and AAAA of the hosts that records lead to. */
function addresses(zones: readonly ModelZone[], records: readonly ModelRecord[]): string[] {
  const hosts = new Set(
    records.filter(({ type }) => type === "NS" || type === "MX").map(({ value }) => target(value)),
  );
  return [...hosts].flatMap((host) => {
    const zone = nearest(zones, host);
    if (!zone) return [];
    return [...at(zone, host, "A"), ...at(zone, host, "AAAA")].map((record) => text(record));
  });
}

export function modelAnswer(zones: readonly ModelZone[], asked: string, type: string): ModelAnswer {
  const answers: string[] = [];
  const seen = new Set<string>();
  let name = asked;
  for (let zone = zoneFor(zones, name, type); ; zone = zoneFor(zones, name, type)) {
    const hasChain = answers.length > 0;
    const ends = !zone || seen.has(name) || answers.length === MAX_CHAIN;
    if (ends) {
      const found = { rcode: "NOERROR", aa: true, answers, authorities: [], additionals: [] };
      return hasChain ? found : REFUSED;
    }
    seen.add(name);
    const found = find(zone!, name, type);
    const negative = { aa: true, answers, authorities: [soaOf(zone!)], additionals: [] };
    if (found === "nothing") return { ...negative, rcode: "NXDOMAIN" };
    if (found.cut) {
      const authorities = found.cut.map((record) => text(record));
      const additionals = addresses(zones, found.cut);
      return { rcode: "NOERROR", aa: hasChain, answers, authorities, additionals };
    }
    const alias = found.records.find((record) => record.type === "CNAME");
    if (alias && type !== "CNAME" && type !== "ANY") {
      answers.push(text(alias, name));
      name = target(alias.value);
      continue;
    }
    const matching = ofType(found.records, type);
    if (matching.length === 0) return { ...negative, rcode: "NOERROR" };
    for (const record of matching) answers.push(text(record, name));
    const additionals = addresses(zones, matching);
    return { rcode: "NOERROR", aa: true, answers, authorities: [], additionals };
  }
}

/** ANY is the alias alone, or the record of RFC 8482 section 4.2. */
function ofType(records: readonly ModelRecord[], type: string): readonly ModelRecord[] {
  if (type !== "ANY") return records.filter((record) => record.type === type);
  const [first] = records;
  if (!first) return [];
  const alias = records.filter((record) => record.type === "CNAME");
  if (alias.length > 0) return alias;
  return [{ name: first.name, ttl: 60, type: "HINFO", value: "\\# 9 075246433834383200" }];
}
