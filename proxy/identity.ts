import { randomBytes } from "node:crypto";

const POOL_BYTES = 8_192;
const TRACE_HEX = 32;
const SPAN_HEX = 16;

/** Ids for requests and traces: random bytes are drawn in bulk, since each call costs more than a request may. */
export class IdentitySource {
  private readonly prefix = randomBytes(6).toString("hex");
  private count = 0;
  private pool = "";
  private at = 0;

  /** Unique among all proxies; 20 characters or so. */
  requestId(): string {
    this.count++;
    return `${this.prefix}-${this.count.toString(36).padStart(6, "0")}`;
  }

  /** A new, unsampled trace (W3C Trace Context section 3.2). */
  traceparent(): string {
    if (this.at + TRACE_HEX + SPAN_HEX > this.pool.length) {
      this.pool = randomBytes(POOL_BYTES).toString("hex");
      this.at = 0;
    }
    const spanAt = this.at + TRACE_HEX;
    const end = spanAt + SPAN_HEX;
    const text = `00-${this.pool.slice(this.at, spanAt)}-${this.pool.slice(spanAt, end)}-00`;
    this.at = end;
    return text;
  }
}
