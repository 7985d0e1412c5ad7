import { open, readFile, truncate } from "node:fs/promises";

const cluster = process.env.STELE_CLUSTER ?? "no cluster";
const generation = Number(process.env.STELE_GENERATION ?? 0);

/**
 * Lines `{ seq, by, n, cluster, generation }`, where `seq` goes on from the last line that the file had: two
 * writers at once would give a number twice. Nothing is written before the first line is: an app that has
 * written no file is stateless.
 */
export async function openLog(path) {
  const lines = (await read(path)).split("\n").slice(0, -1);
  const last = new Map();
  for (const line of lines) remember(JSON.parse(line));
  let file;
  let waiting = [];
  let flushing;

  function remember({ by, n }) {
    last.set(by, Math.max(n, last.get(by) ?? 0));
  }

  async function flush() {
    file ??= await open(path, "a");
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      await file.appendFile(batch.map(({ line }) => `${line}\n`).join(""));
      await file.datasync();
      for (const { line, entry, resolve } of batch) {
        lines.push(line);
        resolve(entry);
      }
    }
    flushing = undefined;
  }

  let seq = lines.length;
  const log = {
    text: () => lines.map((line) => `${line}\n`).join(""),
    /** Resolves once it is on disk. */
    add: ({ by, n }) =>
      new Promise((resolve) => {
        seq += 1;
        const entry = { seq, by, n, cluster, generation };
        remember(entry);
        waiting.push({ line: JSON.stringify(entry), entry, resolve });
        flushing ??= flush();
      }),
    /** A message that comes again, since its answer was lost, is there once. */
    addOnce: async (message) => {
      if (message.n <= (last.get(message.by) ?? 0)) await flushing;
      else await log.add(message);
    },
    close: async () => {
      await flushing;
      await file?.close();
    },
  };
  return log;
}

/** A last line without its end was never acknowledged. */
async function read(path) {
  try {
    const text = await readFile(path, "utf8");
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    if (whole.length < text.length) await truncate(path, Buffer.byteLength(whole));
    return whole;
  } catch (error) {
    if (error.code === "ENOENT") return "";
    throw error;
  }
}
