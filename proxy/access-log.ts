import { monotonicOrigin } from "./clock";
import type { Exchange } from "./exchange";

/** Takes lines and never blocks the request that they are about. */
export interface AccessLog {
  write(line: string): void;
}

const FLUSH_MS = 100;
const FLUSH_BYTES = 65_536;
/** What is kept while the disk or the pipe is slow; more is dropped, and counted. */
const MAX_BYTES = 4_194_304;

/** Batches lines: written each 100 ms or 64 KiB, whichever comes first. */
export class BatchedLog implements AccessLog {
  dropped = 0;
  private lines = "";
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly output: { write(text: string): boolean; writableLength: number }) {}

  write(line: string): void {
    if (this.lines.length + this.output.writableLength > MAX_BYTES) {
      this.dropped++;
      return;
    }
    this.lines += line;
    if (this.lines.length >= FLUSH_BYTES) this.flush();
    else this.timer ??= setTimeout(() => this.flush(), FLUSH_MS);
  }

  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const text = this.lines;
    this.lines = "";
    if (text !== "") this.output.write(text);
  }
}

/** One JSON line about a request: no query, no cookie, no authorisation. */
export function accessLine(exchange: Exchange, cluster: string, now: number): string {
  const { head, repl, target } = exchange;
  const question = head.target.indexOf("?");
  const line = {
    time: new Date(monotonicOrigin() + exchange.startedAt).toISOString(),
    request_id: exchange.requestId,
    trace_id: head.traceparent.slice(3, 35),
    cluster,
    repl: repl?.id ?? "",
    generation: repl?.row?.generation ?? 0,
    route: repl?.row?.state ?? "none",
    client_ip: exchange.clientIp,
    method: head.method,
    host: head.host,
    path: question < 0 ? head.target : head.target.slice(0, question),
    status: exchange.status,
    status_source: exchange.fromApp ? "app" : "proxy",
    error: exchange.error,
    bytes_in: exchange.bytesIn,
    bytes_out: exchange.bytesOut,
    ms: Math.round(now - exchange.startedAt),
    ms_hold: Math.round(exchange.heldMs),
    peer: target?.peer ?? "",
    hops: exchange.hops,
  };
  return `${JSON.stringify(line)}\n`;
}
