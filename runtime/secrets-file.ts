import { readFileSync } from "node:fs";
import { join } from "node:path";

const FILE = ".secrets.local.cue";

const LINE = /^\s*"?([A-Za-z_][A-Za-z0-9_]*)"?\s*:\s*("(?:[^"\\]|\\.)*")\s*,?\s*(?:\/\/.*)?$/;

/**
 * The local secrets of an application, from Encore's file in its root: lines of `Name: "value"`. Only
 * this plain form of CUE is understood.
 */
export function readLocalSecrets(root: string): Record<string, string> {
  let text: string;
  try {
    text = readFileSync(join(root, FILE), "utf8");
  } catch {
    return {};
  }
  return parseSecrets(text);
}

export function parseSecrets(text: string): Record<string, string> {
  const secrets: Record<string, string> = {};
  text.split("\n").forEach((line, index) => {
    if (/^\s*(\/\/.*)?$/.test(line)) return;
    const match = LINE.exec(line);
    if (!match) {
      throw new Error(`Cannot read ${FILE}:${index + 1}: expected Name: "value", one on a line`);
    }
    secrets[match[1] as string] = JSON.parse(match[2] as string) as string;
  });
  return secrets;
}
