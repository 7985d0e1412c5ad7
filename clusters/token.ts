import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

import { config } from "./settings";

const TOKEN_BYTES = 32;

let fromFile: Promise<string> | undefined;

/** Whether `given` is the platform's token: that of the secret, or that of the token file. */
export async function isToken(given: string, secretToken: () => string): Promise<boolean> {
  const expected = readSecret(secretToken) || (await readTokenFile());
  // Digests have one length, so the comparison tells nothing of the token's.
  return timingSafeEqual(digest(given), digest(expected));
}

/** An unset secret is the empty string in development, and throws elsewhere. */
function readSecret(secretToken: () => string): string {
  try {
    return secretToken();
  } catch {
    return "";
  }
}

function readTokenFile(): Promise<string> {
  fromFile ??= loadToken(config().tokenFile).catch((error: unknown) => {
    fromFile = undefined;
    throw error;
  });
  return fromFile;
}

/** Reads the token from `path`; makes one that only its owner can read where there is none. */
export async function loadToken(path: string): Promise<string> {
  const existing = await readIfThere(path);
  if (existing) return existing;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const token = randomBytes(TOKEN_BYTES).toString("base64url");
  try {
    await writeFile(path, `${token}\n`, { mode: 0o600, flag: "wx" });
    return token;
  } catch (error) {
    // Another process of this platform was faster: its token is the one.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const theirs = await readIfThere(path);
    if (!theirs) throw new Error(`Cannot read the token in "${path}": the file is empty`);
    return theirs;
  }
}

async function readIfThere(path: string): Promise<string> {
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
