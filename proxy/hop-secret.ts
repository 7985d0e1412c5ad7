import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

const SECRET_BYTES = 32;
/** Less could be guessed, and whoever guesses it can speak for any cluster. */
const MIN_SECRET_CHARACTERS = 32;

/** The secret from the setting, or from its file, which is made when it is missing. */
export function hopSecret(setting: string, file: string): string {
  const secret = setting === "" ? fromFile(file) : setting;
  if (secret.length >= MIN_SECRET_CHARACTERS) return secret;
  throw new Error(
    `Cannot use a hop secret of ${secret.length} characters: expected at least ${MIN_SECRET_CHARACTERS}`,
  );
}

function fromFile(file: string): string {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  try {
    // Fails when it is there: of two processes that start together, one makes it and both read it.
    writeFileSync(file, randomBytes(SECRET_BYTES).toString("hex"), { flag: "wx", mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  return readFileSync(file, "utf8").trim();
}
