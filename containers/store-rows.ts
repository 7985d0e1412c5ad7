import type { ContainerState } from "./core/lifecycle";
import type { RouteDecision, RouteRow, RouteState } from "./core/route";

/** A route as it stands in the database. */
export interface Route extends RouteRow {
  readonly replId: string;
  readonly name: string;
  readonly owner: string;
  readonly upstreamHost: string | null;
  readonly upstreamPort: number | null;
  readonly version: number;
  readonly migrationId: string | null;
  /** Staged and booted: until when somebody must have verified it. */
  readonly leaseUntil: Date | null;
  readonly leaseEnded: boolean;
  readonly freezeEnded: boolean;
  readonly cutAt: Date | null;
}

/** What a command carries besides what the rules look at. */
export interface RouteDetails {
  readonly name?: string;
  readonly owner?: string;
  readonly migrationId?: string;
  readonly freezeDeadline?: Date;
}

export interface RouteChange extends RouteDecision {
  readonly before: RouteRow;
  /** Of the row as it stands now. */
  readonly version: number;
}

export interface ContainerRow {
  readonly replId: string;
  readonly generation: number;
  readonly state: ContainerState;
  readonly pid: number | null;
  readonly identity: string | null;
  readonly port: number;
  readonly upstreamHost: string | null;
  readonly upstreamPort: number | null;
  readonly reason: string | null;
  readonly crashes: number;
  readonly restartAt: Date | null;
  readonly autoRestart: boolean;
  readonly startedAt: Date | null;
  readonly retiredAt: Date | null;
}

/** A container and its route, as they stood at one moment. */
export interface AttendedRow extends ContainerRow {
  readonly routeState: RouteState;
  readonly routeGeneration: number;
  readonly routeFence: number;
}

export interface Release {
  readonly release: number;
  readonly command: string;
  readonly framework: string;
}

/** How a container ended. */
export interface Ending {
  readonly state: "stopped" | "failed";
  readonly reason: string | null;
  readonly crashes: number;
  /** Not to be started before; null when at once. */
  readonly restartAt: Date | null;
  /** Whether the sweep starts it then, without being asked. */
  readonly autoRestart: boolean;
}

export interface UseRow {
  readonly replId: string;
  readonly generation: number;
  readonly startedAt: Date | null;
  readonly lastHitAt: Date | null;
  readonly inFlight: number;
}

export interface Peer {
  readonly id: string;
  readonly ingress: readonly string[];
  readonly httpPort: number;
  readonly listen: readonly string[];
  readonly apiUrl: string | null;
  readonly removed: boolean;
}

export const SELECT_ROUTE = `
  SELECT repl_id AS "replId", name, owner, state, generation, fence, frozen_by AS "frozenBy",
    sealed_by AS "sealedBy", peer_cluster AS peer, deleted, upstream_host AS "upstreamHost",
    upstream_port AS "upstreamPort", version, migration_id AS "migrationId",
    lease_until AS "leaseUntil", coalesce(lease_until < now(), false) AS "leaseEnded",
    coalesce(freeze_deadline < now(), false) AS "freezeEnded", cut_at AS "cutAt"
  FROM route`;

export const SELECT_CONTAINER = `
  SELECT repl_id AS "replId", generation, state, pid, identity, port,
    upstream_host AS "upstreamHost", upstream_port AS "upstreamPort", reason, crashes,
    restart_at AS "restartAt", auto_restart AS "autoRestart", started_at AS "startedAt",
    retired_at AS "retiredAt"
  FROM container`;

export const SELECT_ATTENDED = `
  SELECT c.repl_id AS "replId", c.generation, c.state, c.pid, c.identity, c.port,
    c.upstream_host AS "upstreamHost", c.upstream_port AS "upstreamPort", c.reason, c.crashes,
    c.restart_at AS "restartAt", c.auto_restart AS "autoRestart", c.started_at AS "startedAt",
    c.retired_at AS "retiredAt", coalesce(r.state, 'none') AS "routeState",
    coalesce(r.generation, 0) AS "routeGeneration", coalesce(r.fence, 0) AS "routeFence"
  FROM container AS c
  LEFT JOIN route AS r ON r.cluster_id = c.cluster_id AND r.repl_id = c.repl_id`;
