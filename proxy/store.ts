import { db } from "./db";
import type { Delta, Hit, HostnameRow, PeerRow, RouteRow } from "./table";

/** A cluster that this database holds, and what its proxy binds. */
export interface LocalCluster {
  readonly clusterId: string;
  readonly listen: readonly string[];
  readonly hasApi: boolean;
}

export async function clusters(): Promise<LocalCluster[]> {
  return db.queryAll<{ clusterId: string; listen: string[]; hasApi: boolean }>`
    SELECT cluster_id AS "clusterId", listen, api_url IS NOT NULL AS "hasApi"
    FROM peer WHERE peer_id = cluster_id AND NOT removed ORDER BY cluster_id`;
}

/** Every change above `after`. Versions are handed out in the order of commits, so none is skipped. */
export async function changes(clusterId: string, after: number, version: number): Promise<Delta> {
  const [routes, hostnames, peers] = await Promise.all([
    routesAfter(clusterId, after),
    hostnamesAfter(clusterId, after),
    peersAfter(clusterId, after),
  ]);
  return { version, routes, hostnames, peers };
}

async function routesAfter(clusterId: string, after: number): Promise<RouteRow[]> {
  return db.queryAll<RouteRow>`
    SELECT repl_id AS "replId", name, owner, state, generation,
      coalesce(peer_cluster, '') AS peer, coalesce(upstream_host, '') AS host,
      coalesce(upstream_port, 0) AS port, version, cut_at IS NOT NULL AS cut
    FROM route WHERE cluster_id = ${clusterId} AND version > ${after} ORDER BY version`;
}

async function hostnamesAfter(clusterId: string, after: number): Promise<HostnameRow[]> {
  return db.queryAll<HostnameRow>`
    SELECT hostname, repl_id AS "replId", version
    FROM hostname WHERE cluster_id = ${clusterId} AND version > ${after} ORDER BY version`;
}

async function peersAfter(clusterId: string, after: number): Promise<PeerRow[]> {
  return db.queryAll<PeerRow>`
    SELECT peer_id AS "peerId", ingress, http_port AS "httpPort", removed, version
    FROM peer WHERE cluster_id = ${clusterId} AND version > ${after} ORDER BY version`;
}

/** The cluster's version: what a reader has reached who then reads `changes`. */
export async function version(clusterId: string): Promise<number> {
  const row = await db.queryRow<{ version: number }>`
    SELECT version FROM route_clock WHERE cluster_id = ${clusterId}`;
  return row?.version ?? 0;
}

export interface Instance {
  readonly clusterId: string;
  readonly instanceId: string;
  readonly ackedVersion: number;
  readonly busy: readonly string[];
}

/** Renews the right to dial, by the database's clock, and says the cluster's version. */
export async function renewLease(instance: Instance, leaseMs: number): Promise<number> {
  const row = await db.queryRow<{ version: number }>`
    INSERT INTO proxy_instance (cluster_id, instance_id, acked_version, busy, lease_until)
    VALUES (${instance.clusterId}, ${instance.instanceId}, ${instance.ackedVersion},
      ${[...instance.busy]}, now() + ${leaseMs}::int * interval '1 millisecond')
    ON CONFLICT (cluster_id, instance_id) DO UPDATE SET lease_until = excluded.lease_until
    RETURNING coalesce(
      (SELECT version FROM route_clock WHERE cluster_id = ${instance.clusterId}), 0) AS version`;
  return row?.version ?? 0;
}

/**
 * Says what the worker has applied, and wakes whoever waits for that. A freeze waits for it, so it does
 * not wait for the disk: a database that crashes forgets the latest versions at most, and is told anew.
 */
export async function acknowledge(instance: Instance): Promise<void> {
  await db.queryRow`
    WITH written AS (
      UPDATE proxy_instance SET acked_version = ${instance.ackedVersion},
        busy = ${[...instance.busy]}
      WHERE cluster_id = ${instance.clusterId} AND instance_id = ${instance.instanceId}
      RETURNING cluster_id)
    SELECT pg_notify('proxy_acked', cluster_id)::text AS sent,
      set_config('synchronous_commit', 'off', true) AS "notWaiting" FROM written`;
}

/** The instance serves no more. */
export async function leave(clusterId: string, instanceId: string): Promise<void> {
  await db.exec`
    DELETE FROM hit WHERE cluster_id = ${clusterId} AND instance_id = ${instanceId}`;
  await db.queryRow`
    WITH gone AS (
      DELETE FROM proxy_instance
      WHERE cluster_id = ${clusterId} AND instance_id = ${instanceId}
      RETURNING cluster_id)
    SELECT pg_notify('proxy_acked', cluster_id)::text AS sent FROM gone`;
}

export async function writeHits(
  clusterId: string,
  instanceId: string,
  hits: readonly Hit[],
): Promise<void> {
  await db.exec`
    INSERT INTO hit (cluster_id, repl_id, instance_id, last_hit, in_flight)
    SELECT ${clusterId}, repl_id, ${instanceId}, now(), in_flight
    FROM unnest(${hits.map((hit) => hit.replId)}::text[],
      ${hits.map((hit) => hit.inFlight)}::int[]) AS seen (repl_id, in_flight)
    ON CONFLICT (cluster_id, repl_id, instance_id) DO UPDATE
    SET last_hit = excluded.last_hit, in_flight = excluded.in_flight`;
  await writeTombstoneHits(
    clusterId,
    hits.filter(({ byTombstone }) => byTombstone > 0),
  );
}

/** All proxies of the cluster count in one row, in one order, so that none waits for another for ever. */
async function writeTombstoneHits(clusterId: string, hits: readonly Hit[]): Promise<void> {
  if (hits.length === 0) return;
  await db.exec`
    INSERT INTO tombstone_hit AS t (cluster_id, repl_id, hits, last_hit)
    SELECT ${clusterId}, repl_id, hits, now()
    FROM unnest(${hits.map((hit) => hit.replId)}::text[],
      ${hits.map((hit) => hit.byTombstone)}::bigint[]) AS seen (repl_id, hits)
    ORDER BY repl_id
    ON CONFLICT (cluster_id, repl_id) DO UPDATE
    SET hits = t.hits + excluded.hits, last_hit = excluded.last_hit`;
}

/** For the listener's own connection. */
export function connectionString(): string {
  return db.connectionString;
}
