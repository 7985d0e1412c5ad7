// One run of the client on one server, and what to make of several.
import { createSocket } from "node:dgram";

import { decode, encode } from "dns-packet";

import { PROBE, ZONE } from "./names.mjs";
import { runClient } from "./place.mjs";

/** As a resolver's many ports: the kernel and SO_REUSEPORT tell askers apart by them. */
const SOCKETS = 64;
const TCP_CONNECTIONS = 20;
const PACED_SOCKETS = 4;
export const PACE = 20_000;

/** How each part loads. */
export const PARTS = {
  udp: ["blast", "--sockets", String(SOCKETS)],
  tcp: ["tcp", "--sockets", String(TCP_CONNECTIONS)],
  latency: ["paced", "--sockets", String(PACED_SOCKETS), "--rate", String(PACE)],
};

const CHECK = ["paced", "--sockets", "1", "--rate", "2000", "--warm-up", "0", "--seconds", "0.5"];
const ANSWER_EVERY_MS = 20;

/** Figures of one run; throws when an answer was wrong, or none came. */
async function runOnce({ client, namesFile }, server, args, core) {
  const { address, pids, isFloor } = server;
  const target = ["--server", address, "--names", namesFile, "--pids", pids.join(",")];
  const unchecked = isFloor ? ["--unchecked"] : [];
  const command = [client, ...args, ...target, ...unchecked];
  const figures = JSON.parse(await runClient(command, core));
  if (figures.wrong > 0) {
    throw new Error(`${figures.wrong} of ${figures.replies} answers were wrong: ${figures.why}`);
  }
  if (figures.replies === 0) throw new Error("it answered nothing");
  return figures;
}

/** Whether a server answers as it should, before it is measured. */
export async function check(tools, server) {
  await runOnce(tools, server, CHECK);
}

/** One measured run of a part. */
export async function measure(tools, server, part, seconds) {
  const figures = await runOnce(tools, server, [...PARTS[part], "--seconds", String(seconds)]);
  const { replies, sent, userUs, systemUs, closed, p50, p99, p999, longest } = figures;
  return {
    perSecond: replies / figures.seconds,
    lost: part === "tcp" ? 0 : Math.max(0, 1 - replies / sent),
    userUs: userUs / replies,
    systemUs: systemUs / replies,
    ...(part === "tcp" && { closed }),
    ...(part === "latency" && { p50, p99, p999, longest }),
  };
}

/** As many clients at once as there are cores for them: all answers, and what the server used for each. */
export async function measureBy(clients, tools, server, seconds) {
  const args = [...PARTS.udp, "--seconds", String(seconds)];
  const all = await Promise.all(clients.map((core) => runOnce(tools, server, args, core)));
  const sum = (key) => all.reduce((total, one) => total + one[key], 0);
  const replies = sum("replies");
  return {
    perSecond: sum("replies") / (sum("seconds") / all.length),
    lost: Math.max(0, 1 - replies / sum("sent")),
    // Each has seen all of it.
    userUs: sum("userUs") / all.length / replies,
    systemUs: sum("systemUs") / all.length / replies,
  };
}

/** Each figure's middle one by itself. */
export function medians(runs) {
  const keys = Object.keys(runs[0]);
  const middle = (key) => {
    const sorted = runs.map((run) => run[key]).toSorted((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)];
  };
  return Object.fromEntries(keys.map((key) => [key, middle(key)]));
}

/** What a server says once it knows the names, and what one does that has none. */
const KNOWS_NAMES = {
  question: { type: "A", name: PROBE.name },
  isRight: ({ answers }) => answers.some(({ data }) => data === PROBE.address),
};
export const KNOWS_ZONE = {
  question: { type: "SOA", name: ZONE },
  isRight: ({ answers }) => answers.length === 1,
};

/** Resolves at the first right answer over UDP; throws when the server has ended, or at the deadline. */
export async function firstAnswer(server, deadlineMs, { question, isRight } = KNOWS_NAMES) {
  const { port, isFloor, isRunning, said } = server;
  const socket = createSocket("udp4");
  socket.on("error", () => {});
  const query = encode({ type: "query", id: 1, questions: [question] });
  const answered = new Promise((resolve) => {
    socket.on("message", (message) => {
      if (isFloor || isRight(decode(message))) resolve(true);
    });
  });
  const end = performance.now() + deadlineMs;
  try {
    for (;;) {
      socket.send(query, port, "127.0.0.1");
      const pause = new Promise((resolve) => setTimeout(resolve, ANSWER_EVERY_MS, false));
      if (await Promise.race([answered, pause])) return;
      const last = said().split("\n").at(-1);
      if (!isRunning()) throw new Error(`it ended: ${last}`);
      if (performance.now() > end) throw new Error(`no answer in ${deadlineMs / 1000} s: ${last}`);
    }
  } finally {
    socket.close();
  }
}
