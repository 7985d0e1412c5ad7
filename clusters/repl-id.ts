import { randomBytes } from "node:crypto";

/** The letters of base32 (RFC 4648 section 6) in lower case: all are fit for a DNS label. */
const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
const LETTERS = 26;
const LENGTH = 12;

/** A new id: 12 characters, the first a letter; about 2^59 of them. */
export function newReplId(): string {
  const bytes = randomBytes(LENGTH);
  const rest = [...bytes.subarray(1, LENGTH)].map((byte) => ALPHABET.charAt(byte % 32));
  return ALPHABET.charAt(bytes.readUInt8(0) % LETTERS) + rest.join("");
}
