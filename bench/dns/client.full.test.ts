import { spawn } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { decode, encode, streamEncode } from "dns-packet";
import { afterAll, afterEach, describe, expect, it } from "vitest";

interface Figures {
  readonly sent: number;
  readonly replies: number;
  readonly wrong: number;
  readonly why: string;
  readonly p50: number;
  readonly closed: number;
}

/** What a server makes of a query: undefined for silence. */
type Answer = (name: string) => { rcode: number; address: string } | undefined;

const folder = mkdtempSync(join(tmpdir(), "stele-client-"));
const client = await build();
const names = join(folder, "names");
writeFileSync(names, "a.example 192.0.2.1\nb.example 192.0.2.2\n");
const right: Answer = (name) => ({
  rcode: 0,
  address: name === "a.example" ? "192.0.2.1" : "192.0.2.2",
});
const AUTHORITATIVE = 1 << 10;
const closing: (() => void)[] = [];

function replyTo(query: Buffer, answer: Answer): Buffer | undefined {
  const { id, questions = [] } = decode(query);
  const [question] = questions;
  const said = question && answer(question.name);
  if (!said) return undefined;
  return encode({
    type: "response",
    id: id ?? 0,
    flags: AUTHORITATIVE | said.rcode,
    questions,
    answers: [{ type: "A", name: question.name, ttl: 60, data: said.address }],
  });
}

async function udp(answer: Answer): Promise<number> {
  const socket: Socket = createSocket("udp4");
  socket.on("message", (query, { port, address }) => {
    const reply = replyTo(query, answer);
    if (reply) socket.send(reply, port, address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  closing.push(() => socket.close());
  return socket.address().port;
}

/** Answers what is whole in a chunk, the last first. */
async function tcp(answer: Answer): Promise<number> {
  const server: Server = createServer((socket) => {
    let pending = Buffer.alloc(0);
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      const replies: Buffer[] = [];
      while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
        const end = 2 + pending.readUInt16BE(0);
        const reply = replyTo(pending.subarray(2, end), answer);
        if (reply) replies.unshift(streamEncode({ ...decode(reply), type: "response" }));
        pending = pending.subarray(end);
      }
      socket.write(Buffer.concat(replies));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

async function load(mode: string, port: number): Promise<Figures> {
  const options = ["--seconds", "0.3", "--warm-up", "0.1", "--rate", "500", "--sockets", "2"];
  const target = ["--server", `127.0.0.1:${port}`, "--names", names];
  const child = spawn(client ?? "", [mode, ...options, ...target]);
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  await new Promise((resolve) => child.once("close", resolve));
  return JSON.parse(output) as Figures;
}

async function build(): Promise<string | undefined> {
  process.env.STELE_BENCH_CACHE = folder;
  try {
    // @ts-expect-error: a bench has no types
    const { installClient } = (await import("./install.mjs")) as { installClient: () => string };
    return installClient();
  } catch {
    return undefined;
  }
}

afterEach(() => {
  for (const close of closing.splice(0)) close();
});
afterAll(() => rmSync(folder, { recursive: true }));

// Skipped where there is no C compiler, as the bench itself is.
describe.skipIf(client === undefined)("the open-loop client", () => {
  it.each(["blast", "paced"])("%s counts right answers as right", async (mode) => {
    const { sent, replies, wrong } = await load(mode, await udp(right));
    expect(replies).toBeGreaterThan(0);
    expect(sent).toBeGreaterThanOrEqual(replies);
    expect(wrong).toBe(0);
  });

  it("counts whole answers over TCP, in whatever order they come", async () => {
    const { replies, wrong, closed } = await load("tcp", await tcp(right));
    expect(replies).toBeGreaterThan(0);
    expect({ wrong, closed }).toEqual({ wrong: 0, closed: 0 });
  });

  it("says why an answer is wrong", async () => {
    const denied = await load("paced", await udp(() => ({ rcode: 3, address: "192.0.2.1" })));
    expect(denied).toMatchObject({ wrong: denied.replies, why: "response code 3" });
    const astray = await load("blast", await udp(() => ({ rcode: 0, address: "192.0.2.9" })));
    expect(astray.wrong).toBeGreaterThan(0);
    expect(astray.why).toBe("another address");
  });

  it("sends on when nobody answers", async () => {
    const { sent, replies } = await load("paced", await udp(() => undefined));
    expect(sent).toBe(150);
    expect(replies).toBe(0);
  });
});
