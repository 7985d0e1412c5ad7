interface Appointment {
  readonly at: number;
  /** Of two at the same time the one that was made first. */
  readonly nth: number;
  readonly work: () => void;
}

/** Time that passes only when there is nothing left to do now. */
export class Clock {
  /** Milliseconds since the beginning. */
  now = 0;
  #made = 0;
  /** A heap: each is before the two below it. */
  readonly #heap: Appointment[] = [];

  in(ms: number, work: () => void): void {
    const heap = this.#heap;
    heap.push({ at: this.now + Math.max(0, ms), nth: this.#made++, work });
    let index = heap.length - 1;
    while (index > 0) {
      const above = (index - 1) >> 1;
      if (!this.#isBefore(index, above)) break;
      this.#swap(index, above);
      index = above;
    }
  }

  /** Does what comes next; false when that is later than `until`, or nothing does. */
  step(until: number): boolean {
    const heap = this.#heap;
    const next = heap[0];
    if (!next || next.at > until) {
      this.now = Math.max(this.now, until);
      return false;
    }
    const last = heap.pop() as Appointment;
    if (heap.length > 0) {
      heap[0] = last;
      this.#sink();
    }
    this.now = next.at;
    next.work();
    return true;
  }

  #sink(): void {
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const right = left + 1;
      let first = index;
      if (left < this.#heap.length && this.#isBefore(left, first)) first = left;
      if (right < this.#heap.length && this.#isBefore(right, first)) first = right;
      if (first === index) return;
      this.#swap(index, first);
      index = first;
    }
  }

  #isBefore(a: number, b: number): boolean {
    const [one, other] = [this.#heap[a] as Appointment, this.#heap[b] as Appointment];
    return one.at < other.at || (one.at === other.at && one.nth < other.nth);
  }

  #swap(a: number, b: number): void {
    const kept = this.#heap[a] as Appointment;
    this.#heap[a] = this.#heap[b] as Appointment;
    this.#heap[b] = kept;
  }
}
