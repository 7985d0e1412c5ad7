import { Decimal as Exact } from "decimal.js";

/** Digits kept by a division; sums and products stay exact far beyond what money or counts need. */
const DIVISION_DIGITS = 400;

const Wide = Exact.clone({ precision: DIVISION_DIGITS, toExpNeg: -1e9, toExpPos: 1e9 });

/** The native decimal under the SDK's own class of that name. */
export class Decimal {
  readonly #value: Exact;
  readonly #text: string;

  constructor(value: string) {
    this.#value = new Wide(value.replaceAll("_", ""));
    // A number keeps the digits that it was written with: 12.3400 stays so.
    this.#text = /^[+-]?\d+(\.\d+)?$/.test(value)
      ? value.replace(/^\+/, "")
      : this.#value.toString();
  }

  toString(): string {
    return this.#text;
  }

  add(other: Decimal): Decimal {
    return new Decimal(this.#value.plus(other.#value).toString());
  }

  sub(other: Decimal): Decimal {
    return new Decimal(this.#value.minus(other.#value).toString());
  }

  mul(other: Decimal): Decimal {
    return new Decimal(this.#value.times(other.#value).toString());
  }

  div(other: Decimal): Decimal {
    return new Decimal(this.#value.div(other.#value).toString());
  }
}
