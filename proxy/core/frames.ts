/**
 * Where WebSocket frames end (RFC 6455 section 5.2), for one direction of a tunnel. Payloads are not
 * looked at: a control frame may stand between any two frames, never inside one.
 */

/** A close frame from a server: code 1012, service restart. Clients come back by themselves. */
export const CLOSE_1012: Uint8Array = new Uint8Array([0x88, 0x02, 0x03, 0xf4]);

export class FrameTracker {
  /** The peer has sent a close frame; nothing may follow it. */
  closed = false;
  private seen = 0;
  private headerLength = 2;
  private length = 0;
  private lengthBytes = 0;
  private remaining = 0;
  private opcode = 0;

  /** Between two frames. */
  get atBoundary(): boolean {
    return this.seen === 0 && this.remaining === 0;
  }

  /**
   * Follows `bytes` from `from`. With `stop`, returns the offset of the first boundary at or after
   * `from` and follows no further; otherwise the end.
   */
  scan(bytes: Uint8Array, from: number, stop: boolean): number {
    let at = from;
    while (at < bytes.length) {
      if (stop && this.atBoundary) return at;
      if (this.remaining > 0) {
        const count = Math.min(this.remaining, bytes.length - at);
        this.remaining -= count;
        at += count;
        if (this.remaining === 0) this.frameEnded();
      } else {
        this.headerByte(bytes[at] as number);
        at++;
      }
    }
    return at;
  }

  private headerByte(byte: number): void {
    if (this.seen === 0) {
      this.opcode = byte & 0x0f;
    } else if (this.seen === 1) {
      const short = byte & 0x7f;
      this.lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
      this.length = this.lengthBytes === 0 ? short : 0;
      this.headerLength = 2 + this.lengthBytes + (byte & 0x80 ? 4 : 0);
    } else if (this.seen < 2 + this.lengthBytes) {
      this.length = this.length * 256 + byte;
    }
    this.seen++;
    if (this.seen < 2 || this.seen < this.headerLength) return;
    this.remaining = this.length;
    if (this.remaining === 0) this.frameEnded();
  }

  private frameEnded(): void {
    if (this.opcode === 8) this.closed = true;
    this.seen = 0;
    this.headerLength = 2;
  }
}
