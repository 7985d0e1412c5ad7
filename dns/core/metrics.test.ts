import { spawnSync } from "node:child_process";

import { describe, expect, it } from "vitest";

import { readExposition } from "./__tests__/exposition";
import { RCODE, TYPE } from "./codes";
import { Counters, newCounterBuffer, OVER, totalsOf } from "./counters";
import { formatMetrics } from "./exposition";
import { EventCounts, type Facts, metricsOf, rcodeName } from "./metrics";

const hasPromtool = spawnSync("promtool", ["--version"]).error === undefined;

function facts(): Facts {
  const buffer = newCounterBuffer();
  const counters = new Counters(buffer);
  const answered = { type: TYPE.A, rcode: RCODE.NOERROR, isTruncated: false, length: 50 };
  for (let i = 0; i < 3; i++) {
    counters.outcome(OVER.UDP, 30, { ...answered, verdict: "answer" });
    counters.took(70);
  }
  counters.outcome(OVER.UDP, 30, { ...answered, verdict: "slip" });
  counters.outcome(OVER.TCP, 30, { ...answered, type: 999, rcode: 11, verdict: "answer" });
  counters.outcome(OVER.TCP, 5, { ...answered, type: 0, length: 0, verdict: "answer" });
  counters.batch(32);
  const events = new EventCounts();
  events.add("transfer", "NOERROR");
  events.add("transfer", "NOERROR");
  events.add("bad_signature", "BADKEY");
  const zone = (index: number) => ({ name: `z${index}.test`, serial: index, names: 3, rrsets: 2 });
  return {
    totals: totalsOf([buffer]),
    instanceId: "host-1",
    udpPath: "portable",
    workers: 1,
    workerDeaths: 2,
    repls: 7,
    tableOctets: 4096,
    tableCapacity: 100,
    zones: Array.from({ length: 150 }, (_, index) => zone(index)),
    seq: 12,
    revision: 34,
    logAgeSeconds: 0.5,
    zonesAgeSeconds: null,
    events,
    domains: { active: 4 },
    process: { startedAtSeconds: 1e9, cpuSeconds: 1.5, residentOctets: 1e8 },
  };
}

const text = formatMetrics(metricsOf(facts()));

describe("metrics", () => {
  it("say what was counted", () => {
    const read = readExposition(text);
    const value = (name: string, labels = ""): number | undefined =>
      read.get(name)?.samples.get(`${name}{${labels}}`);
    const samples = (name: string): unknown =>
      Object.fromEntries(read.get(`stele_dns_${name}`)?.samples ?? []);
    expect(samples("queries_total")).toEqual({
      'stele_dns_queries_total{transport="udp",type="A"}': 4,
      'stele_dns_queries_total{transport="tcp",type="none"}': 1,
      'stele_dns_queries_total{transport="tcp",type="other"}': 1,
    });
    expect(value("stele_dns_responses_total", 'rcode="NOERROR"')).toBe(4);
    expect(value("stele_dns_responses_total", 'rcode="RCODE11"')).toBe(1);
    expect(value("stele_dns_responses_total", 'rcode="SERVFAIL"')).toBe(0);
    expect(value("stele_dns_dropped_total", 'reason="short"')).toBe(1);
    expect(value("stele_dns_rate_limited_total", 'action="slip"')).toBe(1);
    const latency = read.get("stele_dns_latency_seconds")!.samples;
    expect(latency.get('stele_dns_latency_seconds_bucket{le="0.000064"}')).toBe(0);
    expect(latency.get('stele_dns_latency_seconds_bucket{le="0.000128"}')).toBe(3);
    expect(latency.get("stele_dns_latency_seconds_sum{}")).toBe(0.00021);
    expect(value("stele_dns_transfers_total", 'rcode="NOERROR"')).toBe(2);
    expect(value("stele_dns_bad_signatures_total", 'error="BADKEY"')).toBe(1);
    expect(value("stele_dns_log_age_seconds")).toBe(0.5);
    expect(value("stele_dns_info", 'instance_id="host-1",udp="portable"')).toBe(1);
  });

  it("leave out what is not known, and what would have no end", () => {
    const read = readExposition(text);
    expect(read.has("stele_dns_zones_age_seconds")).toBe(false);
    expect(read.has("stele_dns_updates_total")).toBe(false);
    expect(read.get("stele_dns_zones")!.samples.get("stele_dns_zones{}")).toBe(150);
    expect(read.get("stele_dns_rrsets")!.samples.get("stele_dns_rrsets{}")).toBe(300);
    expect(read.get("stele_dns_zone_serial")!.samples.size).toBe(100);
  });

  it.skipIf(!hasPromtool)(
    hasPromtool
      ? "pass promtool's checks"
      : "pass promtool's checks (skipped: it is not installed)",
    () => {
      const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], {
        input: text,
        encoding: "utf8",
      });
      expect({ status, said: stdout + stderr }).toEqual({ status: 0, said: "" });
    },
  );
});

it("response codes have names", () => {
  expect([0, 16, 11, 24].map(rcodeName)).toEqual(["NOERROR", "BADVERS", "RCODE11", "other"]);
});
