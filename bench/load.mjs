// A load generator: the same request over and over on each of so many kept-alive connections, for a
// while. It is a process of its own, so that it can be given a core of its own, and speaks to sockets,
// since an HTTP client of Node costs more than the server that it would measure.
// usage: node load.mjs HOST:PORT CONNECTIONS SECONDS PATH; prints { count, rps, p50, p99 } as JSON
import { connect } from "node:net";

const [address, connectionCount, seconds, path] = process.argv.slice(2);
const [host, port] = address.split(":");
/** As many latencies are kept; what a run of a few seconds can reach. */
const MAX_SAMPLES = 2_000_000;

const request = Buffer.from(
  `GET ${path} HTTP/1.1\r\nhost: ${address}\r\nuser-agent: bench\r\naccept: */*\r\n\r\n`,
);
const samplesMs = new Float64Array(MAX_SAMPLES);
let count = 0;
let ending = false;

/** The end of the first answer in `bytes`, or -1 while it is not whole. */
function answerEnd(bytes) {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd < 0) return -1;
  const head = bytes.latin1Slice(0, headEnd);
  if (!head.startsWith("HTTP/1.1 200")) throw new Error(`Unexpected answer: ${head.slice(0, 40)}`);
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
  const end = headEnd + 4;
  if (length !== undefined) return end + Number(length) <= bytes.length ? end + Number(length) : -1;
  const last = bytes.indexOf("0\r\n\r\n", end);
  return last < 0 ? -1 : last + 5;
}

function run() {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port), noDelay: true });
    let pending = Buffer.alloc(0);
    let askedAt = 0;
    const ask = () => {
      if (ending || count === MAX_SAMPLES) return socket.destroy();
      askedAt = performance.now();
      socket.write(request);
    };
    socket.on("connect", ask);
    socket.on("data", (chunk) => {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      const end = answerEnd(pending);
      if (end < 0) return;
      pending = pending.subarray(end);
      samplesMs[count++] = performance.now() - askedAt;
      ask();
    });
    socket.on("error", reject);
    socket.on("close", resolve);
  });
}

const startedAt = performance.now();
setTimeout(() => (ending = true), Number(seconds) * 1000);
await Promise.all(Array.from({ length: Number(connectionCount) }, run));
const elapsed = (performance.now() - startedAt) / 1000;
const sorted = samplesMs.subarray(0, count).sort();
const at = (share) => sorted[Math.min(count - 1, Math.floor(count * share))];
console.log(JSON.stringify({ count, rps: count / elapsed, p50: at(0.5), p99: at(0.99) }));
