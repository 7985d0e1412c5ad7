/**
 * The metrics of a name server: which there are, what they are called, and what they mean. Names
 * start with `stele_dns_` and end with their unit, counters with `_total`. No label has a value that
 * an asker can choose.
 */
import { RCODE } from "./codes";
import { type Histogram, OTHER_RCODE, SAMPLED_ONE_IN, type Totals } from "./counters";
import type { Family, Labels, Sample } from "./exposition";

/** Zones beyond these are counted, and not told one by one. */
const MAX_ZONES = 100;

export interface Facts {
  readonly totals: Totals;
  readonly instanceId: string;
  /** How UDP is answered: one message at a time, or many with one call. */
  readonly udpPath: "portable" | "batched";
  readonly workers: number;
  readonly workerDeaths: number;
  readonly repls: number;
  /** What the table of repls takes, and how many it has room for before it grows. */
  readonly tableOctets: number;
  readonly tableCapacity: number;
  readonly zones: readonly ZoneFacts[];
  /** Sequence of the placement log, and revision of the zones, that answers show. */
  readonly seq: number;
  readonly revision: number;
  /** Since all of the log, and of the zones, was answered as far as is known; null: not yet. */
  readonly logAgeSeconds: number | null;
  readonly zonesAgeSeconds: number | null;
  readonly events: EventCounts;
  /** Empty when the database cannot say. */
  readonly domains: Readonly<Record<string, number>>;
  readonly process: ProcessFacts;
}

export interface ZoneFacts {
  readonly name: string;
  readonly serial: number;
  readonly names: number;
  readonly rrsets: number;
}

export interface ProcessFacts {
  readonly startedAtSeconds: number;
  readonly cpuSeconds: number;
  readonly residentOctets: number;
}

export type EventKind = "transfer" | "update" | "notify" | "bad_signature";

/** What happens seldom, and in the main thread: by kind and outcome. */
export class EventCounts {
  readonly #counts = new Map<EventKind, Map<string, number>>();

  /** `outcome` is one of few: a response code, an error of TSIG. */
  add(kind: EventKind, outcome: string): void {
    const ofKind = this.#counts.get(kind) ?? new Map<string, number>();
    this.#counts.set(kind, ofKind.set(outcome, (ofKind.get(outcome) ?? 0) + 1));
  }

  of(kind: EventKind): ReadonlyMap<string, number> {
    return this.#counts.get(kind) ?? new Map();
  }
}

const RCODE_NAMES = new Map<number, string>(
  Object.entries(RCODE).map(([name, rcode]) => [rcode, name]),
);

/** The name of a response code, or `RCODE11`. */
export function rcodeName(rcode: number): string {
  if (rcode === OTHER_RCODE) return "other";
  return RCODE_NAMES.get(rcode) ?? `RCODE${rcode}`;
}

const counter = (name: string, help: string, samples: readonly Sample[]): Family => {
  return { kind: "counter", name: `stele_dns_${name}_total`, help, samples };
};
const gauge = (name: string, help: string, samples: readonly Sample[]): Family => {
  return { kind: "gauge", name: `stele_dns_${name}`, help, samples };
};
const one = (value: number | null): Sample[] => (value === null ? [] : [{ labels: {}, value }]);
const by = (label: string, values: Iterable<readonly [string, number]>): Sample[] =>
  Array.from(values, ([text, value]) => ({ labels: { [label]: text }, value }));

export function metricsOf(facts: Facts): Family[] {
  return [
    ...answering(facts.totals),
    ...streams(facts.totals),
    ...holding(facts),
    ...following(facts),
    ...working(facts),
  ];
}

function answering(totals: Totals): Family[] {
  const queries = totals.queries.map(({ transport, type, count }) => {
    return { labels: { transport, type } satisfies Labels, value: count };
  });
  const rcodes = totals.rcodes.map((count, rcode) => [rcodeName(rcode), count] as const);
  const given = rcodes.filter(([name, count]) => count > 0 || KNOWN_RCODES.has(name));
  return [
    counter("queries", "Messages that came; type none: no query, or unreadable", queries),
    counter("responses", "Answers by response code", by("rcode", given)),
    counter("responses_truncated", "Answers with TC", one(totals.truncated)),
    counter(
      "dropped",
      "Messages without an answer: too short, themselves answers, more signed ones than are taken",
      by("reason", Object.entries(totals.drops)),
    ),
    counter(
      "rate_limited",
      "What rate limiting truncated (slip) and left unanswered (drop)",
      by("action", [
        ["slip", totals.slipped],
        ["drop", totals.limited],
      ]),
    ),
    counter("fast_path", "Answers made in place, without the complete answerer", one(totals.fast)),
    counter("signed", "Signed messages that the main thread answers", one(totals.handedOff)),
    counter("query_log_lines", "Lines of the query log", one(totals.logged)),
    counter("query_log_lost", "Lines for which there was no room", one(totals.unlogged)),
    histogram(
      "latency_seconds",
      `Time from taking a query up to its answer, of one in ${SAMPLED_ONE_IN}`,
      totals.latency,
      1e-6,
    ),
    histogram("batch_messages", "Messages taken from the kernel with one call", totals.batches, 1),
  ];
}

/** Shown also while they are 0, so that a rate is known from the first one on. */
const KNOWN_RCODES: ReadonlySet<string> = new Set([
  "NOERROR",
  "FORMERR",
  "SERVFAIL",
  "NXDOMAIN",
  "NOTIMP",
  "REFUSED",
  "NOTAUTH",
  "BADVERS",
]);

function histogram(name: string, help: string, of: Histogram, unit: number): Family {
  const bounds = of.bounds.map((bound) => rounded(bound * unit));
  const buckets = { bounds, counts: of.counts, sum: rounded(of.sum * unit) };
  return { kind: "histogram", name: `stele_dns_${name}`, help, buckets };
}

/** Without the noise of a multiplication: 0.000064, not 0.00006399999. */
const rounded = (value: number): number => Number(value.toPrecision(12));

function streams(totals: Totals): Family[] {
  return [
    gauge("connections", "TCP, TLS and HTTPS connections open now", one(totals.connections)),
    counter("connections_accepted", "Connections taken up", one(totals.connectionsAccepted)),
    counter("connections_refused", "Connections beyond a limit", one(totals.connectionsRefused)),
  ];
}

function holding({ repls, tableOctets, tableCapacity, zones }: Facts): Family[] {
  const shown = zones.slice(0, MAX_ZONES);
  const rrsets = zones.reduce((sum, zone) => sum + zone.rrsets, 0);
  return [
    gauge("repls", "Repls whose names are answered", one(repls)),
    gauge("table_bytes", "Memory of the table of repls, shared by all threads", one(tableOctets)),
    gauge("table_capacity", "Repls that the table has room for", one(tableCapacity)),
    gauge("zones", "Zones that are served", one(zones.length)),
    gauge("rrsets", "RRsets of all zones, without what follows from repls", one(rrsets)),
    gauge(
      "zone_serial",
      `Serial of a zone, of the first ${MAX_ZONES}`,
      by(
        "zone",
        shown.map(({ name, serial }) => [name, serial]),
      ),
    ),
    gauge(
      "zone_names",
      `Names that exist in a zone, of the first ${MAX_ZONES}`,
      by(
        "zone",
        shown.map(({ name, names }) => [name, names]),
      ),
    ),
  ];
}

function following(facts: Facts): Family[] {
  return [
    gauge("log_seq", "Sequence of the placement log that answers show", one(facts.seq)),
    gauge(
      "log_age_seconds",
      "Since answers showed all of the placement log; up to 6 s when all is well",
      one(facts.logAgeSeconds),
    ),
    gauge("zone_revision", "Revision of the zones that answers show", one(facts.revision)),
    gauge(
      "zones_age_seconds",
      "Since answers showed all of the zones; up to 2 s when all is well",
      one(facts.zonesAgeSeconds),
    ),
  ];
}

function working(facts: Facts): Family[] {
  const { instanceId, udpPath, workers, workerDeaths, events, domains } = facts;
  const { startedAtSeconds, cpuSeconds, residentOctets } = facts.process;
  const info = [{ labels: { instance_id: instanceId, udp: udpPath }, value: 1 }];
  const process = (
    kind: "counter" | "gauge",
    name: string,
    help: string,
    value: number,
  ): Family => {
    return { kind, name: `process_${name}`, help, samples: one(value) };
  };
  return [
    gauge("info", "1; which process this is, and how it answers UDP", info),
    gauge("workers", "Threads that answer", one(workers)),
    counter("worker_deaths", "Threads that died and were replaced", one(workerDeaths)),
    counter("transfers", "Transfers by response code", by("rcode", events.of("transfer"))),
    counter("updates", "Dynamic updates by response code", by("rcode", events.of("update"))),
    counter(
      "notifies",
      "Changes that secondaries were told of",
      by("outcome", events.of("notify")),
    ),
    counter(
      "bad_signatures",
      "Messages refused for their TSIG",
      by("error", events.of("bad_signature")),
    ),
    gauge("domains", "Custom domains by state", by("state", Object.entries(domains))),
    process("gauge", "start_time_seconds", "Start of the process, Unix time", startedAtSeconds),
    process("counter", "cpu_seconds_total", "CPU time of the whole process", cpuSeconds),
    process(
      "gauge",
      "resident_memory_bytes",
      "Resident memory of the whole process",
      residentOctets,
    ),
  ];
}
