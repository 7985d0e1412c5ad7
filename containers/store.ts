import type { Transaction } from "encore.dev/storage/sqldb";

import type { Endpoint } from "./core/ports";
import {
  decide,
  isSameStay,
  NO_ROUTE,
  type RouteCommand,
  type RouteDecision,
  type RouteRow,
} from "./core/route";
import { db } from "./db";
import { isLocal, notLocal } from "./local";
import {
  type AttendedRow,
  type ContainerRow,
  type Ending,
  type Peer,
  type Release,
  type Route,
  type RouteChange,
  type RouteDetails,
  SELECT_ATTENDED,
  SELECT_CONTAINER,
  SELECT_ROUTE,
  type UseRow,
} from "./store-rows";

/** A page of the API; there is no paging yet, and a list must end somewhere. */
const MAX_LIST = 10_000;

/** The string that a LISTEN connection of our own needs. */
export function connectionString(): string {
  return db.connectionString;
}

interface RouteWrite {
  readonly replId: string;
  readonly row: RouteRow;
  readonly details: RouteDetails;
  readonly version: number;
  /** Only its fence changes: the deadlines of the move that is under way stay. */
  readonly stays: boolean;
}

async function inTransaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
  const tx = await db.begin();
  try {
    const result = await work(tx);
    await tx.commit();
    return result;
  } catch (error) {
    await tx.rollback().catch(() => undefined);
    throw error;
  }
}

/** The only way to a cluster's data: refuses one that this process does not serve. */
export function clusterStore(clusterId: string): ClusterStore {
  if (!isLocal(clusterId)) throw notLocal(clusterId);
  return new ClusterStore(clusterId);
}

/** One cluster's rows. Whatever changes what a proxy sees takes a version and tells the proxies. */
export class ClusterStore {
  constructor(readonly clusterId: string) {}

  /** The next version. Its row lock serialises the writers of the cluster until they commit. */
  private async tick(tx: Transaction): Promise<number> {
    const row = await tx.queryRow<{ version: number }>`
      WITH clock AS (
        INSERT INTO route_clock (cluster_id, version) VALUES (${this.clusterId}, 1)
        ON CONFLICT (cluster_id) DO UPDATE SET version = route_clock.version + 1
        RETURNING version)
      SELECT version, pg_notify('route_changed', ${this.clusterId})::text AS told FROM clock`;
    return row?.version ?? 0;
  }

  async route(replId: string): Promise<Route | null> {
    return await db.rawQueryRow<Route>(
      `${SELECT_ROUTE} WHERE cluster_id = $1 AND repl_id = $2`,
      this.clusterId,
      replId,
    );
  }

  /** Which of these repls have a row here. */
  async known(replIds: readonly string[]): Promise<ReadonlySet<string>> {
    const rows = await db.queryAll<{ replId: string }>`
      SELECT repl_id AS "replId" FROM route
      WHERE cluster_id = ${this.clusterId} AND repl_id = ANY(${[...replIds]}::text[])`;
    return new Set(rows.map(({ replId }) => replId));
  }

  /** The repls that live here, by id. */
  async homes(after: string, limit: number): Promise<{ replId: string; generation: number }[]> {
    return await db.queryAll<{ replId: string; generation: number }>`
      SELECT repl_id AS "replId", generation FROM route
      WHERE cluster_id = ${this.clusterId} AND repl_id > ${after}
        AND state IN ('active', 'frozen')
      ORDER BY repl_id LIMIT ${limit}`;
  }

  /** Carries out a command by the rules of `core/route.ts`; containers that it supersedes retire. */
  async decideRoute(
    replId: string,
    command: RouteCommand,
    details: RouteDetails = {},
  ): Promise<RouteChange> {
    return await inTransaction(async (tx) => {
      const version = await this.tick(tx);
      const found = await this.lockedRoute(tx, replId);
      const before: RouteRow = found ?? NO_ROUTE;
      const decision = decide(before, command);
      if (decision.outcome === "done") {
        const stays = isSameStay(before, decision.row);
        await this.writeRoute(tx, { replId, version, row: decision.row, details, stays });
        await this.retire(tx, replId, decision);
      }
      const stands = decision.outcome === "done" ? version : (found?.version ?? 0);
      return { ...decision, before, version: stands };
    });
  }

  private async lockedRoute(
    tx: Transaction,
    replId: string,
  ): Promise<(RouteRow & { version: number }) | null> {
    return await tx.queryRow<RouteRow & { version: number }>`
      SELECT state, generation, fence, frozen_by AS "frozenBy", sealed_by AS "sealedBy",
        peer_cluster AS peer, deleted, version
      FROM route WHERE cluster_id = ${this.clusterId} AND repl_id = ${replId} FOR UPDATE`;
  }

  private async writeRoute(
    tx: Transaction,
    { replId, row, details, version, stays }: RouteWrite,
  ): Promise<void> {
    const { name = null, owner = null, migrationId = null, freezeDeadline = null } = details;
    await tx.exec`
      INSERT INTO route AS r (cluster_id, repl_id, name, owner, state, generation, fence,
        frozen_by, sealed_by, peer_cluster, deleted, version, migration_id, freeze_deadline,
        upstream_host, upstream_port)
      SELECT ${this.clusterId}::text, ${replId}::text, coalesce(${name}::text, ''),
        coalesce(${owner}::text, ''), ${row.state}::text, ${row.generation}::bigint,
        ${row.fence}::bigint, ${row.frozenBy}::bigint, ${row.sealedBy}::bigint,
        ${row.peer}::text, ${row.deleted}::boolean,
        ${version}::bigint, ${migrationId}::text, ${freezeDeadline}::timestamptz,
        c.upstream_host, c.upstream_port
      FROM (SELECT 1) AS one LEFT JOIN container AS c
        ON c.cluster_id = ${this.clusterId} AND c.repl_id = ${replId}
        AND c.generation = ${row.generation} AND c.state = 'running'
        AND ${row.state}::text = 'active'
      ON CONFLICT (cluster_id, repl_id) DO UPDATE SET
        name = coalesce(${name}::text, r.name), owner = coalesce(${owner}::text, r.owner),
        state = excluded.state, generation = excluded.generation, fence = excluded.fence,
        frozen_by = excluded.frozen_by, sealed_by = excluded.sealed_by, peer_cluster = excluded.peer_cluster,
        deleted = excluded.deleted, version = excluded.version, changed_at = now(),
        migration_id = CASE WHEN ${stays}::boolean THEN r.migration_id ELSE excluded.migration_id END,
        freeze_deadline =
          CASE WHEN ${stays}::boolean THEN r.freeze_deadline ELSE excluded.freeze_deadline END,
        lease_until = CASE WHEN ${stays}::boolean AND excluded.fence < r.generation
          THEN r.lease_until END,
        cut_at = NULL,
        upstream_host = excluded.upstream_host, upstream_port = excluded.upstream_port`;
  }

  private async retire(tx: Transaction, replId: string, { effects }: RouteDecision): Promise<void> {
    for (const { kind, generation } of effects) {
      if (kind !== "retire_container") continue;
      await tx.exec`
        UPDATE container SET retired_at = coalesce(retired_at, now()), restart_at = NULL
        WHERE cluster_id = ${this.clusterId} AND repl_id = ${replId}
          AND generation = ${generation}`;
    }
  }

  /** Staged and frozen routes, whose deadlines somebody must watch. */
  async underWay(): Promise<Route[]> {
    return await db.rawQueryAll<Route>(
      `${SELECT_ROUTE} WHERE cluster_id = $1 AND state IN ('staged', 'frozen')`,
      this.clusterId,
    );
  }

  /** From now on `ms` long; false when the generation is not staged here, or was closed. */
  async renewLease(replId: string, generation: number, ms: number): Promise<boolean> {
    const row = await db.queryRow`
      UPDATE route SET lease_until = now() + ${ms}::bigint * interval '1 millisecond'
      WHERE cluster_id = ${this.clusterId} AND repl_id = ${replId}
        AND state = 'staged' AND generation = ${generation} AND fence < ${generation}
      RETURNING repl_id`;
    return row !== null;
  }

  /** How much is left of its boot lease, in milliseconds; null when it has none. */
  async leaseLeftMs(replId: string, generation: number): Promise<number | null> {
    const row = await db.queryRow<{ leftMs: number }>`
      SELECT floor(extract(epoch FROM lease_until - now()) * 1000)::bigint AS "leftMs"
      FROM route
      WHERE cluster_id = ${this.clusterId} AND repl_id = ${replId} AND state = 'staged'
        AND generation = ${generation} AND fence < ${generation} AND lease_until > now()`;
    return row?.leftMs ?? null;
  }

  /** No proxy dials the container from the version that is returned; null when it is not its route. */
  async withdraw(replId: string, generation: number): Promise<number | null> {
    return await inTransaction(async (tx) => {
      const version = await this.tick(tx);
      const row = await tx.queryRow<{ version: number }>`
        UPDATE route SET upstream_host = NULL, upstream_port = NULL, cut_at = NULL,
          version = ${version}, changed_at = now()
        WHERE cluster_id = ${this.clusterId} AND repl_id = ${replId}
          AND state = 'active' AND generation = ${generation}
        RETURNING version`;
      return row?.version ?? null;
    });
  }

  /** Gives its running container traffic again, if it is the route's. */
  async publish(replId: string, generation: number): Promise<boolean> {
    return await inTransaction(async (tx) => {
      const version = await this.tick(tx);
      return await this.publishIn(tx, replId, generation, version);
    });
  }

  private async publishIn(
    tx: Transaction,
    replId: string,
    generation: number,
    version: number,
  ): Promise<boolean> {
    const row = await tx.queryRow`
      UPDATE route AS r SET upstream_host = c.upstream_host, upstream_port = c.upstream_port,
        version = ${version}, changed_at = now(), cut_at = NULL
      FROM container AS c
      WHERE r.cluster_id = ${this.clusterId} AND r.repl_id = ${replId}
        AND r.state = 'active' AND r.generation = ${generation}
        AND c.cluster_id = r.cluster_id AND c.repl_id = r.repl_id
        AND c.generation = r.generation AND c.state = 'running'
      RETURNING r.version`;
    return row !== null;
  }

  /** What is still in flight on an older container shall end now. */
  async cut(replId: string): Promise<number> {
    return await inTransaction(async (tx) => {
      const version = await this.tick(tx);
      await tx.exec`
        UPDATE route SET cut_at = now(), version = ${version}
        WHERE cluster_id = ${this.clusterId} AND repl_id = ${replId}`;
      return version;
    });
  }

  /** Whether no proxy with a lease has anything of this repl in flight that `version` forbids. */
  async isQuiet(replId: string, version: number): Promise<boolean> {
    const row = await db.queryRow<{ busy: number }>`
      SELECT count(*) AS busy FROM proxy_instance
      WHERE cluster_id = ${this.clusterId} AND lease_until > now()
        AND (acked_version < ${version} OR ${replId} = ANY(busy))`;
    return row?.busy === 0;
  }

  async containers(): Promise<ContainerRow[]> {
    return await db.rawQueryAll<ContainerRow>(
      `${SELECT_CONTAINER} WHERE cluster_id = $1 ORDER BY repl_id, generation LIMIT ${MAX_LIST}`,
      this.clusterId,
    );
  }

  async containersOf(replId: string): Promise<ContainerRow[]> {
    return await db.rawQueryAll<ContainerRow>(
      `${SELECT_CONTAINER} WHERE cluster_id = $1 AND repl_id = $2`,
      this.clusterId,
      replId,
    );
  }

  /** Those that the sweep looks after: with processes, or to be started again. */
  async attended(): Promise<AttendedRow[]> {
    return await db.rawQueryAll<AttendedRow>(
      `${SELECT_ATTENDED} WHERE c.cluster_id = $1
        AND (c.state IN ('starting', 'running', 'stopping')
          OR (c.auto_restart AND c.restart_at < now()))`,
      this.clusterId,
    );
  }

  async attendedOne(replId: string, generation: number): Promise<AttendedRow | null> {
    return await db.rawQueryRow<AttendedRow>(
      `${SELECT_ATTENDED} WHERE c.cluster_id = $1 AND c.repl_id = $2 AND c.generation = $3`,
      this.clusterId,
      replId,
      generation,
    );
  }

  async container(replId: string, generation: number): Promise<ContainerRow | null> {
    return await db.rawQueryRow<ContainerRow>(
      `${SELECT_CONTAINER} WHERE cluster_id = $1 AND repl_id = $2 AND generation = $3`,
      this.clusterId,
      replId,
      generation,
    );
  }

  /** False when another container holds the port. Fails when the repl has another live container. */
  async starting(replId: string, generation: number, port: number): Promise<boolean> {
    try {
      await db.exec`
        INSERT INTO container (cluster_id, repl_id, generation, state, port)
        VALUES (${this.clusterId}, ${replId}, ${generation}, 'starting', ${port})
        ON CONFLICT (cluster_id, repl_id, generation) DO UPDATE SET state = 'starting',
          port = excluded.port, pid = NULL, identity = NULL, upstream_host = NULL,
          upstream_port = NULL, reason = NULL, restart_at = NULL,
          auto_restart = false, started_at = NULL`;
      return true;
    } catch (error) {
      if (/container_one_port/.test(String((error as Error).message))) return false;
      throw error;
    }
  }

  async livePorts(): Promise<ReadonlySet<number>> {
    const rows = await db.queryAll<{ port: number }>`
      SELECT port FROM container WHERE cluster_id = ${this.clusterId}
        AND state IN ('starting', 'running', 'stopping')`;
    return new Set(rows.map(({ port }) => port));
  }

  async spawned(replId: string, generation: number, pid: number, identity: string): Promise<void> {
    await db.exec`
      UPDATE container SET pid = ${pid}, identity = ${identity}
      WHERE cluster_id = ${this.clusterId} AND repl_id = ${replId}
        AND generation = ${generation}`;
  }

  /** It listens there. True when its route is active and now says so. */
  async running(replId: string, generation: number, at: Endpoint): Promise<boolean> {
    return await inTransaction(async (tx) => {
      const version = await this.tick(tx);
      await tx.exec`
        UPDATE container SET state = 'running', upstream_host = ${at.host},
          upstream_port = ${at.port}, started_at = now()
        WHERE cluster_id = ${this.clusterId} AND repl_id = ${replId}
          AND generation = ${generation} AND state = 'starting'`;
      return await this.publishIn(tx, replId, generation, version);
    });
  }

  async stopping(replId: string, generation: number): Promise<void> {
    await db.exec`
      UPDATE container SET state = 'stopping'
      WHERE cluster_id = ${this.clusterId} AND repl_id = ${replId}
        AND generation = ${generation} AND state IN ('starting', 'running')`;
  }

  /**
   * As `stopping`, if that freeze stands. Together with the route's row, so that a thaw comes before, and
   * it runs on, or after, and nothing is published of it. False: the freeze is over.
   */
  async stoppingFrozen(replId: string, generation: number, frozenBy: number): Promise<boolean> {
    const row = await db.queryRow`
      WITH frozen AS (
        SELECT repl_id FROM route
        WHERE cluster_id = ${this.clusterId} AND repl_id = ${replId}
          AND state = 'frozen' AND generation = ${generation} AND frozen_by = ${frozenBy}
        FOR UPDATE)
      UPDATE container AS c SET state = 'stopping' FROM frozen
      WHERE c.cluster_id = ${this.clusterId} AND c.repl_id = frozen.repl_id
        AND c.generation = ${generation} AND c.state IN ('starting', 'running', 'stopping')
      RETURNING c.repl_id`;
    return row !== null;
  }

  /**
   * Its processes are gone: no proxy may dial it, and whoever comes wakes it anew. False when that was
   * known already.
   */
  async ended(replId: string, generation: number, ending: Ending): Promise<boolean> {
    return await inTransaction(async (tx) => {
      const version = await this.tick(tx);
      const row = await tx.queryRow`
        UPDATE container SET state = ${ending.state}, pid = NULL, identity = NULL,
          upstream_host = NULL, upstream_port = NULL, reason = ${ending.reason},
          crashes = ${ending.crashes}, auto_restart = ${ending.autoRestart},
          restart_at = CASE WHEN retired_at IS NULL THEN ${ending.restartAt}::timestamptz END
        WHERE cluster_id = ${this.clusterId} AND repl_id = ${replId}
          AND generation = ${generation} AND state IN ('starting', 'running', 'stopping')
        RETURNING state`;
      await tx.exec`
        UPDATE route SET upstream_host = NULL, upstream_port = NULL, version = ${version}
        WHERE cluster_id = ${this.clusterId} AND repl_id = ${replId}
          AND generation = ${generation} AND upstream_host IS NOT NULL`;
      return row !== null;
    });
  }

  /** Its folder is gone. A row that still has processes stays. */
  async forgetGeneration(replId: string, generation: number): Promise<void> {
    await db.exec`
      DELETE FROM container WHERE cluster_id = ${this.clusterId} AND repl_id = ${replId}
        AND generation = ${generation} AND state IN ('stopped', 'failed')`;
    await db.exec`
      DELETE FROM release WHERE cluster_id = ${this.clusterId} AND repl_id = ${replId}
        AND generation = ${generation}`;
  }

  async release(replId: string, generation: number): Promise<Release | null> {
    return await db.queryRow<Release>`
      SELECT release, command, framework FROM release
      WHERE cluster_id = ${this.clusterId} AND repl_id = ${replId}
        AND generation = ${generation}`;
  }

  async putRelease(replId: string, generation: number, release: Release): Promise<void> {
    await db.exec`
      INSERT INTO release (cluster_id, repl_id, generation, release, command, framework)
      VALUES (${this.clusterId}, ${replId}, ${generation}, ${release.release},
        ${release.command}, ${release.framework})
      ON CONFLICT (cluster_id, repl_id, generation) DO UPDATE SET release = excluded.release,
        command = excluded.command, framework = excluded.framework, created_at = now()
      WHERE (release.release, release.command, release.framework)
        IS DISTINCT FROM (excluded.release, excluded.command, excluded.framework)`;
  }

  /** How the repls that have traffic were used; the proxies write it once a second. */
  async uses(): Promise<UseRow[]> {
    return await db.queryAll<UseRow>`
      SELECT c.repl_id AS "replId", c.generation, c.started_at AS "startedAt",
        max(h.last_hit) AS "lastHitAt",
        coalesce(sum(h.in_flight) FILTER (WHERE p.lease_until > now()), 0)::bigint AS "inFlight"
      FROM route AS r
      JOIN container AS c ON c.cluster_id = r.cluster_id AND c.repl_id = r.repl_id
        AND c.generation = r.generation AND c.state = 'running'
      LEFT JOIN hit AS h ON h.cluster_id = r.cluster_id AND h.repl_id = r.repl_id
      LEFT JOIN proxy_instance AS p
        ON p.cluster_id = h.cluster_id AND p.instance_id = h.instance_id
      WHERE r.cluster_id = ${this.clusterId} AND r.state = 'active'
        AND r.upstream_host IS NOT NULL
      GROUP BY c.repl_id, c.generation, c.started_at`;
  }

  /** A number of its own for each repl, the same for ever: its operating-system user. */
  async userNumber(replId: string): Promise<number> {
    return await inTransaction(async (tx) => {
      await tx.exec`SELECT pg_advisory_xact_lock(hashtext('app_user'))::text AS locked`;
      const row = await tx.queryRow<{ number: number }>`
        INSERT INTO app_user (cluster_id, repl_id, number)
        SELECT ${this.clusterId}::text, ${replId}::text, coalesce(max(number) + 1, 0)
        FROM app_user
        WHERE cluster_id = ${this.clusterId}
        ON CONFLICT (cluster_id, repl_id) DO UPDATE SET number = app_user.number
        RETURNING number`;
      return row?.number ?? 0;
    });
  }

  async setHostname(hostname: string, replId: string): Promise<void> {
    await inTransaction(async (tx) => {
      const version = await this.tick(tx);
      await tx.exec`
        INSERT INTO hostname (cluster_id, hostname, repl_id, version)
        VALUES (${this.clusterId}, ${hostname}, ${replId}, ${version})
        ON CONFLICT (cluster_id, hostname) DO UPDATE SET repl_id = excluded.repl_id,
          version = excluded.version`;
    });
  }

  async setPeer(peer: Peer): Promise<void> {
    await inTransaction(async (tx) => {
      const version = await this.tick(tx);
      await tx.exec`
        INSERT INTO peer (cluster_id, peer_id, ingress, http_port, listen, api_url, removed,
          version)
        VALUES (${this.clusterId}, ${peer.id}, ${[...peer.ingress]}, ${peer.httpPort},
          ${[...peer.listen]}, ${peer.apiUrl}, ${peer.removed}, ${version})
        ON CONFLICT (cluster_id, peer_id) DO UPDATE SET ingress = excluded.ingress,
          http_port = excluded.http_port, listen = excluded.listen, api_url = excluded.api_url,
          removed = excluded.removed, version = excluded.version`;
    });
  }

  /** Proxies that went without a word, and their counts. */
  async forgetDeadProxies(): Promise<void> {
    await db.exec`
      DELETE FROM proxy_instance
      WHERE cluster_id = ${this.clusterId} AND lease_until < now() - interval '1 hour'`;
    await db.exec`
      DELETE FROM hit AS h
      WHERE cluster_id = ${this.clusterId} AND last_hit < now() - interval '2 days'
        AND NOT EXISTS (SELECT FROM proxy_instance AS p
          WHERE p.cluster_id = h.cluster_id AND p.instance_id = h.instance_id)`;
  }
}
