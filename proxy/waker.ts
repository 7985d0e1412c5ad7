import type { ErrorCode } from "./core/errors";
import type { Exchange } from "./exchange";
import type { Holding } from "./holding";
import type { Requests, WakeOutcome } from "./questions";
import type { Repl } from "./table";

interface WakerOptions {
  readonly requests: Requests;
  readonly holding: Holding;
  readonly clock: { readonly now: number };
  readonly mayWake: () => boolean;
  /** The repl is awake, as far as is known: look at who waits for it again. */
  readonly reconsider: (repl: Repl) => void;
}

/** Between two wakes that said "running" while the route still says asleep, or could not be asked. */
const REWAKE_MS = 100;
const WAKE_FAULT_MS = 5_000;

/** Has sleeping repls started: once for all who wait, and not again at once after it failed. */
export class Waker {
  constructor(private readonly options: WakerOptions) {}

  /** Why it is not tried now; undefined when it may be. */
  faultOf(repl: Repl): ErrorCode | undefined {
    return this.options.clock.now < repl.wakeFaultUntil ? repl.wakeFault : undefined;
  }

  wake(repl: Repl, { requestId, head }: Exchange): void {
    if (repl.waking || !this.options.mayWake()) return;
    repl.waking = true;
    this.options.requests.wake(repl.id, { requestId, traceparent: head.traceparent });
  }

  /** The answer. Routes that it changed have been applied before. */
  woke(repl: Repl, outcome: WakeOutcome): void {
    if (outcome === "failed" || outcome === "none") {
      repl.waking = false;
      this.failed(repl, outcome === "failed" ? "wake_failed" : "no_container");
      return;
    }
    const isAsleep = repl.route?.state === "active" && !repl.route.awake;
    if (isAsleep || outcome === "unreachable") setTimeout(() => this.again(repl), REWAKE_MS);
    else this.again(repl);
  }

  private again(repl: Repl): void {
    repl.waking = false;
    this.options.reconsider(repl);
  }

  private failed(repl: Repl, fault: ErrorCode): void {
    const { clock, holding } = this.options;
    repl.wakeFault = fault;
    repl.wakeFaultUntil = clock.now + (fault === "wake_failed" ? WAKE_FAULT_MS : 0);
    for (const exchange of holding.waitingFor(repl)) {
      if (exchange.waitsForWake) exchange.fail(fault);
    }
  }
}
