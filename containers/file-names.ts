import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";

/**
 * Names as bytes: a file system takes any, Node's texts only UTF-8. A byte that is part of no character
 * is written as a lone surrogate, U+DC00 and the byte; so each name has one text, and back.
 */

const ESCAPE = 0xdc00;
/** What Node makes of such bytes when it is asked for texts. */
export const BROKEN = "\ufffd";

export function textOf(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString();
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const length = [1, 2, 3, 4].find((count) => isUtf8(bytes.subarray(at, at + count)));
    if (length === undefined) text += String.fromCharCode(ESCAPE + (bytes[at] ?? 0));
    else text += bytes.toString("utf8", at, at + length);
    at += length ?? 1;
  }
  return text;
}

const ESCAPED = /\p{Surrogate}/u;

/** What a file system is asked for: the text itself, where it is one. */
export function bytesOf(text: string): string | Buffer {
  if (!ESCAPED.test(text)) return text;
  return Buffer.concat(
    Array.from(text, (char) => {
      const code = char.codePointAt(0) ?? 0;
      const isEscape = code >= ESCAPE && code <= ESCAPE + 0xff;
      return isEscape ? Buffer.from([code - ESCAPE]) : Buffer.from(char);
    }),
  );
}

/** A path of a manifest below a folder. */
export function inside(folder: string, path: string): string | Buffer {
  return bytesOf(`${folder}/${path}`);
}

/** A name for what belongs to a path, as long as any. */
export function hashOfPath(path: string): string {
  return createHash("sha256").update(bytesOf(path)).digest("hex");
}

/** For people: what is no character is shown as none. */
export function shown(path: string): string {
  return Buffer.from(path).toString();
}
