import "./life";
import { api, APIError, type Header, type HttpStatus, type Query } from "encore.dev/api";
import { currentRequest } from "encore.dev";
import type { Max, Min, MinLen } from "encore.dev/validate";
import { getAuthData } from "~encore/auth";
import { back } from "~encore/clients";

interface Lookup {
  id: string;
  limit?: Query<number>;
  tags?: Query<string[]>;
  key: Header<"X-Key">;
}

export const lookup = api(
  { expose: true, method: "GET", path: "/v1/things/:id" },
  async (p: Lookup): Promise<{ seen: Lookup }> => ({ seen: p }),
);

interface Order {
  item: string & MinLen<2>;
  count: number & (Min<1> & Max<10>);
  note?: string | null;
}

interface Ordered {
  status: HttpStatus;
  location: Header<"Location">;
  item: string;
}

export const order = api(
  { expose: true, method: "POST", path: "/v1/orders" },
  async ({ item }: Order): Promise<Ordered> => ({ status: 201, location: "/v1/x", item }),
);

interface Checked {
  item: string;
  isDate: boolean;
  self: string;
}

export const check = api(
  { expose: true, method: "GET", path: "/v1/check/:item" },
  async ({ item }: { item: string }): Promise<Checked> => {
    const found = await back.stock({ item });
    const request = currentRequest();
    const self = request?.type === "api-call" ? request.api.endpoint : "";
    return { item: found.item, isDate: found.since instanceof Date, self };
  },
);

interface Caught {
  code: string;
  message: string;
  details: string;
  isAPIError: boolean;
}

export const caught = api(
  { expose: true, method: "GET", path: "/v1/caught/:item" },
  async ({ item }: { item: string }): Promise<Caught> => {
    try {
      await back.stock({ item });
    } catch (error) {
      const isAPIError = error instanceof APIError;
      const { code, message, details } = error as APIError;
      return { code, message, details: JSON.stringify(details ?? null), isAPIError };
    }
    throw APIError.internal("nothing was thrown");
  },
);

export const me = api(
  { expose: true, auth: true, method: "GET", path: "/v1/me" },
  async (): Promise<{ user: string }> => ({ user: getAuthData()?.userID ?? "" }),
);

export const slow = api(
  { expose: true, method: "GET", path: "/v1/slow" },
  async (): Promise<{ done: boolean }> => {
    await new Promise((resolve) => setTimeout(resolve, 300));
    return { done: true };
  },
);

export const upload = api.raw(
  { expose: true, method: "POST", path: "/raw/*rest", bodyLimit: null },
  async (req, res) => {
    let size = 0;
    for await (const chunk of req) size += (chunk as Buffer).length;
    res.writeHead(200, { "content-type": "text/plain" });
    res.write(`${req.method} ${req.url} `);
    res.end(String(size));
  },
);
