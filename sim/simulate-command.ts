import { PRODUCTION } from "./rules";
import { type Failure, simulate, simulationOf } from "./simulate";

const USAGE = "npm run sim -- [--seed N] [--minutes N]";
const DEFAULT_SEEDS = 1_000;

interface Options {
  readonly seed: number | undefined;
  readonly minutes: number | undefined;
}

/** Simulates one seed, or seed after seed for a while; false when one of them fails. */
export function main(argv: readonly string[], print: (line: string) => void): boolean {
  const { seed, minutes } = readOptions(argv);
  const from = seed ?? Date.now() % 1_000_000_000;
  const until = minutes === undefined ? Infinity : performance.now() + minutes * 60_000;
  const seeds = seed !== undefined ? 1 : minutes === undefined ? DEFAULT_SEEDS : Infinity;
  let completed = 0;
  let events = 0;
  let done = 0;
  for (; done < seeds && performance.now() < until; done++) {
    const result = simulate(simulationOf(from + done), PRODUCTION);
    completed += result.completed;
    events += result.events;
    if (result.failure) {
      tell(from + done, result.failure, print);
      return false;
    }
  }
  print(`${done} seeds from ${from}: ${events} events, ${completed} moves completed, none failed`);
  return true;
}

function tell(seed: number, { broken, journal }: Failure, print: (line: string) => void): void {
  for (const line of journal) print(line);
  print(`broken: ${broken}`);
  print(`again: npm run sim -- --seed ${seed}`);
}

function readOptions(argv: readonly string[]): Options {
  const options: Record<string, number> = {};
  for (let index = 0; index < argv.length; index += 2) {
    const [name, value] = [argv[index], Number(argv[index + 1])];
    if ((name !== "--seed" && name !== "--minutes") || !(value > 0)) {
      throw new Error(`Cannot simulate "${argv.join(" ")}": expected ${USAGE}`);
    }
    options[name] = value;
  }
  return { seed: options["--seed"], minutes: options["--minutes"] };
}
