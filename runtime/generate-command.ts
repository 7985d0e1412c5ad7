import { analyzeLeniently } from "./analyze/analyze";
import { formatFault } from "./analyze/faults";
import { generate } from "./generate";

/**
 * Reads the application and writes its generated code, even when parts of it are at fault.
 *
 * @returns the faults, one line each
 */
export async function generateFromSource(
  root: string,
): Promise<{ written: string[]; faults: string[] }> {
  const { model, faults } = await analyzeLeniently(root);
  return { written: generate(root, model), faults: faults.map(formatFault) };
}
