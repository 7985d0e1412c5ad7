import { readFileSync } from "node:fs";
import { join } from "node:path";

import { Failure } from "./failure";

/** What an app says of itself, in `stele.json` in its directory. */
export interface Manifest {
  readonly data?: { readonly mode?: string };
}

const NAME = "stele.json";
const FIELDS: Readonly<Record<string, readonly string[]>> = { data: ["mode"] };

/** Of the directory, or an empty one where there is none. What it does not know it refuses: a typo would be silent. */
export function readManifest(directory: string): Manifest {
  let text: string;
  try {
    text = readFileSync(join(directory, NAME), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw error;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fault((error as Error).message);
  }
  if (!isObject(value)) throw fault("it is no object");
  for (const [name, part] of Object.entries(value)) {
    const known = FIELDS[name];
    if (!known) throw fault(`"${name}" is unknown: ${Object.keys(FIELDS).join(", ")} can be said`);
    if (!isObject(part)) throw fault(`"${name}" is no object`);
    const odd = Object.keys(part).find((key) => !known.includes(key));
    if (odd !== undefined) throw fault(`"${name}.${odd}" is unknown`);
  }
  return value as Manifest;
}

const DATA_MODES: readonly unknown[] = ["none", "files", "auto"];

/** What the app keeps, as far as it says so. */
export function dataModeOf({ data }: Manifest): string | undefined {
  if (data?.mode === undefined || DATA_MODES.includes(data.mode)) return data?.mode;
  throw fault(`"data.mode" is ${JSON.stringify(data.mode)}: none, files or auto can be said`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const fault = (reason: string): Failure => new Failure(`cannot read ${NAME}: ${reason}`);
