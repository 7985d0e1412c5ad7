/** Milliseconds of a clock that never goes back and that all threads of a process share. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** What to add to `monotonicMs` for Unix time, now. */
export function monotonicOrigin(): number {
  return Date.now() - monotonicMs();
}
