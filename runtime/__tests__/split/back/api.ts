import { appMeta, currentRequest } from "encore.dev";
import { api, APIError, type Header, type Query } from "encore.dev/api";
import { Subscription } from "encore.dev/pubsub";
import { SQLDatabase } from "encore.dev/storage/sqldb";
import { getAuthData } from "~encore/auth";
import { noteAdded } from "./topics";

const db = new SQLDatabase("back", { migrations: "./schema" });

new Subscription(noteAdded, "back-note-added", {
  handler: async ({ text }) => {
    await db.exec`
      insert into note (text, heard) values (${text}, 1)
      on conflict (text) do update set heard = note.heard + 1`;
  },
});

interface Lookup {
  item: string;
  count: Query<number>;
  tags?: Query<string[]>;
  note: Header<"X-Note">;
}

interface Stock {
  item: string;
  count: number;
  since: Date;
  etag: Header<"ETag">;
  note: string;
}

/** Not exposed: only other services may ask. */
export const stock = api(
  { expose: false, method: "GET", path: "/v1/back/stock/:item" },
  async ({ item, count, tags, note }: Lookup): Promise<Stock> => {
    if (item === "none") throw APIError.notFound("no such item").withDetails({ item, at: [1] });
    if (item === "busy") throw APIError.resourceExhausted("later");
    if (item === "broken") throw new Error("the shelf fell down");
    return { item, count, since: new Date(0), etag: '"x"', note: [note, ...(tags ?? [])].join() };
  },
);

interface Known {
  user: string;
  data: string;
}

/** Encore keeps no order of keys. */
const sorted = (value: object): string => JSON.stringify(value, Object.keys(value).sort());

export const whoami = api(
  { expose: false, method: "GET", path: "/v1/back/whoami" },
  async (): Promise<Known> => {
    const data = getAuthData();
    return { user: data?.userID ?? "", data: sorted(data ?? {}) };
  },
);

export const secret = api(
  { expose: true, auth: true, method: "GET", path: "/v1/back/secret" },
  async (): Promise<{ user: string }> => ({ user: getAuthData()?.userID ?? "" }),
);

interface Order {
  item: string;
  count?: number;
}

export const order = api(
  { expose: true, method: "POST", path: "/v1/back/orders" },
  async ({ item, count }: Order): Promise<Order> => ({ item, count: count ?? 1 }),
);

/** Not exposed, with a body that must be right. */
export const restock = api(
  { expose: false, method: "POST", path: "/v1/back/stock" },
  async ({ item }: Order): Promise<Order> => ({ item }),
);

export const open = api(
  { expose: true, method: "GET", path: "/v1/back/open/:id" },
  async ({ id }: { id: string }): Promise<{ id: string; service: string }> => {
    const request = currentRequest();
    return { id, service: request?.type === "api-call" ? request.api.service : "" };
  },
);

export const fails = api(
  { expose: true, method: "GET", path: "/v1/back/fails/:how" },
  async ({ how }: { how: string }): Promise<void> => {
    if (how === "known") throw APIError.aborted("not now").withDetails({ how });
    throw new Error("the floor gave way");
  },
);

interface Notes {
  notes: { text: string; heard: number }[];
}

export const notes = api(
  { expose: true, method: "GET", path: "/v1/back/notes" },
  async (): Promise<Notes> => ({
    notes: await db.queryAll<{ text: string; heard: number }>`
      select text, heard from note order by text`,
  }),
);

/** Stays pending until its caller or its process is gone. */
export const wait = api(
  { expose: false, method: "POST", path: "/v1/back/wait" },
  async (): Promise<void> => new Promise(() => {}),
);

export const hosted = api(
  { expose: true, method: "GET", path: "/v1/back/hosted" },
  async (): Promise<{ services: string[] }> => ({
    services: Object.keys(appMeta().deploy.hostedServices).sort(),
  }),
);

/** Says what it was sent, in the order in which it came. */
export const echo = api.raw(
  { expose: true, method: "*", path: "/v1/back/raw/*rest", bodyLimit: null },
  async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const seen = ["x-a", "x-forwarded-host", "x-forwarded-proto", "x-encore-meta-userid"];
    const headers = Object.fromEntries(seen.map((name) => [name, req.headers[name] ?? null]));
    const text = JSON.stringify({ method: req.method, url: req.url, length: body.length, headers });
    res.writeHead(201, {
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(text)),
      "set-cookie": ["a=1", "b=2"],
    });
    res.end(text);
  },
);

/** Ticks for as long as the process lives: a raw endpoint does not hear that its listener has left. */
export const ticks = api.raw(
  { expose: true, method: "GET", path: "/v1/back/ticks" },
  async (_req, res) => {
    res.writeHead(200, { "content-type": "text/event-stream" });
    setInterval(() => res.write("data: tick\n\n"), 10);
  },
);
