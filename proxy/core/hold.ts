/** Which requests may wait, in what order, and for how long. */
import { LIMITS } from "./limits";

/** A head and a read of each count; what its visitor has not been asked to send does not. */
export interface HoldBounds {
  readonly perRepl: number;
  readonly bytesPerRepl: number;
  readonly perCluster: number;
  readonly bytesPerCluster: number;
}

export const HOLD_BOUNDS: HoldBounds = {
  perRepl: LIMITS.heldPerRepl,
  bytesPerRepl: LIMITS.heldBytesPerRepl,
  perCluster: LIMITS.heldPerCluster,
  bytesPerCluster: LIMITS.heldBytesPerCluster,
};

/** What somebody waits for, on whose account, and what he costs. */
export interface Stay<Place> {
  readonly place: Place;
  /** The repl. It may have guests in several places, and is bounded in all of them together. */
  readonly account: unknown;
  readonly bytes: number;
}

interface Tally {
  count: number;
  bytes: number;
}

/**
 * Those who wait, within bounds, each place in the order of arrival. It knows neither requests nor
 * time: whoever lets in lets out.
 */
export class WaitingRoom<Guest, Place> {
  /** How many were not let in so far. */
  refused = 0;
  private readonly stays = new Map<Guest, Stay<Place>>();
  private readonly queues = new Map<Place, Set<Guest>>();
  private readonly accounts = new Map<unknown, Tally>();
  private sum = 0;
  private readonly bounds: HoldBounds;

  constructor(bounds: HoldBounds) {
    this.bounds = bounds;
  }

  get count(): number {
    return this.stays.size;
  }

  get bytes(): number {
    return this.sum;
  }

  /**
   * Whoever waits in that place already keeps his turn; from elsewhere he comes last. Over a bound the
   * newest is refused, since whoever was let in has a promise; he then waits nowhere.
   */
  enter(guest: Guest, stay: Stay<Place>): boolean {
    if (this.stays.get(guest)?.place === stay.place) return true;
    this.leave(guest);
    if (!this.hasRoom(stay)) {
      this.refused++;
      return false;
    }
    this.stays.set(guest, stay);
    const queue = this.queues.get(stay.place);
    if (queue === undefined) this.queues.set(stay.place, new Set([guest]));
    else queue.add(guest);
    this.tally(stay, 1);
    return true;
  }

  hasRoom({ account, bytes }: Pick<Stay<Place>, "account" | "bytes">): boolean {
    const own = this.accounts.get(account);
    return (
      (own?.count ?? 0) < this.bounds.perRepl &&
      (own?.bytes ?? 0) + bytes <= this.bounds.bytesPerRepl &&
      this.stays.size < this.bounds.perCluster &&
      this.sum + bytes <= this.bounds.bytesPerCluster
    );
  }

  /** What he waited for; undefined when he did not. */
  leave(guest: Guest): Place | undefined {
    const stay = this.stays.get(guest);
    if (stay === undefined) return undefined;
    this.stays.delete(guest);
    const queue = this.queues.get(stay.place);
    queue?.delete(guest);
    if (queue?.size === 0) this.queues.delete(stay.place);
    this.tally(stay, -1);
    return stay.place;
  }

  private tally({ account, bytes }: Stay<Place>, by: 1 | -1): void {
    const own = this.accounts.get(account) ?? { count: 0, bytes: 0 };
    own.count += by;
    own.bytes += by * bytes;
    this.sum += by * bytes;
    if (own.count === 0) this.accounts.delete(account);
    else this.accounts.set(account, own);
  }

  placeOf(guest: Guest): Place | undefined {
    return this.stays.get(guest)?.place;
  }

  /** How many wait in a place. */
  sizeOf(place: Place): number {
    return this.queues.get(place)?.size ?? 0;
  }

  /** Those who wait in a place as it is now, the first to come first. */
  waitingIn(place: Place): Guest[] {
    return Array.from(this.queues.get(place) ?? []);
  }

  /** Everybody, as it is now. */
  all(): Guest[] {
    return Array.from(this.stays.keys());
  }

  places(): Place[] {
    return Array.from(this.queues.keys());
  }
}

/**
 * Until when a request waits. A hop brings the deadline of its first hold (0: none), so that two
 * holds in a row do not add up.
 */
export function holdUntil(now: number, waking: boolean, hopDeadline: number): number {
  const own = now + (waking ? LIMITS.wakeMs : LIMITS.holdMs);
  return hopDeadline > 0 ? Math.min(own, hopDeadline) : own;
}
