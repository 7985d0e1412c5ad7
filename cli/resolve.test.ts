import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";

import packet, { type DecodedPacket, type Packet } from "dns-packet";
import { afterEach, describe, expect, it, vi } from "vitest";

import { cached, type NameServer, openNameServer, splitAddress } from "./resolve";

const open: Array<{ close: () => void }> = [];

/** Longer than anybody waits for an answer. */
const GIVEN_UP_MS = 10_000;

afterEach(() => {
  vi.useRealTimers();
  for (const one of open.splice(0)) one.close();
});

/** A name server that answers as `answer` says; nothing where it says nothing. */
async function serve(answer: (question: DecodedPacket) => Packet | undefined): Promise<NameServer> {
  const socket: Socket = createSocket("udp4");
  socket.on("message", (message, from) => {
    const reply = answer(packet.decode(message));
    if (reply) socket.send(packet.encode(reply), from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const client = openNameServer(`127.0.0.1:${socket.address().port}`);
  open.push(socket, client);
  return client;
}

const address = (question: DecodedPacket, data: string, ttl = 60): Packet => ({
  type: "response",
  id: question.id ?? 0,
  questions: question.questions ?? [],
  answers: [{ type: "A", name: question.questions?.[0]?.name ?? "", data, ttl }],
});

describe("a name server", () => {
  it("is asked, and answers", async () => {
    const server = await serve((question) => address(question, "127.0.1.1"));
    expect(await server.query("hello.demo.repl.test", "A")).toEqual({
      rcode: "NOERROR",
      records: [{ type: "A", data: "127.0.1.1", ttl: 60 }],
    });
  });

  it("sends nothing more when it is closed while it waits", async () => {
    const server = await serve(() => undefined);
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    const asked = expect(server.query("hello.demo.repl.test", "A")).rejects.toThrow("not answer");
    server.close();
    await vi.advanceTimersByTimeAsync(GIVEN_UP_MS);
    await asked;
  });

  it("tells answers apart by their id, in whatever order they come", async () => {
    const held: DecodedPacket[] = [];
    let sendAll = (): void => undefined;
    const server = await serve((question) => {
      held.push(question);
      if (held.length === 3) sendAll();
      return undefined;
    });
    const socket = open[0] as Socket;
    let from = 0;
    socket.on("message", (_message, { port }) => (from = port));
    sendAll = () => {
      setImmediate(() => {
        for (const question of held.toReversed()) {
          const last = question.questions?.[0]?.name.slice(-1);
          const reply = packet.encode(address(question, `127.0.0.${last}`));
          socket.send(reply, from, "127.0.0.1");
        }
      });
    };
    const answers = await Promise.all(["n1", "n2", "n3"].map((name) => server.query(name, "A")));
    expect(answers.map(({ records }) => records[0]?.data)).toEqual([
      "127.0.0.1",
      "127.0.0.2",
      "127.0.0.3",
    ]);
  });

  it("is asked again when an answer was lost", async () => {
    let asked = 0;
    const server = await serve((question) => {
      asked += 1;
      return asked === 1 ? undefined : address(question, "127.0.2.1");
    });
    expect((await server.query("hello", "A")).records[0]?.data).toBe("127.0.2.1");
    expect(asked).toBe(2);
  });

  it("that never answers is named", async () => {
    const server = await serve(() => undefined);
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    const named = /^127\.0\.0\.1:\d+ does not answer for hello A$/;
    const asked = expect(server.query("hello", "A")).rejects.toThrow(named);
    await vi.advanceTimersByTimeAsync(GIVEN_UP_MS);
    await asked;
  });

  it("shows rcodes and texts", async () => {
    const server = await serve((question) => {
      const { id = 0, questions = [] } = question;
      if (questions[0]?.type !== "TXT") return { type: "response", id, flags: 3, questions };
      const data = [Buffer.from("two"), Buffer.from("texts")];
      return {
        type: "response",
        id,
        questions,
        answers: [{ type: "TXT", name: "t", ttl: 5, data }],
      };
    });
    expect((await server.query("none", "A")).rcode).toBe("NXDOMAIN");
    expect((await server.query("t", "TXT")).records[0]?.data).toBe("two texts");
  });
});

describe("cached()", () => {
  it("asks again when the TTL or our own limit is over, the shorter of them", async () => {
    let asked = 0;
    const server = await serve((question) => {
      asked += 1;
      return address(
        question,
        `127.0.0.${asked}`,
        question.questions?.[0]?.name === "short" ? 1 : 60,
      );
    });
    let now = 0;
    const resolve = cached(server, () => now, 5_000);
    expect(await resolve("long")).toBe("127.0.0.1");
    now = 4_999;
    expect(await resolve("long")).toBe("127.0.0.1");
    now = 5_000;
    expect(await resolve("long")).toBe("127.0.0.2");
    expect(await resolve("short")).toBe("127.0.0.3");
    now = 6_000;
    expect(await resolve("short")).toBe("127.0.0.4");
  });

  it("refuses a name without an address", async () => {
    const server = await serve(({ id = 0, questions = [] }) => ({
      type: "response",
      id,
      flags: 3,
      questions,
    }));
    await expect(cached(server, () => 0, 1_000)("gone")).rejects.toThrow(
      "gone has no address: NXDOMAIN",
    );
  });
});

describe("splitAddress()", () => {
  it("takes IPv4 and IPv6", () => {
    expect(splitAddress("127.0.0.1:5300")).toEqual({ host: "127.0.0.1", port: 5300 });
    expect(splitAddress("[::1]:53")).toEqual({ host: "::1", port: 53 });
  });

  it.each(["127.0.0.1", ":53", "127.0.0.1:0", "127.0.0.1:99999", ""])("refuses %j", (text) => {
    expect(() => splitAddress(text)).toThrow("expected such as 127.0.0.1:5300");
  });
});
