import { db } from "./db";

const MAX_LIST = 10_000;
/** Domains that one sweep checks: each may wait two seconds for a resolver. */
const MAX_DUE = 20;
/** Checks of a domain move apart from 10 s to an hour. */
const FIRST_CHECK_SECONDS = 10;
const LAST_CHECK_SECONDS = 3_600;

export interface DomainRow {
  readonly hostname: string;
  readonly replId: string;
  readonly status: "pending" | "verified" | "removing";
  readonly attempts: number;
  readonly reason: string | null;
  readonly createdAt: Date;
}

/** Register a domain. One that another repl has, or that is being removed, stays: false. */
export async function addDomain(hostname: string, replId: string): Promise<boolean> {
  const row = await db.queryRow`
    INSERT INTO domain (hostname, repl_id) VALUES (${hostname}, ${replId})
    ON CONFLICT (hostname) DO UPDATE SET hostname = excluded.hostname
    WHERE domain.repl_id = excluded.repl_id AND domain.status <> 'removing'
    RETURNING hostname`;
  return row !== null;
}

export async function findDomain(hostname: string): Promise<DomainRow | null> {
  return db.queryRow<DomainRow>`
    SELECT hostname, repl_id AS "replId", status, attempts, reason, created_at AS "createdAt"
    FROM domain WHERE hostname = ${hostname}`;
}

/** All domains, or those of one repl when it is not "". */
export async function listDomains(replId: string): Promise<DomainRow[]> {
  return db.queryAll<DomainRow>`
    SELECT hostname, repl_id AS "replId", status, attempts, reason, created_at AS "createdAt"
    FROM domain WHERE (${replId} = '' OR repl_id = ${replId}) AND status <> 'removing'
    ORDER BY hostname LIMIT ${MAX_LIST}`;
}

/** Ask for the end of a domain; the sweep carries it out. */
export async function removeDomain(hostname: string): Promise<boolean> {
  const row = await db.queryRow`
    UPDATE domain SET status = 'removing', announced = false, next_check_at = now()
    WHERE hostname = ${hostname} RETURNING hostname`;
  return row !== null;
}

/** Compare and set: a domain whose CNAME is right is verified, unless it is being removed. */
export async function markVerified(hostname: string): Promise<void> {
  await db.exec`
    UPDATE domain SET status = 'verified', reason = NULL, next_check_at = now()
    WHERE hostname = ${hostname} AND status = 'pending'`;
}

/** The next check of a domain whose last one failed. */
export async function markFailed(hostname: string, reason: string): Promise<void> {
  await db.exec`
    UPDATE domain SET reason = ${reason}, attempts = attempts + 1,
      next_check_at = now() + make_interval(secs =>
        LEAST(${LAST_CHECK_SECONDS}, ${FIRST_CHECK_SECONDS} * power(2, LEAST(attempts, 20))))
    WHERE hostname = ${hostname}`;
}

/** The proxies know: what was verified is done, what was being removed is gone. */
export async function markAnnounced({ hostname, status }: DomainRow): Promise<void> {
  if (status === "removing") {
    await db.exec`DELETE FROM domain WHERE hostname = ${hostname} AND status = 'removing'`;
    return;
  }
  await db.exec`
    UPDATE domain SET announced = true WHERE hostname = ${hostname} AND status = 'verified'`;
}

/** Claims domains whose turn it is; no other sweep sees them for a minute. */
export async function claimDue(): Promise<DomainRow[]> {
  return db.queryAll<DomainRow>`
    UPDATE domain SET next_check_at = now() + interval '1 minute'
    WHERE hostname IN (
      SELECT hostname FROM domain WHERE NOT announced AND next_check_at <= now()
      ORDER BY next_check_at LIMIT ${MAX_DUE} FOR UPDATE SKIP LOCKED)
    RETURNING hostname, repl_id AS "replId", status, attempts, reason, created_at AS "createdAt"`;
}
