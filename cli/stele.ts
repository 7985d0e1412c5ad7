import type { Command } from "./command";
import { parse } from "./command";
import { appCommands } from "./commands/apps";
import { challengeCommands } from "./commands/challenges";
import { clusterCommands } from "./commands/clusters";
import { digCommands } from "./commands/dig";
import { evacuateCommands } from "./commands/evacuate";
import { eventCommands } from "./commands/events";
import { keyCommands } from "./commands/keys";
import { moveCommands } from "./commands/move";
import { nameCommands } from "./commands/names";
import { queryCommands } from "./commands/queries";
import { statusCommands } from "./commands/status";
import { tombstoneCommands } from "./commands/tombstones";
import { zoneFileCommands } from "./commands/zone-files";
import { zoneCommands } from "./commands/zones";
import { openContext, type Surroundings } from "./context";
import { demoCommands } from "./demo/demo";
import { Failure } from "./failure";

export const commands: readonly Command[] = [
  ...statusCommands,
  ...appCommands.filter(({ name }) => name !== "rm"),
  ...moveCommands,
  ...appCommands.filter(({ name }) => name === "rm"),
  ...nameCommands,
  ...zoneCommands,
  ...digCommands,
  ...queryCommands,
  ...zoneFileCommands,
  ...challengeCommands,
  ...keyCommands,
  ...clusterCommands,
  ...evacuateCommands,
  ...tombstoneCommands,
  ...eventCommands,
  ...demoCommands,
];

/** Runs one command line; the result is the process's exit code. */
export async function main(
  argv: readonly string[],
  around: Surroundings & { readonly complain: (text: string) => void },
): Promise<number> {
  try {
    const parsed = parse(commands, argv);
    if (parsed.kind === "help") {
      around.write(`${parsed.text}\n`);
      return 0;
    }
    await parsed.command.run(parsed.input, openContext(around, parsed.json));
    return 0;
  } catch (error) {
    if (around.signal.aborted) return 1;
    if (!(error instanceof Failure)) throw error;
    around.complain(`stele: ${error.message}\n`);
    return error.exitCode;
  }
}
