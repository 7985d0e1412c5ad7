import { LIMITS } from "./core/limits";
import { parseResponseHead, type ResponseHead } from "./core/response-head";
import { Accumulator } from "./accumulator";

/** Reads heads from what an app sends, interim ones included, until the final one. */
export class ResponseReader {
  private partial: Accumulator | undefined;
  private work: Buffer | undefined;
  private at = 0;

  push(bytes: Buffer): void {
    if (this.partial === undefined) {
      this.work = bytes;
    } else {
      this.partial.append(bytes);
      this.work = this.partial.view();
    }
    this.at = 0;
  }

  /** The next head; `more` when it is not whole yet, `invalid` when it never will be. */
  next(): ResponseHead | "more" | "invalid" {
    const { work, at } = this;
    if (work === undefined) return "more";
    const end = this.partial?.headEnd(at) ?? work.indexOf("\r\n\r\n", at);
    if (end < 0) return this.keep(work.subarray(at));
    this.partial = undefined;
    this.at = end + 4;
    return parseResponseHead(work.toString("latin1", at, end + 2)) ?? "invalid";
  }

  private keep(rest: Buffer): "more" | "invalid" {
    this.work = undefined;
    if (rest.length > LIMITS.responseHeadBytes) return "invalid";
    if (this.partial !== undefined || rest.length === 0) return "more";
    this.partial = new Accumulator();
    this.partial.append(rest);
    this.partial.headEnd(0);
    return "more";
  }

  /** What came behind the last head. */
  rest(): Buffer | undefined {
    const { work, at } = this;
    return work === undefined || at >= work.length ? undefined : work.subarray(at);
  }
}
