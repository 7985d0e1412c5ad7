/**
 * Where events of a text/event-stream end: after a blank line (WHATWG HTML, "Server-sent events").
 * Lines end with CRLF, LF or CR.
 */
export class EventTracker {
  private lineEmpty = true;
  private afterCr = false;
  private boundary = true;

  /** After a blank line, or at the start. */
  get atBoundary(): boolean {
    return this.boundary;
  }

  /**
   * Follows `bytes` from `from`. With `stop`, returns the offset behind the first event that ends,
   * and follows no further; otherwise the end.
   */
  scan(bytes: Uint8Array, from: number, stop: boolean): number {
    if (stop && this.boundary) return from;
    for (let at = from; at < bytes.length; at++) {
      this.step(bytes[at] as number);
      if (!stop || !this.boundary) continue;
      // Readers that look for CRLF get the whole of it where it is at hand.
      const pair = this.afterCr && bytes[at + 1] === 10;
      if (pair) this.afterCr = false;
      return pair ? at + 2 : at + 1;
    }
    return bytes.length;
  }

  private step(byte: number): void {
    if (byte === 10 && this.afterCr) {
      // The second half of a CRLF: says nothing new.
      this.afterCr = false;
      return;
    }
    this.afterCr = byte === 13;
    if (byte === 13 || byte === 10) {
      if (this.lineEmpty) this.boundary = true;
      this.lineEmpty = true;
      return;
    }
    this.lineEmpty = false;
    this.boundary = false;
  }
}
