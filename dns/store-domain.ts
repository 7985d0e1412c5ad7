import type { DomainStatus } from "./core/domain";
import { db } from "./db";

const MAX_LIST = 10_000;
/** Domains that one sweep looks at: each may wait some seconds for a resolver. */
const MAX_DUE = 20;
/** Looks at a domain that is not active move apart from 10 s to an hour. */
const FIRST_LOOK_SECONDS = 10;
const LAST_LOOK_SECONDS = 3_600;
/** Long enough that caches have forgotten whose it was, and that somebody has noticed. */
const QUARANTINE_HOURS = 72;
/** Who has not proven a domain until then leaves it to others. */
const PENDING_DAYS = 7;

export interface DomainRow {
  readonly hostname: string;
  readonly replId: string;
  readonly owner: string;
  readonly status: DomainStatus | "removing" | "removed";
  readonly token: string;
  /** The proxies serve it. */
  readonly announced: boolean;
  readonly failingSince: Date | null;
  readonly reason: string | null;
  readonly createdAt: Date;
  readonly removedAt: Date | null;
}

export interface NewDomain {
  readonly hostname: string;
  readonly replId: string;
  readonly owner: string;
}

/**
 * Register a domain. One that another repl has, or that was somebody else's until a while ago,
 * stays: false. Its last owner may have it again at once, with a proof of its own.
 */
export async function addDomain({ hostname, replId, owner }: NewDomain): Promise<boolean> {
  const row = await db.queryRow`
    INSERT INTO domain AS known (hostname, repl_id, owner) VALUES (${hostname}, ${replId}, ${owner})
    ON CONFLICT (hostname) DO UPDATE SET
      repl_id = excluded.repl_id,
      owner = excluded.owner,
      status = CASE WHEN known.status = 'removed' THEN 'pending' ELSE known.status END,
      token = CASE WHEN known.status = 'removed' THEN excluded.token ELSE known.token END,
      attempts = 0, reason = NULL, failing_since = NULL, removed_at = NULL,
      next_check_at = LEAST(known.next_check_at, now())
    WHERE (known.repl_id = excluded.repl_id AND known.status NOT IN ('removing', 'removed'))
      OR (known.status = 'removed' AND (known.owner = excluded.owner
        OR known.removed_at < now() - make_interval(hours => ${QUARANTINE_HOURS})))
    RETURNING hostname`;
  return row !== null;
}

export async function findDomain(hostname: string): Promise<DomainRow | null> {
  return db.queryRow<DomainRow>`
    SELECT hostname, repl_id AS "replId", owner, status, token, announced, reason,
      failing_since AS "failingSince", created_at AS "createdAt", removed_at AS "removedAt"
    FROM domain WHERE hostname = ${hostname}`;
}

/** All domains, or those of one repl when it is not "". */
export async function listDomains(replId: string): Promise<DomainRow[]> {
  return db.queryAll<DomainRow>`
    SELECT hostname, repl_id AS "replId", owner, status, token, announced, reason,
      failing_since AS "failingSince", created_at AS "createdAt", removed_at AS "removedAt"
    FROM domain
    WHERE (${replId} = '' OR repl_id = ${replId}) AND status NOT IN ('removing', 'removed')
    ORDER BY hostname LIMIT ${MAX_LIST}`;
}

/** How many domains are in each state. */
export async function countDomains(): Promise<{ status: DomainRow["status"]; count: number }[]> {
  return db.queryAll<{ status: DomainRow["status"]; count: number }>`
    SELECT status, count(*)::int AS count FROM domain GROUP BY status ORDER BY status`;
}

/** Ask for the end of a domain; the sweep carries it out. False when there is none. */
export async function removeDomain(hostname: string): Promise<boolean> {
  const row = await db.queryRow`
    UPDATE domain SET status = 'removing', next_check_at = now()
    WHERE hostname = ${hostname} AND status <> 'removed' RETURNING hostname`;
  return row !== null;
}

export interface Looked {
  readonly hostname: string;
  /** As it was at the look; one that has changed meanwhile stays. */
  readonly from: DomainRow["status"];
  readonly status: DomainStatus;
  readonly failingSince: Date | null;
  readonly reason: string | null;
}

/** Compare and set: what a look has shown, and when the next one is. */
export async function markLooked(looked: Looked): Promise<void> {
  const { hostname, from, status, failingSince, reason } = looked;
  await db.exec`
    UPDATE domain SET status = ${status}, failing_since = ${failingSince}, reason = ${reason},
      attempts = CASE WHEN ${status} = 'active' THEN 0 ELSE attempts + 1 END,
      next_check_at = now() + make_interval(secs => CASE WHEN ${status} = 'active'
        THEN ${LAST_LOOK_SECONDS}
        ELSE LEAST(${LAST_LOOK_SECONDS}, ${FIRST_LOOK_SECONDS} * power(2, LEAST(attempts, 20)))
        END)
    WHERE hostname = ${hostname} AND status = ${from}`;
}

/** The proxies could not be told. */
export async function markUntold(hostname: string, reason: string): Promise<void> {
  await db.exec`
    UPDATE domain SET reason = ${reason}, attempts = attempts + 1,
      next_check_at = now() + make_interval(secs =>
        LEAST(${LAST_LOOK_SECONDS}, ${FIRST_LOOK_SECONDS} * power(2, LEAST(attempts, 20))))
    WHERE hostname = ${hostname}`;
}

/** The proxies know whether they serve it. One that was to be removed is in quarantine now. */
export async function markTold(hostname: string, announced: boolean): Promise<void> {
  await db.exec`
    UPDATE domain SET announced = ${announced},
      status = CASE WHEN status = 'removing' AND NOT ${announced} THEN 'removed' ELSE status END,
      removed_at = CASE WHEN status = 'removing' AND NOT ${announced} THEN now() END
    WHERE hostname = ${hostname}`;
}

/** Claims domains whose turn it is; no other sweep sees them for a minute. */
export async function claimDue(): Promise<DomainRow[]> {
  return db.queryAll<DomainRow>`
    UPDATE domain SET next_check_at = now() + interval '1 minute'
    WHERE hostname IN (
      SELECT hostname FROM domain WHERE next_check_at <= now() AND status <> 'removed'
      ORDER BY next_check_at LIMIT ${MAX_DUE} FOR UPDATE SKIP LOCKED)
    RETURNING hostname, repl_id AS "replId", owner, status, token, announced, reason,
      failing_since AS "failingSince", created_at AS "createdAt", removed_at AS "removedAt"`;
}

/** Forget what nobody has proven, and what was in quarantine for long enough. */
export async function forgetOld(): Promise<void> {
  await db.exec`
    DELETE FROM domain
    WHERE (status = 'pending' AND NOT announced
        AND created_at < now() - make_interval(days => ${PENDING_DAYS}))
      OR (status = 'removed' AND removed_at < now() - make_interval(hours => ${QUARANTINE_HOURS}))`;
}
