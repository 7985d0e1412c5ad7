/** How the command line shows things. Pure: times are given, colours are asked for. */

const ESC = "\u001b";
const ANSI = new RegExp(`${ESC}\\[[0-9;]*m`, "g");

export type Paint = (text: string) => string;

/** The first `columns` columns of a line, colours and all. */
export function clip(line: string, columns: number): string {
  let left = columns;
  return line
    .split(new RegExp(`(${ANSI.source})`))
    .map((part, at) => {
      if (at % 2 === 1) return part; // A colour code: the pattern is what the line was split at.
      const kept = Array.from(part).slice(0, left).join("");
      left -= width(kept);
      return kept;
    })
    .join("");
}

export interface Palette {
  readonly bold: Paint;
  readonly dim: Paint;
  readonly red: Paint;
  readonly green: Paint;
  readonly yellow: Paint;
}

/** Colours, or none of them. */
export function palette(enabled: boolean): Palette {
  const paint =
    (code: number): Paint =>
    (text) =>
      enabled && text !== "" ? `${ESC}[${code}m${text}${ESC}[0m` : text;
  return { bold: paint(1), dim: paint(2), red: paint(31), green: paint(32), yellow: paint(33) };
}

/** Columns a text takes on a terminal: colour codes take none. */
export function width(text: string): number {
  return Array.from(text.replace(ANSI, "")).length;
}

const GAP = "  ";

/** Aligned columns without lines. A title that starts with `>` is aligned right. */
export function table(titles: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  const right = titles.map((title) => title.startsWith(">"));
  const head = titles.map((title) => title.replace(/^>/, ""));
  return columns([head, ...rows], right);
}

/** Rows without titles: `name  value`. */
export function columns(
  rows: ReadonlyArray<readonly string[]>,
  right: readonly boolean[] = [],
): string {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, at) =>
    Math.max(0, ...rows.map((row) => width(row[at] ?? ""))),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, at) => {
        const padding = " ".repeat((widths[at] ?? 0) - width(cell));
        return right[at] ? padding + cell : cell + padding;
      })
      .join(GAP)
      .trimEnd();
  return rows.map(line).join("\n");
}

/** `850 µs`, `12 ms`, `3.1 s`, `4 m 10 s`, `2 h 5 m`, `3 d 4 h`. */
export function duration(ms: number): string {
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 999.5) return `${ms < 10 ? trimZero(ms.toFixed(1)) : Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${whole % 60} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} m`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

function trimZero(text: string): string {
  return text.replace(/\.0$/, "");
}

/** How long ago an ISO instant was; empty for none. */
export function age(at: string | null, nowMs: number): string {
  return at === null ? "" : duration(Math.max(0, nowMs - Date.parse(at)));
}

/** `1 app`, `3 apps`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** `0 B`, `512 B`, `1.5 KB`, `20 MB`, `3.2 GB`: of 1,000, as disks and networks are sold. */
export function bytes(size: number): string {
  if (size < 1_000) return `${size} B`;
  const units = ["KB", "MB", "GB", "TB"];
  const power = Math.min(units.length, Math.floor(Math.log10(size) / 3));
  const value = size / 1_000 ** power;
  return `${value < 10 ? trimZero(value.toFixed(1)) : Math.round(value)} ${units[power - 1]}`;
}

const BAR_WIDTH = 30;

/** How far something is, from 0 to 1. */
export function bar(part: number): string {
  const full = Math.max(0, Math.min(BAR_WIDTH, Math.round(part * BAR_WIDTH)));
  return "█".repeat(full) + "░".repeat(BAR_WIDTH - full);
}
