import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import { RateLimiter } from "../core/rate-limit";
import { fuzz, fuzzedServer } from "./fuzz";
import { fuzzSigned } from "./fuzz-signed";

const USAGE = "npm run fuzz -- dns [--packets N] [--seed N]";
const DEFAULT_PACKETS = 10_000_000;
/** What a run may keep, beyond what it holds once it is warm. */
const MAX_GROWTH_OCTETS = 8 * 1024 * 1024;
/** One message in so many is signed: the main thread reads 500 a second, the worker any number. */
const SIGNED_SHARE = 20;
const BUCKET_NS = 250;
const BUCKETS = 40_000;

/** Answers so many mutated packets; false when one breaks something, or memory grows. */
export function main(argv: readonly string[], print: (line: string) => void): boolean {
  const { seed, packets } = readOptions(argv);
  const limiter = new RateLimiter({ perSecond: 1_000, exempt: [], seed });
  const server = fuzzedServer(limiter);
  const times = new Uint32Array(BUCKETS);
  let slowest = 0;
  let warm = 0;
  const { broken, outcomes } = fuzz(server, {
    seed,
    packets,
    onPacket(index, nanoseconds) {
      const bucket = Math.min(BUCKETS - 1, Math.floor(nanoseconds / BUCKET_NS));
      times[bucket] = times[bucket]! + 1;
      slowest = Math.max(slowest, nanoseconds);
      if (index === Math.floor(packets / 10)) warm = heldOctets();
    },
  });
  const signed = fuzzSigned({ seed, packets: Math.ceil(packets / SIGNED_SHARE) });
  const growth = heldOctets() - warm;
  print(`${packets} packets from seed ${seed}: ${JSON.stringify(outcomes)}`);
  const shown = [0.5, 0.99, 0.999, 0.9999].map((q) => `p${q * 100} ${quantile(times, q)} µs`);
  print(`figure: time of an answer ${shown.join(", ")}, slowest ${slowest / 1000} µs`);
  print(`memory grew by ${Math.round(growth / 1024)} KiB`);
  print(`and signed ones: ${JSON.stringify(signed.outcomes)}`);
  const faults = [broken, signed.broken].filter((fault) => fault !== undefined);
  for (const { index, reason, packet } of faults) {
    print(`packet ${index} of seed ${seed}: ${reason}\n${packet}`);
  }
  return faults.length === 0 && growth <= MAX_GROWTH_OCTETS;
}

function heldOctets(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function quantile(times: Uint32Array, share: number): number {
  const total = times.reduce((sum, count) => sum + count, 0);
  let seen = 0;
  for (const [bucket, count] of times.entries()) {
    seen += count;
    if (seen >= share * total) return ((bucket + 1) * BUCKET_NS) / 1000;
  }
  return (BUCKETS * BUCKET_NS) / 1000;
}

function readOptions(argv: readonly string[]): { seed: number; packets: number } {
  const options: Record<string, number> = {};
  for (let index = 0; index < argv.length; index += 2) {
    const [name, value] = [argv[index], Number(argv[index + 1])];
    if ((name !== "--seed" && name !== "--packets") || !Number.isSafeInteger(value) || value < 1) {
      throw new Error(`Cannot fuzz "${argv.join(" ")}": expected ${USAGE}`);
    }
    options[name] = value;
  }
  const seed = options["--seed"] ?? Date.now() % 1_000_000_000;
  return { seed, packets: options["--packets"] ?? DEFAULT_PACKETS };
}
