const TICK_MS = 5;
const MAX_BURST = 50; // After a stall of this process: catch up, but do not make a flood of it.

/** Sends at a steady rate, however long answers take: who waits for them sees fewer bad moments. */
export class Pace {
  /** Sent so far; whoever sends something besides adds it. */
  sent = 0;
  private readonly timer: NodeJS.Timeout;

  constructor(perSecond: number, send: () => void) {
    const startedAt = performance.now();
    this.timer = setInterval(() => {
      const due = Math.floor(((performance.now() - startedAt) / 1000) * perSecond);
      for (let n = 0; this.sent < due && n < MAX_BURST; n++) {
        this.sent += 1;
        send();
      }
    }, TICK_MS);
  }

  stop(): void {
    clearInterval(this.timer);
  }
}
