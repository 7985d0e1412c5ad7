import { currentRequest } from "encore.dev";
import { api, APIError, type Header, type Query, type StreamInOut } from "encore.dev/api";
import { getAuthData } from "~encore/auth";

interface Join {
  room: string;
  count?: Query<number>;
  key?: Header<"X-Key">;
}

interface Word {
  text: string;
  at?: Date;
}

interface Echo {
  text: string;
}

/** Says what its handshake was, then everything that it hears. */
export const echo = api.streamInOut<Join, Word, Echo>(
  { expose: true, path: "/echo/:room" },
  async (join, stream) => {
    await stream.send({ text: JSON.stringify(join) });
    for await (const { text, at } of stream) {
      if (text === "fail") throw APIError.outOfRange("too far");
      if (text === "break") throw new Error("nobody may know");
      await stream.send({ text: at instanceof Date ? at.toISOString() : text });
      if (text === "end") break;
    }
    await stream.close();
  },
);

/** Says what the application sees of the request. */
export const about = api.streamOut<Echo>({ expose: true, path: "/about" }, async (stream) => {
  await stream.send({ text: JSON.stringify(currentRequest()) });
  await stream.close();
});

export const mine = api.streamOut<Echo>(
  { expose: true, auth: true, path: "/mine" },
  async (stream) => {
    await stream.send({ text: getAuthData()?.userID ?? "" });
    await stream.close();
  },
);

/** Many messages, and the end at once. */
export const burst = api.streamOut<{ n: Query<number> }, { i: number }>(
  { expose: true, path: "/burst" },
  async ({ n }, stream) => {
    for (let i = 0; i < n; i++) void stream.send({ i });
    await stream.close();
  },
);

/** As much as the other side takes, 64 KiB at a time. */
export const flood = api.streamOut<{ awaits: Query<boolean> }, Echo>(
  { expose: true, path: "/flood" },
  async ({ awaits }, stream) => {
    const text = "x".repeat(64 * 1024);
    let sent = 0;
    const report = setInterval(() => console.log(`sent ${sent}`), 50);
    try {
      for (;;) {
        const done = stream.send({ text });
        sent += 1;
        if (awaits) await done;
      }
    } catch (error) {
      console.log(`flood ended: ${(error as Error).message}`);
    } finally {
      clearInterval(report);
    }
  },
);

export const sum = api.streamIn<{ n: number }, { total: number }>(
  { expose: true, path: "/sum" },
  async (stream) => {
    let total = 0;
    for await (const { n } of stream) {
      if (n === 0) break;
      total += n;
    }
    return { total };
  },
);

export const hidden = api.streamOut<{ n: Query<number> }, { i: number }>(
  { expose: false, path: "/hidden" },
  async ({ n }, stream) => {
    for (let i = 0; i < n; i++) await stream.send({ i });
    await stream.close();
  },
);

/** Never reads what it is sent. */
export const deaf = api.streamInOut<Word, Echo>({ expose: true, path: "/deaf" }, async (stream) => {
  await stream.send({ text: "go on" });
  await new Promise(() => {});
});

let kept: StreamInOut<Word, Echo> | null = null;

/** The stream outlives its handler for as long as somebody holds it. */
export const keep = api.streamInOut<Word, Echo>({ expose: true, path: "/keep" }, async (stream) => {
  kept = stream;
});

export const poke = api({ expose: true, method: "POST", path: "/poke" }, async (): Promise<void> => {
  await kept?.send({ text: "still here" });
});

export const forget = api(
  { expose: true, method: "POST", path: "/forget" },
  async (): Promise<void> => {
    kept = null;
    // Collected once nothing of this request refers to it any more.
    setTimeout(() => globalThis.gc?.(), 20);
  },
);

/** Goes on until it learns that the process ends. */
export const last = api.streamIn<Word, Echo>({ expose: true, path: "/last" }, async (stream) => {
  let heard = 0;
  for await (const _ of stream) heard += 1;
  return { text: `heard ${heard}` };
});

/** Not a stream: it answers whoever asks to speak another protocol as everybody else. */
export const plain = api.raw(
  { expose: true, method: "POST", path: "/plain" },
  async (request, response) => {
    let length = 0;
    for await (const chunk of request) length += (chunk as Buffer).length;
    response.end(`${request.headers["upgrade"]} ${length}`);
  },
);
