import type { Channel } from "./channel";
import type { MessageStream } from "./message-stream";

/** The process goes away, among the close codes of RFC 6455, section 7.4.1. */
const GOING_AWAY = 1001;

/** A handler that learns of the end has this long to say its last. */
const LAST_WORDS_MS = 500;

/** A client that is gone does not answer the close; the process does not wait longer for it. */
const CLOSE_ANSWER_MS = 500;

/**
 * Ends a stream because the process ends: its handler receives no more, says its last, then the stream
 * is closed. A handler that does not even end then is not waited for.
 */
export async function farewell(stream: MessageStream, handled: Promise<void>): Promise<void> {
  stream.stopReceiving();
  await within(LAST_WORDS_MS, Promise.race([handled, stream.closed]));
  await sayGoodbye([stream], stream.closed);
  await within(LAST_WORDS_MS, handled);
}

/** Closes what belongs together, and cuts it off when it is not closed in time. */
export async function sayGoodbye(
  all: readonly Pick<Channel, "close" | "destroy">[],
  closed: Promise<void>,
): Promise<void> {
  for (const one of all) one.close(GOING_AWAY, "the service is shutting down");
  if (await within(CLOSE_ANSWER_MS, closed)) return;
  for (const one of all) one.destroy();
}

/** Whether it happened in time. */
async function within(ms: number, what: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const inTime = await Promise.race([what.then(() => true), late]);
  clearTimeout(timer);
  return inTime;
}

/** A control frame holds 125 bytes (RFC 6455 section 5.5); two of them are the code. */
const MAX_REASON_BYTES = 123;

/** As much of a text as a close frame can carry. */
export function reasonText(text: string): string {
  let bytes = 0;
  let end = 0;
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > MAX_REASON_BYTES) break;
    end += character.length;
  }
  return text.slice(0, end);
}
