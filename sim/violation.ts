/** An invariant of design section 4 that does not hold. */
export class Violation extends Error {
  override readonly name = "Violation";
  /** What was happening, as a sentence of the story; "" when the state itself is what is wrong. */
  during = "";
}

/** Does something whose violation is told as `story`. */
export function telling<T>(story: () => string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof Violation && error.during === "") error.during = story();
    throw error;
  }
}
