/** How a repl was used; instants are milliseconds since the epoch. */
export interface Use {
  readonly startedAt: number;
  /** The last request that a proxy has told of, or null. */
  readonly lastHitAt: number | null;
  /** Requests, WebSockets and event streams that are open now. */
  readonly inFlight: number;
}

/** Proxies tell of hits once a second; what they have not told yet must not be stopped under them. */
const REPORT_MS = 2_000;

/** Whether nobody has used it for `idleStopMs`. An open WebSocket is use. */
export function isIdle(
  { startedAt, lastHitAt, inFlight }: Use,
  now: number,
  idleStopMs: number,
): boolean {
  if (inFlight > 0) return false;
  const last = Math.max(startedAt, lastHitAt ?? 0);
  return now - last >= Math.max(idleStopMs, REPORT_MS);
}
