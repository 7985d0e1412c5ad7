import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server } from "node:net";

import packet, { type Packet } from "dns-packet";
import { afterEach, describe, expect, it } from "vitest";

import type { Explained } from "./api-types";
import { renderDug } from "./commands/dig";
import { dig, type Dug, serverAddress } from "./dig";
import { palette } from "./format";

const open: (Socket | Server)[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

/** A name server on one port, over UDP and TCP. */
async function serve(answerTo: (question: Packet, over: "udp" | "tcp") => Packet) {
  const tcp = createServer((socket) => {
    socket.on("data", (data) => {
      socket.end(packet.streamEncode(answerTo(packet.streamDecode(data), "tcp")));
    });
  });
  tcp.listen(0, "127.0.0.1");
  await once(tcp, "listening");
  const { port } = tcp.address() as { port: number };
  const udp = createSocket("udp4");
  udp.on("message", (message, from) => {
    const stray = packet.encode(reply({ ...packet.decode(message), id: 1 }));
    udp.send(stray, from.port, from.address);
    udp.send(packet.encode(answerTo(packet.decode(message), "udp")), from.port, from.address);
  });
  udp.bind(port, "127.0.0.1");
  await once(udp, "listening");
  open.push(tcp, udp);
  return `127.0.0.1:${port}`;
}

function reply(question: Packet, rest: Partial<Packet> = {}): Packet {
  const { id = 0, questions = [] } = question;
  return { type: "response", id, questions, ...rest };
}

const a = { type: "A", name: "hello.demo.repl.test", ttl: 60, data: "192.0.2.1" } as const;

describe("dig", () => {
  it("asks over UDP with EDNS, and hears what the server calls itself", async () => {
    const nsid = [{ code: 3, data: Buffer.from("ns1-east") }];
    const opt = { type: "OPT", name: ".", udpPayloadSize: 1232, flags: 0, options: nsid };
    let asked: Packet | undefined;
    const server = await serve((question) => {
      asked = question;
      const additionals = [opt as unknown as typeof a];
      return reply(question, { flags: packet.AUTHORITATIVE_ANSWER, answers: [a], additionals });
    });
    expect(await dig(server, "hello.demo.repl.test", "A")).toMatchObject({
      transport: "udp",
      rcode: "NOERROR",
      flags: ["qr", "aa"],
      nsid: "ns1-east",
      answers: [{ name: "hello.demo.repl.test.", ttl: 60, type: "A", data: "192.0.2.1" }],
      additionals: [],
    });
    expect(asked).toMatchObject({
      additionals: [{ udpPayloadSize: 1232, options: [{ code: 3 }] }],
    });
  });

  it("asks over TCP what UDP has no room for", async () => {
    const server = await serve((question, over) => {
      if (over === "udp") return reply(question, { flags: packet.TRUNCATED_RESPONSE });
      return reply(question, { answers: [a, { ...a, data: "192.0.2.2" }] });
    });
    const dug = await dig(server, "hello.demo.repl.test", "A");
    expect([dug.transport, dug.answers.length]).toEqual(["tcp", 2]);
  });

  it("shows data as zone files have it", async () => {
    const name = "a.test";
    const server = await serve((question) =>
      reply(question, {
        answers: [
          { type: "TXT", name, ttl: 1, data: [Buffer.from('say "yes"'), Buffer.from("two")] },
          { type: "MX", name, ttl: 1, data: { preference: 10, exchange: "mail.test" } },
          { type: "CNAME", name, ttl: 1, data: "b.test" },
          { type: "CAA", name, ttl: 1, data: { flags: 0, tag: "issue", value: "ca.test" } },
          { type: "UNKNOWN_65" as "NULL", name, ttl: 1, data: Buffer.from([0, 1, 0]) },
        ],
      }),
    );
    const { answers } = await dig(server, name, "TYPE65");
    expect(answers.map(({ type, data }) => `${type} ${data}`)).toEqual([
      'TXT "say \\"yes\\"" "two"',
      "MX 10 mail.test.",
      "CNAME b.test.",
      'CAA 0 issue "ca.test"',
      "TYPE65 \\# 3 000100",
    ]);
  });

  it("says that nobody answers", async () => {
    await expect(dig("127.0.0.1:1", "a.test", "A", 10)).rejects.toThrow("does not answer");
  });

  it("means port 53 where none is said", () => {
    const given = ["192.0.2.1", "192.0.2.1:5300", "::1", "[::1]", "[::1]:5300"];
    expect(given.map(serverAddress)).toEqual([
      "192.0.2.1:53",
      "192.0.2.1:5300",
      "[::1]:53",
      "[::1]:53",
      "[::1]:5300",
    ]);
  });
});

describe("an explanation", () => {
  const dug: Dug = {
    server: "127.0.0.1:5300",
    transport: "udp",
    rcode: "NOERROR",
    flags: ["qr", "aa"],
    octets: 92,
    ms: 0.4,
    nsid: "ns1-east",
    answers: [
      { name: "www.example.test.", ttl: 60, type: "CNAME", data: "hello.demo.repl.test." },
      { name: "hello.demo.repl.test.", ttl: 60, type: "A", data: "192.0.2.1" },
    ],
    authorities: [],
    additionals: [],
  };
  const step = { serial: 17, types: ["A"], repl: null, target: null };
  const explained: Explained = {
    rcode: "NOERROR",
    result: "answer",
    steps: [
      {
        ...step,
        name: "www.example.test",
        zone: "example.test",
        how: "wildcard",
        at: "*.example.test",
        types: ["CNAME"],
        target: "hello.demo.repl.test",
      },
      {
        ...step,
        name: "hello.demo.repl.test",
        zone: "repl.test",
        how: "repl",
        at: "hello.demo.repl.test",
        repl: { id: "h1", name: "hello", owner: "demo", clusterId: "east", generation: 7 },
      },
    ],
    instanceId: "host-1",
    seq: 42,
  };

  it("follows the answer", async () => {
    const text = renderDug(palette(false), dug, explained);
    await expect(`${text}\n`).toMatchFileSnapshot("./golden/out-dig.txt");
  });

  it("says so when the API knows it otherwise, or not at all", () => {
    const other = renderDug(palette(false), { ...dug, rcode: "NXDOMAIN" }, explained);
    expect(other).toContain("That is NOERROR, and not what was answered: 127.0.0.1:5300 is behind");
    expect(renderDug(palette(false), dug, "no API")).toContain("Not explained: no API");
  });
});
