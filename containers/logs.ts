import { appendFileSync, existsSync } from "node:fs";
import { copyFile, mkdir, open, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

import type { ContainerRef } from "./drivers/driver";
import { logFile } from "./host";

/** Two files of this size are kept: the end of the story, not all of it. */
const MAX_LOG_BYTES = 1024 * 1024;
const MAX_LINE_CHARS = 16 * 1024;

type App = Pick<ContainerRef, "clusterId" | "replId">;

export interface LogLine {
  /** ISO 8601; null where the app wrote it, which does not say when. */
  at: string | null;
  line: string;
}

export interface LogPage {
  items: LogLine[];
  /** Where the next read begins. */
  next: number;
}

const PLATFORM_LINE = /^\[stele (\S+)\] (.*)$/;

/** A line of the platform's own among the app's: why it started and ended. */
export function appendToLog(app: App, text: string): void {
  const file = logFile(app);
  if (!existsSync(dirname(file))) return;
  const line = `[stele ${new Date().toISOString()}] ${text.replaceAll("\n", " ")}\n`;
  appendFileSync(file, line, { mode: 0o600 });
}

const rotatedFile = (app: App): string => logFile(app).replace(/0$/, "1");
/** How many bytes were rotated away before the first one of `log.0`. */
const baseFile = (app: App): string => logFile(app).replace(/0$/, "base");

async function sizeOf(file: string): Promise<number> {
  return (await stat(file).catch(() => null))?.size ?? 0;
}

async function baseOf(app: App): Promise<number> {
  return Number(await readFile(baseFile(app), "utf8").catch(() => "0"));
}

/** Copies and truncates, since the app has the file open and appends to it. */
export async function rotateLog(app: App): Promise<void> {
  const file = logFile(app);
  const size = await sizeOf(file);
  if (size <= MAX_LOG_BYTES) return;
  await mkdir(dirname(file), { recursive: true });
  await copyFile(file, rotatedFile(app));
  await writeFile(baseFile(app), String((await baseOf(app)) + size));
  await truncate(file);
}

async function readFrom(file: string, from: number): Promise<string> {
  const handle = await open(file, "r").catch(() => null);
  if (!handle) return "";
  try {
    const size = (await handle.stat()).size;
    // Only the last part of a log that outgrew its limit between two rotations.
    const start = Math.max(from, size - MAX_LOG_BYTES, 0);
    const buffer = Buffer.alloc(Math.max(0, size - start));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, start);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await handle.close();
  }
}

function toLines(text: string): LogLine[] {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines.map((line) => {
    const own = PLATFORM_LINE.exec(line);
    if (own) return { at: own[1] ?? null, line: `stele: ${own[2]}` };
    return { at: null, line: line.slice(0, MAX_LINE_CHARS) };
  });
}

/**
 * The last `lines` lines that were written after the position `after` (0: from the first that is kept).
 * A page ends with a whole line, unless the last one is all there is.
 */
export async function readLog(app: App, lines: number, after: number): Promise<LogPage> {
  const base = await baseOf(app);
  const end = base + (await sizeOf(logFile(app)));
  let text = await readFrom(logFile(app), Math.max(0, after - base));
  if (after < base) {
    const rotated = await sizeOf(rotatedFile(app));
    text = (await readFrom(rotatedFile(app), Math.max(0, rotated - (base - after)))) + text;
  }
  return { items: toLines(text).slice(-lines), next: Math.max(end, after === 0 ? 0 : base) };
}

/** For an error's text: what the app said last. */
export async function lastLines(app: App, lines: number): Promise<string[]> {
  const page = await readLog(app, lines, 0);
  return page.items.map(({ line }) => line);
}
