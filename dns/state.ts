/** This process among the instances: what it answers and counts, and what it knows of the others. */
import log from "encore.dev/log";

import { queriesOver, type Totals, TRANSPORTS } from "./core/counters";
import { formatName } from "./core/names";
import { instance } from "./instance";
import { formatAddress } from "./protocol";
import { Registry } from "./registry";
import { config } from "./settings";
import { deleteInstance, readRegistry, tellInstances, writeInstance } from "./store-instances";
import { zones } from "./zones";

/** How often a response code was given. */
export interface RcodeCount {
  rcode: number;
  count: number;
}

/** What an instance has counted since its start. */
interface Counted {
  queries: number;
  udpQueries: number;
  tcpQueries: number;
  tlsQueries: number;
  httpsQueries: number;
  tcpConnections: number;
  /** Connections that were refused at a limit. */
  tcpRefused: number;
  dropped: number;
  truncated: number;
  /** Answers that rate limiting truncated. */
  slipped: number;
  /** Queries that rate limiting left unanswered. */
  limited: number;
  rcodes: RcodeCount[];
}

/** What an instance says of itself. */
export interface InstanceState extends Counted {
  instanceId: string;
  /** Revision of the zones that its answers show. */
  revision: number;
  /** Sequence of the placement log that its answers show. */
  seq: number;
  /** Seconds since it last knew that it answers all of the placement log; null: not since its start. */
  logAgeSeconds: number | null;
  /** The same of the zones. */
  zonesAgeSeconds: number | null;
  /** `127.0.0.1:5300`, over UDP and TCP. */
  listening: string[];
  /** Serial of the platform zone. */
  serial: number;
  /** Workers that died in a row. */
  deaths: number;
}

export function stateOfThis(): InstanceState {
  const { id, answerer, answeredSeq, logLevelAt } = instance();
  return {
    instanceId: id,
    revision: zones().revision,
    seq: answeredSeq,
    logAgeSeconds: secondsSince(logLevelAt),
    zonesAgeSeconds: secondsSince(zones().levelAt),
    listening: answerer.listening.map(formatAddress),
    serial: platformSerial(),
    ...counted(answerer.totals),
    deaths: answerer.deaths,
  };
}

function counted(totals: Totals): Counted {
  const [udpQueries, tcpQueries, tlsQueries, httpsQueries] = TRANSPORTS.map((transport) =>
    queriesOver(totals, transport),
  ) as [number, number, number, number];
  return {
    queries: udpQueries + tcpQueries + tlsQueries + httpsQueries,
    udpQueries,
    tcpQueries,
    tlsQueries,
    httpsQueries,
    tcpConnections: totals.connections,
    tcpRefused: totals.connectionsRefused,
    dropped: Object.values(totals.drops).reduce((sum, count) => sum + count, 0),
    truncated: totals.truncated,
    slipped: totals.slipped,
    limited: totals.limited,
    rcodes: totals.rcodes
      .map((count, rcode) => ({ rcode, count }))
      .filter(({ count }) => count > 0),
  };
}

function secondsSince(at: number | undefined): number | null {
  return at === undefined ? null : (performance.now() - at) / 1_000;
}

function platformSerial(): number {
  const { zone } = config();
  return instance().catalog.zones.find(({ name }) => formatName(name) === zone)?.serial ?? 0;
}

let created: Registry | undefined;

/** The registry as this process sees it. */
export function registry(): Registry {
  return (created ??= new Registry({
    id: instance().id,
    mark: () => ({ revision: zones().revision, seq: instance().answeredSeq }),
    store: { writeInstance, readRegistry, tellInstances, deleteInstance },
    onState: (reason) => {
      if (reason === null) log.info("the registry of name servers works again");
      else log.warn("cannot reach the registry of name servers, will try again", { reason });
    },
  }));
}
