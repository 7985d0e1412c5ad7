const kicked = new Set<() => void>();

/** Reads the placement log now: somebody knows that there is something new in it. */
export function kickTail(): void {
  for (const kick of kicked) kick();
}

/** Calls `kick` for as long as the tail runs. */
export function onKick(kick: () => void): () => void {
  kicked.add(kick);
  return () => kicked.delete(kick);
}
