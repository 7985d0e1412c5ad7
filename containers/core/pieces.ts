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
/** Keeps a request short, with `BATCH_PATH_CHARS`. */
export const BATCH_PIECES = 4_000;
/** In JSON a character takes six bytes at most. */
export const BATCH_PATH_CHARS = 256 * 1024;
/** A request: its paths, its hashes, and some 100 bytes for the rest of each piece. */
export const MAX_ASK_BYTES =
  6 * BATCH_PATH_CHARS + 48 * (BATCH_PIECES + BATCH_BLOCKS) + 100 * BATCH_PIECES;

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

/** What to ask for in each request, in order: files whole, one after the other. */
export function* batches(files: Iterable<Entry>): Generator<readonly WantedPiece[]> {
  let batch: WantedPiece[] = [];
  let bytes = 0;
  let chars = 0;
  for (const entry of files) {
    for (const piece of piecesOf(entry)) {
      const size = Math.min(piece.blocks * BLOCK_BYTES, entry.size - piece.offset);
      const isFull =
        bytes + size > BATCH_BLOCKS * BLOCK_BYTES ||
        batch.length >= BATCH_PIECES ||
        chars + entry.path.length > BATCH_PATH_CHARS;
      if (isFull && batch.length > 0) {
        yield batch;
        [batch, bytes, chars] = [[], 0, 0];
      }
      batch.push(piece);
      bytes += size;
      chars += entry.path.length;
    }
  }
  if (batch.length > 0) yield batch;
}
