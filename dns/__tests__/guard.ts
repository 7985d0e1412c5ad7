import type { Guard } from "../protocol";

/** A guard that nothing is refused by. */
export const openGuard: Guard = {
  identity: "ns1-test",
  secrets: [Buffer.from("e5e973e5a6b2a43f48e7dc849e37bfcf", "hex")],
  rateLimits: undefined,
};
