/** The processes that answer, and whether all of them answer something. */
import { api } from "encore.dev/api";
import type { Max, Min } from "encore.dev/validate";

import type { PeerRow } from "./core/peers";
import { instance } from "./instance";
import { type InstanceState, registry, stateOfThis } from "./state";

/** Seconds are told to the millisecond. */
const MS_A_SECOND = 1_000;

interface InstancesRequest {
  /** Sequence of the placement log that is asked for. */
  seq?: number & Min<0>;
  /** Revision of the zones that is asked for. */
  revision?: number & Min<0>;
  /** Wait until all living instances answer it; without, until the one that is asked answers `seq`. */
  wait?: "all";
  /** How long to wait for it. */
  waitMs?: number & (Min<0> & Max<30000>);
}

/** One process that answers. */
export interface DnsInstance extends InstanceState {
  /** False when it was not heard of for ten seconds: it has died, or cannot reach the database. */
  alive: boolean;
  /** How old all this is. */
  seenSecondsAgo: number;
}

interface InstanceList {
  items: DnsInstance[];
  /** Every living instance answers what was asked for. */
  everywhere: boolean;
  /** The living instances that do not, as far as is known. */
  missing: string[];
}

/** What the answering processes know and do, and whether all of them answer something. */
export const instances = api(
  { expose: true, auth: true, method: "GET", path: "/v1/dns/instances" },
  async ({ seq = 0, revision = 0, wait, waitMs = 0 }: InstancesRequest): Promise<InstanceList> => {
    const wanted = { seq, revision };
    if (wait === "all") await registry().waitForAll(wanted, waitMs);
    else await instance().waitFor(seq, waitMs);
    const missing = registry().missing(wanted);
    return { items: allInstances(), everywhere: missing.length === 0, missing };
  },
);

function allInstances(): DnsInstance[] {
  const self = { ...stateOfThis(), alive: true, seenSecondsAgo: 0 };
  return [self, ...registry().peers.map(toInstance)].map(rounded);
}

function toInstance({ state, id, revision, seq, isAlive, seenSecondsAgo }: PeerRow): DnsInstance {
  const said = JSON.parse(state) as InstanceState;
  const aged = (seconds: number | null): number | null => seconds && seconds + seenSecondsAgo;
  return {
    ...said,
    instanceId: id,
    revision,
    seq,
    logAgeSeconds: aged(said.logAgeSeconds),
    zonesAgeSeconds: aged(said.zonesAgeSeconds),
    alive: isAlive,
    seenSecondsAgo,
  };
}

function rounded(one: DnsInstance): DnsInstance {
  const round = (seconds: number): number => Math.round(seconds * MS_A_SECOND) / MS_A_SECOND;
  return {
    ...one,
    logAgeSeconds: one.logAgeSeconds === null ? null : round(one.logAgeSeconds),
    zonesAgeSeconds: one.zonesAgeSeconds === null ? null : round(one.zonesAgeSeconds),
    seenSecondsAgo: round(one.seenSecondsAgo),
  };
}
