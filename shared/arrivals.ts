/**
 * Before a socket closes: whoever has connected or asked already is let in, since closing would reset
 * them. The event loop brings one arrival in a turn, so turns are taken until one brings none, or
 * `maxMs` are over.
 *
 * @param count how many have arrived so far
 */
export async function letIn(count: () => number, maxMs: number): Promise<void> {
  const end = performance.now() + maxMs;
  for (let seen = -1; seen !== count() && performance.now() < end;) {
    seen = count();
    // The first may end the turn that we are in; between it and the second lies a whole one.
    await new Promise(setImmediate);
    await new Promise(setImmediate);
  }
}
