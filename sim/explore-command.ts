import { explore } from "./explore";
import { PRODUCTION } from "./rules";
import { LARGE, SMALL } from "./shapes";

const DEFAULT_STATES = 10_000_000;

/** Explores every shape until together they have found as many states; false when one of them breaks. */
export function main([wanted]: readonly string[], print: (line: string) => void): boolean {
  const limit = wanted === undefined ? DEFAULT_STATES : Number(wanted);
  if (!(limit > 0)) throw new Error(`Cannot explore "${wanted}" states: expected a number above 0`);
  const shapes = Object.entries({ ...SMALL, ...LARGE });
  let left = limit;
  for (const [index, [name, shape]] of shapes.entries()) {
    const share = Math.ceil(left / (shapes.length - index));
    const began = performance.now();
    const { states, steps, depth, complete, counterexample } = explore(shape, PRODUCTION, share);
    left -= states;
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    print(
      `${name}: ${states} states, ${steps} steps, ${depth} deep, ` +
        `${complete ? "all there are" : "the nearest"}, ${seconds} s`,
    );
    if (!counterexample) continue;
    print(`broken: ${counterexample.broken}`);
    for (const sentence of counterexample.story) print(`  ${sentence}`);
    return false;
  }
  return true;
}
