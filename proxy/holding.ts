import type { ErrorCode } from "./core/errors";
import { type HoldBounds, WaitingRoom } from "./core/hold";
import type { Exchange } from "./exchange";

/** What an exchange waits for: a repl's route or start, an answer, a reading, a peer. Compared by identity. */
export type Place = object;

export interface Wait {
  readonly place: Place;
  /** By the clock of the proxy. */
  readonly until: number;
  /** What is answered when it does not come by then. */
  readonly fault: ErrorCode;
}

interface HoldingOptions {
  readonly bounds: HoldBounds;
  readonly clock: { readonly now: number };
}

/** The exchanges that wait, each with what happens when it has waited for too long. */
export class Holding {
  private readonly room: WaitingRoom<Exchange, Place>;
  private readonly faults = new Map<Exchange, ErrorCode>();
  private readonly clock: { readonly now: number };

  constructor({ bounds, clock }: HoldingOptions) {
    this.room = new WaitingRoom(bounds);
    this.clock = clock;
  }

  get figures(): { held: number; heldBytes: number; holdsRefused: number } {
    const { count, bytes, refused } = this.room;
    return { held: count, heldBytes: bytes, holdsRefused: refused };
  }

  /** False when too many wait; it has been answered then. */
  enter(exchange: Exchange, { place, until, fault }: Wait): boolean {
    const isNew = this.room.placeOf(exchange) === undefined;
    if (!this.room.enter(exchange, { place, ...costOf(exchange, place) })) {
      this.faults.delete(exchange);
      exchange.fail("hold_full");
      return false;
    }
    exchange.deadline = until;
    this.faults.set(exchange, fault);
    if (isNew && !exchange.requestDone) exchange.visitor.pauseBody();
    return true;
  }

  /** Whether it would be let in there. */
  hasRoomFor(exchange: Exchange, place: Place): boolean {
    return this.room.hasRoom(costOf(exchange, place));
  }

  leave(exchange: Exchange): void {
    if (this.room.leave(exchange) === undefined) return;
    this.faults.delete(exchange);
    exchange.deadline = 0;
    const { heldSince } = exchange;
    if (heldSince > 0) exchange.heldMs = Math.ceil(this.clock.now - heldSince);
  }

  waitsFor(exchange: Exchange, place: Place): boolean {
    return this.room.placeOf(exchange) === place;
  }

  sizeOf(place: Place): number {
    return this.room.sizeOf(place);
  }

  waitingFor(place: Place): Exchange[] {
    return this.room.waitingIn(place);
  }

  places(): Place[] {
    return this.room.places();
  }

  /** Answers those who have waited for too long. */
  tick(): void {
    for (const exchange of this.room.all()) {
      const fault = this.faults.get(exchange);
      if (fault !== undefined && exchange.deadline <= this.clock.now) exchange.fail(fault);
    }
  }
}

function costOf(
  { repl, head, visitor }: Exchange,
  place: Place,
): { account: Place; bytes: number } {
  return { account: repl ?? place, bytes: head.text.length + visitor.aheadBytes };
}
