// Where the time of a freeze goes: the spans of a move, as any OpenTelemetry collector gets them, put one
// behind the other.
import { createServer } from "node:http";

import { percentile } from "./figures.mjs";

/** Spans are sent in batches. */
const BATCH_MS = 6_000;

/** A collector of OTLP over HTTP, on a free port. */
export async function openCollector() {
  let spans = [];
  const server = createServer((incoming, response) => {
    const chunks = [];
    incoming.on("data", (chunk) => chunks.push(chunk));
    incoming.on("end", () => {
      const { resourceSpans } = JSON.parse(Buffer.concat(chunks).toString());
      for (const { scopeSpans } of resourceSpans) {
        for (const scope of scopeSpans) spans.push(...scope.spans);
      }
      response.end("{}");
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    settled: () => new Promise((resolve) => setTimeout(resolve, BATCH_MS)),
    take: () => {
      const taken = spans;
      spans = [];
      return taken;
    },
    close: () => server.close(),
  };
}

/** The effects during which requests may be held, in their order. */
const STEPS = [
  "migration.freeze_source",
  "migration.copy_delta",
  "migration.boot_destination",
  "migration.verify_destination",
  "migration.commit_placement",
  "migration.activate_destination",
  "migration.tombstone_source",
];

const msOf = (nanos) => Number(BigInt(nanos) / 1_000n) / 1_000;
const took = (span) => msOf(span.endTimeUnixNano) - msOf(span.startTimeUnixNano);

/** Prints the median and the 99th percentile of each step and of what is within it, over all moves. */
export function listTimeline(spans) {
  const children = byParent(spans);
  const rows = new Map();
  const add = (label, ms) => rows.set(label, [...(rows.get(label) ?? []), ms]);
  const addWithin = (span, indent) => {
    add(indent + span.name, took(span));
    for (const child of children.get(span.spanId) ?? []) addWithin(child, `${indent}  `);
  };
  for (const move of spans.filter(({ name }) => name === "migration.move")) {
    const own = children.get(move.spanId) ?? [];
    const steps = STEPS.flatMap((step) => own.findLast(({ name }) => name === step) ?? []);
    if (steps.length === 0) continue;
    const whole = msOf(steps.at(-1).endTimeUnixNano) - msOf(steps[0].startTimeUnixNano);
    add("from the freeze to the tombstone", whole);
    for (const step of steps) addWithin(step, "  ");
    add("  between the steps", whole - steps.map(took).reduce((sum, ms) => sum + ms, 0));
  }
  for (const [label, values] of rows) {
    const [p50, p99] = [percentile(values, 50), percentile(values, 99)];
    console.log(
      `  p50 ${p50.toFixed(1).padStart(7)} ms, p99 ${p99.toFixed(1).padStart(7)} ms ${label}`,
    );
  }
}

function byParent(spans) {
  const groups = new Map();
  for (const span of spans) {
    const { parentSpanId } = span;
    if (!groups.has(parentSpanId)) groups.set(parentSpanId, []);
    groups.get(parentSpanId).push(span);
  }
  return groups;
}
