/** Metrics as Prometheus reads them: its text format, version 0.0.4. */

export const EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export type Labels = Readonly<Record<string, string>>;

/** A metric, and its values by labels. One without samples is not shown. */
export type Family =
  | {
      readonly kind: "counter" | "gauge";
      readonly name: string;
      readonly help: string;
      readonly samples: readonly Sample[];
    }
  | {
      readonly kind: "histogram";
      readonly name: string;
      readonly help: string;
      readonly buckets: Buckets;
    };

export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** How many values were at most each bound and above the one before; the last count has no bound. */
export interface Buckets {
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  readonly sum: number;
}

export function formatMetrics(families: readonly Family[]): string {
  return families.map(formatFamily).join("");
}

function formatFamily(family: Family): string {
  const lines = family.kind === "histogram" ? bucketLines(family) : sampleLines(family);
  if (lines.length === 0) return "";
  const { name, help, kind } = family;
  const head = `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${kind}\n`;
  return `${head}${lines.join("\n")}\n`;
}

function sampleLines({ name, samples }: Family & { kind: "counter" | "gauge" }): string[] {
  return samples.map(({ labels, value }) => line(name, labels, value));
}

/** Prometheus counts from below: each bucket holds all that are smaller too. */
function bucketLines({ name, buckets }: Family & { kind: "histogram" }): string[] {
  let count = 0;
  const lines = buckets.counts.map((more, index) => {
    count += more;
    const bound = buckets.bounds[index] ?? Infinity;
    return line(`${name}_bucket`, { le: formatValue(bound) }, count);
  });
  return [...lines, line(`${name}_sum`, {}, buckets.sum), line(`${name}_count`, {}, count)];
}

function line(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
  return `${name}${pairs.length > 0 ? `{${pairs.join(",")}}` : ""} ${formatValue(value)}`;
}

/** As Go reads a float. */
function formatValue(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (Number.isFinite(value)) return String(value);
  return value > 0 ? "+Inf" : "-Inf";
}

const escapeHelp = (text: string): string => text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n");

const escapeLabel = (text: string): string => escapeHelp(text).replace(/"/g, '\\"');
