/** Seals secrets that the database keeps: AES-256-GCM, bound to what they are for. */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

import { readOrMake } from "../shared/channel/key-file";

const CIPHER = "aes-256-gcm";
const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** The key from the setting, or from its file, which is made when it is missing. */
export function loadSealKey(setting: string, file: string): Buffer {
  const key = Buffer.from(setting === "" ? readOrMake(file, makeKey) : setting, "base64");
  if (key.length === KEY_BYTES) return key;
  throw new Error(`Cannot use the seal key: it has ${key.length} bytes, expected 32 in base64`);
}

function makeKey(): string {
  return `${randomBytes(KEY_BYTES).toString("base64")}\n`;
}

/** `label` says what the secret is for; it opens nothing else. */
export function seal(key: Buffer, label: string, secret: Uint8Array): string {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv(CIPHER, key, iv).setAAD(Buffer.from(label));
  const sealed = Buffer.concat([cipher.update(secret), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString("base64");
}

/** Throws when the key is another one, or the text was not sealed for `label`. */
export function open(key: Buffer, label: string, text: string): Buffer {
  const octets = Buffer.from(text, "base64");
  const decipher = createDecipheriv(CIPHER, key, octets.subarray(0, IV_BYTES));
  decipher.setAAD(Buffer.from(label));
  decipher.setAuthTag(octets.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
  return Buffer.concat([decipher.update(octets.subarray(IV_BYTES + TAG_BYTES)), decipher.final()]);
}
