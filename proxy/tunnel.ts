import type { Socket } from "node:net";

import { CLOSE_1012, FrameTracker } from "./core/frames";
import { LIMITS } from "./core/limits";

/** What a tunnel tells its exchange. */
export interface TunnelOwner {
  /** The app's side is no longer used. */
  tunnelLeft(): void;
}

/**
 * Bytes both ways, with backpressure and half-close. Frames towards the visitor are followed, so that
 * a close frame can be put between two of them.
 */
export class Tunnel {
  private readonly frames = new FrameTracker();
  private cutting = false;
  private over = false;

  constructor(
    private readonly visitor: Socket,
    private readonly upstream: Socket,
    private readonly owner: TunnelOwner,
  ) {}

  fromVisitor(bytes: Uint8Array): void {
    if (this.over) return;
    if (!this.upstream.write(bytes)) this.visitor.pause();
  }

  fromUpstream(bytes: Uint8Array): void {
    if (this.over) return;
    const until = this.frames.scan(bytes, 0, this.cutting);
    const passing = until === bytes.length ? bytes : bytes.subarray(0, until);
    if (passing.length > 0 && !this.visitor.write(passing)) this.upstream.pause();
    if (this.cutting && this.frames.atBoundary) this.closeNow();
  }

  visitorDrained(): void {
    if (!this.over) this.upstream.resume();
  }

  upstreamDrained(): void {
    if (!this.over) this.visitor.resume();
  }

  visitorEnded(): void {
    if (this.over) return;
    this.upstream.end();
    if (this.upstream.readableEnded) this.leave();
  }

  upstreamEnded(): void {
    if (this.over) return;
    this.visitor.end();
    if (this.visitor.readableEnded) this.leave();
  }

  /** Either side is gone: the other one goes too. */
  lost(): void {
    if (this.over) return;
    this.leave();
    this.visitor.destroySoon();
  }

  /** Ends it with 1012 between two frames: now, or where the current frame ends. */
  cut(): void {
    if (this.over || this.cutting) return;
    this.cutting = true;
    if (this.frames.atBoundary) {
      this.closeNow();
      return;
    }
    // The rest of a frame comes at once from a living app; a stuck one does not hold up a move.
    setTimeout(() => this.lost(), LIMITS.cutMs).unref();
  }

  private closeNow(): void {
    if (this.over) return;
    if (!this.frames.closed) this.visitor.write(CLOSE_1012);
    this.leave();
    this.visitor.end();
    // The visitor's own close frame is read and dropped.
    this.visitor.resume();
    setTimeout(() => this.visitor.destroy(), LIMITS.closeMs).unref();
  }

  private leave(): void {
    this.over = true;
    this.upstream.destroy();
    this.owner.tunnelLeft();
  }
}
