/** What this process says about itself to Prometheus. */
import log from "encore.dev/log";

import { outbound } from "../shared/outbound";
import { formatMetrics } from "./core/exposition";
import { metricsOf } from "./core/metrics";
import { formatName } from "./core/names";
import { instance } from "./instance";
import { listenMetrics, type MetricsListener } from "./listen-metrics";
import { config } from "./settings";
import { stateOfThis } from "./state";
import { countDomains } from "./store-domain";

/** Whoever asks more often sees domains as they were: a scrape is no load for the database. */
const DOMAINS_FRESH_MS = 10_000;
/** Without a database the other metrics are needed most. */
const DOMAINS_TIMEOUT_MS = 1_000;
/** The name server answers also while its metrics' port is taken. */
const RETRY_MS = 5_000;

const fromDatabase = outbound("the dns database, for metrics", { timeoutMs: DOMAINS_TIMEOUT_MS });

let domains: Readonly<Record<string, number>> = {};
let domainsReadAt = -Infinity;

async function domainsByState(): Promise<Readonly<Record<string, number>>> {
  if (performance.now() - domainsReadAt < DOMAINS_FRESH_MS) return domains;
  domainsReadAt = performance.now();
  try {
    const rows = await fromDatabase(countDomains);
    domains = Object.fromEntries(rows.map(({ status, count }) => [status, count]));
  } catch {
    domains = {};
  }
  return domains;
}

/** All metrics of this process, as of now. */
export async function renderMetrics(): Promise<string> {
  const own = instance();
  const { catalog, answerer } = own;
  const { seq, revision, logAgeSeconds, zonesAgeSeconds } = stateOfThis();
  const { user, system } = process.cpuUsage();
  const families = metricsOf({
    totals: answerer.totals,
    instanceId: own.id,
    udpPath: answerer.udp.path,
    workers: answerer.threads,
    workerDeaths: own.workerDeaths,
    repls: catalog.platform.size,
    tableOctets: catalog.platform.table.octets,
    tableCapacity: catalog.platform.table.capacity,
    zones: catalog.zones.map((zone) => ({ ...zone, name: formatName(zone.name) })),
    seq,
    revision,
    logAgeSeconds,
    zonesAgeSeconds,
    events: own.events,
    domains: await domainsByState(),
    process: {
      startedAtSeconds: performance.timeOrigin / 1000,
      cpuSeconds: (user + system) / 1e6,
      residentOctets: process.memoryUsage.rss(),
    },
  });
  return formatMetrics(families);
}

let listener: MetricsListener | undefined;
let timer: NodeJS.Timeout | undefined;

/** Serve metrics by themselves where a setting says so, as soon as that address is free. */
export async function openMetrics(hasFailed = false): Promise<void> {
  const { metricsListen } = config();
  if (!metricsListen) return;
  try {
    listener = await listenMetrics(metricsListen, renderMetrics);
    log.info("metrics are served", { address: metricsListen });
  } catch (error) {
    if (!hasFailed) log.error(error, "cannot serve metrics, will try again");
    timer = setTimeout(() => void openMetrics(true), RETRY_MS);
  }
}

export async function closeMetrics(): Promise<void> {
  clearTimeout(timer);
  await listener?.close();
}
