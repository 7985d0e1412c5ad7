import { describe } from "vitest";

import { loadKernel } from "../udp/kernel";

export type Mode = "portable" | "batched";

/** Why UDP cannot be answered in batches here. */
function batchFault(): string | undefined {
  try {
    loadKernel();
    return undefined;
  } catch (error) {
    return (error as Error).message.split("\n", 1)[0];
  }
}

const fault = batchFault();

export function describeBatched(what: string, suite: () => void): void {
  const title = fault === undefined ? what : `${what} (skipped: ${fault})`;
  describe.skipIf(fault !== undefined)(title, suite);
}

/** The same suite over both ways that UDP is answered. */
export function describeUdpModes(suite: (mode: Mode) => void): void {
  describe("UDP portable", () => suite("portable"));
  describeBatched("UDP in batches", () => suite("batched"));
}
