import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { readExposition } from "./__tests__/exposition";
import { type Family, formatMetrics } from "./exposition";

describe("the text format of Prometheus", () => {
  it("is as its specification shows it", () => {
    const families: Family[] = [
      {
        kind: "counter",
        name: "queries_total",
        help: "Back\\slash,\nand a new line",
        samples: [
          { labels: { path: 'C:\\DIR\\"x"\n' }, value: 1027 },
          { labels: {}, value: 1e300 },
        ],
      },
      {
        kind: "histogram",
        name: "took_seconds",
        help: "Time",
        buckets: { bounds: [0.5, 1], counts: [2, 0, 3], sum: 7.25 },
      },
      { kind: "gauge", name: "absent", help: "Has no value", samples: [] },
      { kind: "gauge", name: "age", help: "Age", samples: [{ labels: {}, value: Infinity }] },
    ];
    expect(formatMetrics(families).split("\n")).toEqual([
      "# HELP queries_total Back\\\\slash,\\nand a new line",
      "# TYPE queries_total counter",
      'queries_total{path="C:\\\\DIR\\\\\\"x\\"\\n"} 1027',
      "queries_total 1e+300",
      "# HELP took_seconds Time",
      "# TYPE took_seconds histogram",
      'took_seconds_bucket{le="0.5"} 2',
      'took_seconds_bucket{le="1"} 2',
      'took_seconds_bucket{le="+Inf"} 5',
      "took_seconds_sum 7.25",
      "took_seconds_count 5",
      "# HELP age Age",
      "# TYPE age gauge",
      "age +Inf",
      "",
    ]);
  });

  it("gives a reader back what was written, whatever the labels", () => {
    const property = fc.property(
      fc.uniqueArray(fc.string({ unit: "binary" })),
      fc.double(),
      (texts, value) => {
        const samples = texts.map((text) => ({ labels: { text }, value }));
        const family = { kind: "gauge", name: "some", help: "Some", samples } as const;
        const read = readExposition(formatMetrics([family])).get("some");
        const expected = texts.map((text) => [`some{text="${text}"}`, value]);
        expect([...(read?.samples ?? [])]).toEqual(expected);
      },
    );
    fc.assert(property, { numRuns: 300 });
  });
});
