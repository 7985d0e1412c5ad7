const FIRST_BYTES = 4_096;
const HEAD_END = "\r\n\r\n";

/** Bytes of a head that came in several reads. Linear in their number, whatever their sizes. */
export class Accumulator {
  private bytes = Buffer.allocUnsafe(FIRST_BYTES);
  private scanned = 0;
  length = 0;

  append(chunk: Uint8Array): void {
    if (this.length + chunk.length > this.bytes.length) {
      const grown = Buffer.allocUnsafe(2 * (this.length + chunk.length));
      this.bytes.copy(grown, 0, 0, this.length);
      this.bytes = grown;
    }
    this.bytes.set(chunk, this.length);
    this.length += chunk.length;
  }

  view(): Buffer {
    return this.bytes.subarray(0, this.length);
  }

  /** Where the empty line begins, looking only at what is new; -1: not there yet. */
  headEnd(from: number): number {
    const end = this.view().indexOf(HEAD_END, Math.max(from, this.scanned - HEAD_END.length + 1));
    this.scanned = this.length;
    return end;
  }
}
