import { piecesFault } from "./distrust";
import type { Piece } from "./pieces";
import type { RouteRow } from "./route";

/** What a destination asks of the source of its move. */
export interface FilesOrder {
  readonly replId: string;
  readonly migrationId: string;
  /** Of the move: the one that the destination has staged. */
  readonly generation: number;
  /** The source writes no more. */
  readonly final: boolean;
  /** Null: what there is. */
  readonly pieces: readonly Piece[] | null;
}

/** Both are given by the authority, and looked up there before anything else is done with them. */
const MAX_ID = 200;

/** What is wrong with an order as it came in; null when it is one. */
export function orderFault(value: unknown): string | null {
  if (typeof value !== "object" || value === null) return "expected an object";
  const { replId, migrationId, generation, final, pieces } = value as FilesOrder;
  for (const id of [replId, migrationId]) {
    if (typeof id !== "string" || id === "" || id.length > MAX_ID) return "an id is none";
  }
  if (!Number.isSafeInteger(generation) || generation < 1) return "the generation is none";
  if (typeof final !== "boolean") return "final is neither true nor false";
  return pieces === null ? null : piecesFault(pieces);
}

/**
 * Why the source cannot give files for a move to `generation`; null when it can. The last round is for
 * a source that this very move has frozen and whose container has stopped.
 */
export function givingFault(
  { state, generation, fence, frozenBy }: RouteRow,
  order: Pick<FilesOrder, "generation" | "final">,
  isRunning: boolean,
): string | null {
  if (state !== "active" && state !== "frozen") return `the repl is ${state} here`;
  if (order.generation <= generation || order.generation <= fence) {
    return `generation ${order.generation} is closed here`;
  }
  if (!order.final) return null;
  if (frozenBy !== order.generation) return `generation ${order.generation} has not frozen it`;
  return isRunning ? "its container has not stopped yet" : null;
}
