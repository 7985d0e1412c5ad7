import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

const TOKEN_BYTES = 32;
/** Another process has made the file and is about to write it. */
const LOOK_AGAIN_MS = 10;
const LOOKS = 50;

/**
 * Whether a token is the platform's: that of the secret, or, where it is unset, that of the file.
 * The file is read at the first use.
 */
export function createTokenCheck(
  secretToken: () => string,
  path: () => string,
): (given: string) => Promise<boolean> {
  let fromFile: Promise<string> | undefined;
  const readFromFile = (): Promise<string> => {
    fromFile ??= loadToken(path()).catch((error: unknown) => {
      fromFile = undefined;
      throw error;
    });
    return fromFile;
  };
  return async (given) => {
    const expected = readSecret(secretToken) || (await readFromFile());
    // Digests have one length, so the comparison tells nothing of the token's.
    return timingSafeEqual(digest(given), digest(expected));
  };
}

/** An unset secret is the empty string in development, and throws elsewhere. */
function readSecret(secretToken: () => string): string {
  try {
    return secretToken();
  } catch {
    return "";
  }
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
    return readTheirs(path);
  }
}

async function readTheirs(path: string): Promise<string> {
  for (let look = 0; look < LOOKS; look++) {
    const theirs = await readIfThere(path);
    if (theirs) return theirs;
    await new Promise((resolve) => {
      setTimeout(resolve, LOOK_AGAIN_MS);
    });
  }
  throw new Error(`Cannot read the API's token in "${path}": the file is empty`);
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
