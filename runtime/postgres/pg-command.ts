import { join } from "node:path";

import type { Identity } from "./pg-identity";

/** A program of PostgreSQL as the command that runs it under the identity. */
export function commandOf(
  { prefix, binDir }: Identity,
  program: string,
  args: readonly string[],
): [string, string[]] {
  const [command, ...rest] = [...prefix, join(binDir, program), ...args];
  return [command as string, rest];
}

/** PostgreSQL must not be led astray by PG* variables, nor see secrets. */
export function environment(): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR } = process.env;
  return { PATH, HOME, TMPDIR, LC_ALL: "C", TZ: "UTC" };
}

export function lastLine(text: string | undefined): string {
  return text?.trim().split("\n").at(-1) ?? "";
}
