/** A time series of a custom metric: which slot of the shared buffer holds it. */
export interface Series {
  readonly name: string;
  readonly labels: readonly (readonly [string, string])[];
  readonly service: string | null;
  readonly type: "Counter" | "Gauge";
}

/** The buffer that the SDK writes its counters and gauges into, and who owns which slot. */
export class MetricsRegistry {
  readonly #slots: BigUint64Array;
  readonly #indexes = new Map<string, number>();
  readonly #series: Series[] = [];

  constructor(buffer: BigUint64Array) {
    this.#slots = buffer;
  }

  allocateSlot(
    name: string,
    labels: [string, string][],
    service: string | null | undefined,
    type: Series["type"],
  ): number {
    const sorted = [...labels].sort(([a], [b]) => (a < b ? -1 : 1));
    const key = JSON.stringify([name, sorted, service ?? null]);
    const known = this.#indexes.get(key);
    if (known !== undefined) return known;
    const index = this.#series.length;
    if (index >= this.#slots.length) {
      throw new Error(`Cannot count "${name}": all ${this.#slots.length} metric slots are taken`);
    }
    this.#indexes.set(key, index);
    this.#series.push({ name, labels: sorted, service: service ?? null, type });
    return index;
  }

  slotCount(): number {
    return this.#series.length;
  }

  /** Every series with its value now. */
  read(): { series: Series; value: number }[] {
    return this.#series.map((series, index) => {
      const bits = Atomics.load(this.#slots, index);
      return { series, value: series.type === "Counter" ? Number(bits) : floatOf(bits) };
    });
  }
}

function floatOf(bits: bigint): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, bits);
  return view.getFloat64(0);
}
