import { open, readFile } from "node:fs/promises";

/**
 * The notes: a file of JSON lines, held open by this process alone, and the same in memory.
 *
 * Writes that arrive while the disk is busy are written together and share one sync, so that
 * durability costs a few milliseconds a batch and not a note.
 */
export async function openNotes(path) {
  const items = await load(path);
  const byId = new Map(items.map((note) => [note.id, note]));
  const file = await open(path, "a");
  await file.sync();
  let waiting = [];
  let flushing;

  async function flush() {
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      try {
        await file.appendFile(batch.map(({ note }) => `${JSON.stringify(note)}\n`).join(""));
        await file.datasync();
      } catch (error) {
        // The file's end is unknown now: a restart reads what is really there.
        for (const { reject } of batch) reject(error);
        setImmediate(() => {
          throw error;
        });
        return;
      }
      for (const { note, resolve } of batch) {
        items.push(note);
        byId.set(note.id, note);
        resolve(note);
      }
    }
    flushing = undefined;
  }

  return {
    items,
    get: (id) => byId.get(id),
    /** Resolves once the note is on disk. */
    add: (note) =>
      new Promise((resolve, reject) => {
        waiting.push({ note, resolve, reject });
        flushing ??= flush();
      }),
    close: async () => {
      await flushing;
      await file.close();
    },
  };
}

/** Read what is there. A last line without its end was never acknowledged: it is cut off. */
async function load(path) {
  const bytes = await readFile(path).catch((error) => {
    if (error.code === "ENOENT") return Buffer.alloc(0);
    throw error;
  });
  const end = bytes.lastIndexOf(10) + 1;
  if (end < bytes.length) {
    const file = await open(path, "r+");
    await file.truncate(end);
    await file.sync();
    await file.close();
  }
  const lines = bytes.subarray(0, end).toString("utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line));
}
