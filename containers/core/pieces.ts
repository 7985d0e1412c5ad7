import type { Entry } from "./manifest";

/**
 * How files are asked for: in pieces of whole blocks, many pieces a request. A block that is there
 * already is named by its hash and not sent again; so what a cut stream has brought is never lost.
 */

/** Small against a transfer, so that little is sent twice; large against the cost of a hash and a call. */
export const BLOCK_BYTES = 1024 * 1024;
/**
 * An answer carries so many blocks at most: what a source still reads for a destination that is gone
 * (Encore tells a raw endpoint nothing of that), and less than a second of hashing before a request.
 */
export const BATCH_BLOCKS = 64;
/** Of one request, with room for the rest of it: below what a signed request may have (256 KiB). */
export const BATCH_TEXT_BYTES = 240 * 1024;
/** A hash of 43 characters, with its quotes and a comma. */
const HASH_BYTES = 46;
/** `{"path":,"offset":68719476735,"blocks":64,"have":[]},` */
const PIECE_BYTES = 60;
/** More do not fit into a request. */
export const BATCH_PIECES = Math.floor(BATCH_TEXT_BYTES / PIECE_BYTES);

/** Consecutive blocks of one file. */
export interface Piece {
  readonly path: string;
  /** A multiple of `BLOCK_BYTES`. */
  readonly offset: number;
  readonly blocks: number;
  /** Hashes of the first blocks, as the destination has them. */
  readonly have: readonly string[];
}

/** A piece before anybody has looked what is there. */
export interface WantedPiece {
  readonly entry: Entry;
  readonly offset: number;
  readonly blocks: number;
  /** With it the file is whole. */
  readonly isLast: boolean;
}

function* piecesOf(entry: Entry): Generator<WantedPiece> {
  const total = Math.max(1, Math.ceil(entry.size / BLOCK_BYTES));
  for (let block = 0; block < total; block += BATCH_BLOCKS) {
    const blocks = Math.min(BATCH_BLOCKS, total - block);
    yield { entry, offset: block * BLOCK_BYTES, blocks, isLast: block + blocks === total };
  }
}

/** Bytes of a text in UTF-8; of a byte that is part of no character, one (`file-names.ts`). */
export function utf8Bytes(text: string): number {
  let bytes = 0;
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    const isOne = code < 0x80 || (code >= 0xdc80 && code <= 0xdcff);
    bytes += isOne ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return bytes;
}

/** What to ask for in each request, in order: files whole, one after the other. */
export function* batches(files: Iterable<Entry>): Generator<readonly WantedPiece[]> {
  let batch: WantedPiece[] = [];
  let bytes = 0;
  let text = 0;
  for (const entry of files) {
    const pathBytes = PIECE_BYTES + utf8Bytes(JSON.stringify(entry.path));
    for (const piece of piecesOf(entry)) {
      const size = Math.min(piece.blocks * BLOCK_BYTES, entry.size - piece.offset);
      const textBytes = pathBytes + piece.blocks * HASH_BYTES;
      const isFull =
        bytes + size > BATCH_BLOCKS * BLOCK_BYTES || text + textBytes > BATCH_TEXT_BYTES;
      if (isFull && batch.length > 0) {
        yield batch;
        [batch, bytes, text] = [[], 0, 0];
      }
      batch.push(piece);
      bytes += size;
      text += textBytes;
    }
  }
  if (batch.length > 0) yield batch;
}
