/** Reads the copy on disk of everything that is answered: enough to start without a database. */
import { type FileHandle, open } from "node:fs/promises";

import log from "encore.dev/log";

import type { Batch } from "./core/catalog";
import { type JournalHead, JournalReader, lastSeq } from "./core/journal";

/** Read at a time: what is made of it must not hold up the process. */
const CHUNK_OCTETS = 65_536;
/** Many times the longest line, which holds one RRset too many. */
const MAX_LINE_OCTETS = 4 * 2 ** 20;
const LINE_FEED = 0x0a;

export interface StoredSnapshot extends JournalHead {
  /** How far it seems to lead; undefined when its end cannot be read. */
  readonly lastSeq: number | undefined;
  /**
   * Everything, in parts of which the first begins anew. It counts when all parts have come: an error
   * says that the file is not whole, and as good as none. What is torn or altered behind its base is
   * left out, with all that follows; that is told in the log.
   */
  readonly batches: () => AsyncGenerator<Batch>;
}

/** What seems to be in `file`, or undefined when there is none that can be used. */
export async function findSnapshot(file: string): Promise<StoredSnapshot | undefined> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file);
    const { size } = await handle.stat();
    const start = await readAt(handle, 0);
    const end = await readAt(handle, Math.max(0, size - CHUNK_OCTETS));
    const reader = new JournalReader();
    reader.take(start.subarray(0, start.indexOf(LINE_FEED)).toString());
    return { ...reader.head!, lastSeq: lastSeq(end.toString()), batches: () => readBatches(file) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
      log.warn("cannot read the snapshot", { file, reason: String(error) });
    }
    return undefined;
  } finally {
    await handle?.close();
  }
}

async function readAt(handle: FileHandle, position: number): Promise<Buffer> {
  const chunk = Buffer.allocUnsafe(CHUNK_OCTETS);
  const { bytesRead } = await handle.read(chunk, 0, CHUNK_OCTETS, position);
  return chunk.subarray(0, bytesRead);
}

async function* readBatches(file: string): AsyncGenerator<Batch> {
  const reader = new JournalReader();
  const handle = await open(file);
  try {
    let lines = 0;
    for await (const { text, isEnded } of readLines(handle)) {
      lines++;
      try {
        if (!isEnded) throw new Error("the last line is torn");
        const batch = reader.take(text);
        if (batch) yield batch;
      } catch (error) {
        if (!reader.isWhole) throw error;
        const fields = { file, line: lines, reason: String(error) };
        // Later lines cannot count: they build on this one, and lead beyond it in the log.
        log.error("the snapshot is used up to a line that cannot be read", fields);
        return;
      }
    }
    if (!reader.isWhole) throw new Error("it ends before its base does");
  } finally {
    await handle.close();
  }
}

interface Line {
  readonly text: string;
  /** False for octets behind the last line feed. */
  readonly isEnded: boolean;
}

async function* readLines(handle: FileHandle): AsyncGenerator<Line> {
  let rest: Buffer[] = [];
  let restOctets = 0;
  for (let position = 0; ;) {
    const chunk = await readAt(handle, position);
    if (chunk.length === 0) break;
    position += chunk.length;
    let from = 0;
    for (let to = chunk.indexOf(LINE_FEED); to >= 0; to = chunk.indexOf(LINE_FEED, from)) {
      const text = Buffer.concat([...rest, chunk.subarray(from, to)]).toString();
      rest = [];
      restOctets = 0;
      from = to + 1;
      yield { text, isEnded: true };
    }
    rest.push(chunk.subarray(from));
    restOctets += chunk.length - from;
    if (restOctets > MAX_LINE_OCTETS) break;
  }
  if (restOctets > 0) yield { text: Buffer.concat(rest).toString(), isEnded: false };
}
