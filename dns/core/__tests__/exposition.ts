/**
 * Reads Prometheus's text format 0.0.4 as its specification has it, and throws at what it does not
 * allow: written without a look at the writer.
 */
export interface Metric {
  readonly type: string;
  readonly help: string;
  /** Values by the sample's name and labels, `name{a="b"}`, labels in order and unescaped. */
  readonly samples: Map<string, number>;
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)/;
const SUFFIXES: Record<string, readonly string[]> = {
  counter: [""],
  gauge: [""],
  histogram: ["_bucket", "_sum", "_count"],
};

export function readExposition(text: string): Map<string, Metric> {
  if (text !== "" && !text.endsWith("\n")) throw new Error("the last line has no end");
  const metrics = new Map<string, Metric>();
  let current: [name: string, help: string] | undefined;
  let metric: Metric | undefined;
  for (const line of text.split("\n").slice(0, -1)) {
    const help = new RegExp(`^# HELP (${NAME}) (.+)$`, "s").exec(line);
    const type = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram)$`).exec(line);
    if (help) {
      if (metrics.has(help[1]!)) throw new Error(`${help[1]} is there twice`);
      current = [help[1]!, unescaped(help[2]!)];
      metric = undefined;
    } else if (type) {
      if (!current || type[1] !== current[0]) throw new Error(`a type without help: ${line}`);
      metric = { type: type[2]!, help: current[1], samples: new Map() };
      metrics.set(current[0], metric);
    } else {
      if (!metric || !current) throw new Error(`a sample of no metric: ${line}`);
      addSample(line, current[0], metric);
    }
  }
  for (const [name, one] of metrics) check(name, one);
  return metrics;
}

function addSample(line: string, family: string, { type, samples }: Metric): void {
  const parts = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`, "s").exec(line);
  if (!parts) throw new Error(`cannot read: ${line}`);
  const [, name, labels = "", value] = parts;
  if (!SUFFIXES[type]!.some((suffix) => name === family + suffix)) {
    throw new Error(`${name} is not of ${family}`);
  }
  const key = `${name}{${readLabels(labels)}}`;
  if (samples.has(key)) throw new Error(`${key} is there twice`);
  if (!/^(NaN|[+-]Inf|-?\d+(\.\d+)?(e[+-]?\d+)?)$/.test(value!)) {
    throw new Error(`no number: ${line}`);
  }
  samples.set(key, Number(value!.replace("Inf", "Infinity")));
}

function readLabels(text: string): string {
  const pairs: string[] = [];
  let rest = text;
  while (rest !== "") {
    const pair = LABEL.exec(rest);
    if (!pair) throw new Error(`cannot read the labels: ${text}`);
    pairs.push(`${pair[1]}="${unescaped(pair[2]!)}"`);
    rest = rest.slice(pair[0].length);
    if (pair[3] === "," && rest === "") throw new Error(`a comma at the end: ${text}`);
  }
  return pairs.join(",");
}

const unescaped = (text: string): string =>
  text.replace(/\\(.)/gs, (_, letter: string) => (letter === "n" ? "\n" : letter));

function check(name: string, { type, samples }: Metric): void {
  if (samples.size === 0) throw new Error(`${name} has no samples`);
  if (type === "counter" && !name.endsWith("_total")) throw new Error(`${name} is a counter`);
  if (type !== "histogram") return;
  const buckets = [...samples].filter(([key]) => key.startsWith(`${name}_bucket`));
  const bounds = buckets.map(([key]) => Number(/le="([^"]+)"/.exec(key)![1]!.replace("Inf", "Infinity")));
  const counts = buckets.map(([, count]) => count);
  const isRising = (values: number[]): boolean => values.every((v, i) => i === 0 || v >= values[i - 1]!);
  if (bounds.at(-1) !== Infinity || !isRising(bounds) || !isRising(counts)) {
    throw new Error(`${name}: its buckets do not rise to +Inf`);
  }
  if (samples.get(`${name}_count{}`) !== counts.at(-1)) throw new Error(`${name}: wrong count`);
}
