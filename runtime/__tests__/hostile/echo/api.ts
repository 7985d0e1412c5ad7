import { api, type Cookie, type Header, type Query } from "encore.dev/api";
import { getAuthData } from "~encore/auth";

interface Tree {
  name: string;
  children?: Tree[];
}

/** Something of every kind of schema; `mark` tells whose answer it is. */
interface Everything {
  mark: string;
  n?: number;
  flag?: boolean;
  list?: number[];
  record?: Record<string, string>;
  tree?: Tree;
  any?: any;
  when?: Date;
  big?: bigint;
  choice?: "a" | "b" | 3;
  mixed?: string | number[];
}

export const body = api(
  { expose: true, method: ["POST", "PUT", "PATCH"], path: "/body" },
  async (request: Everything): Promise<Everything> => request,
);

interface Lookup {
  mark: string;
  n?: Query<number>;
  tags?: Query<string[]>;
  key?: Header<"X-Key">;
  level?: Header<number, "X-Level">;
  session?: Cookie<"session">;
}

interface Found {
  mark: string;
  n?: number;
  tags?: string[];
  key?: string;
  level?: number;
}

export const lookup = api(
  { expose: true, method: "GET", path: "/lookup/:mark" },
  async ({ mark, n, tags, key, level }: Lookup): Promise<Found> => ({ mark, n, tags, key, level }),
);

export const rest = api(
  { expose: true, method: "GET", path: "/rest/*mark" },
  async ({ mark }: { mark: string }): Promise<{ mark: string }> => ({ mark }),
);

export const mine = api(
  { expose: true, auth: true, method: "GET", path: "/mine/:mark" },
  async ({ mark }: { mark: string }): Promise<{ mark: string; user: string }> => ({
    mark,
    user: getAuthData()?.userID ?? "",
  }),
);

export const secret = api(
  { expose: false, method: "GET", path: "/secret/:mark" },
  async ({ mark }: { mark: string }): Promise<{ mark: string }> => ({ mark }),
);

export const raw = api.raw(
  { expose: true, method: "*", path: "/raw/:mark" },
  async (request, response) => {
    let size = 0;
    request.on("error", () => response.end());
    for await (const chunk of request) size += (chunk as Buffer).length;
    response.setHeader("content-type", "text/plain");
    response.end(`${request.url?.slice("/raw/".length)} ${size}`);
  },
);

interface Memory {
  heap: number;
  rss: number;
}

export const memory = api(
  { expose: true, method: "GET", path: "/memory" },
  async (): Promise<Memory> => {
    (globalThis as { gc?: () => void }).gc?.();
    const { heapUsed, rss } = process.memoryUsage();
    return { heap: heapUsed, rss };
  },
);
