import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { extname, join, sep } from "node:path";
import { pipeline } from "node:stream/promises";
import type { StaticAssets } from "../app-model";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".css": "text/css",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".jpeg": "image/jpeg",
  ".gif": "image/gif",
  ".ico": "image/x-icon",
  ".webp": "image/webp",
  ".woff2": "font/woff2",
  ".txt": "text/plain",
  ".wasm": "application/wasm",
  ".map": "application/json",
};
const UNKNOWN_TYPE = "application/octet-stream";

/** What a static endpoint answers for a path below it. */
type Answer =
  | { readonly kind: "file"; readonly path: string; readonly size: number; readonly status: number }
  | { readonly kind: "redirect"; readonly to: string }
  | { readonly kind: "none" };

/** Serves the files of one `api.static`. */
export class AssetServer {
  readonly #assets: StaticAssets;
  readonly #dir: string;
  readonly #notFound: string | null;

  constructor(root: string, assets: StaticAssets) {
    this.#assets = assets;
    this.#dir = join(root, assets.dir);
    this.#notFound = assets.notFound === null ? null : join(root, assets.notFound);
  }

  /** @param path below the endpoint's own path, decoded */
  async serve(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const answer = await this.#find(path);
    for (const [name, values] of Object.entries(this.#assets.headers)) {
      response.setHeader(name, values);
    }
    switch (answer.kind) {
      case "none":
        response.writeHead(404, { "content-length": 0 }).end();
        return;
      case "redirect":
        response.writeHead(307, { location: answer.to, "content-length": 0 }).end();
        return;
      case "file":
        await send(request, response, answer);
    }
  }

  async #find(path: string): Promise<Answer> {
    const target = join(this.#dir, path);
    const inside = target === this.#dir || target.startsWith(this.#dir + sep);
    if (inside && !path.includes("\0")) {
      const found = await this.#inFolder(target, path);
      if (found !== null) return found;
    }
    if (this.#notFound === null) return { kind: "none" };
    const size = (await stat(this.#notFound)).size;
    const status = this.#assets.notFoundStatus ?? 404;
    return { kind: "file", path: this.#notFound, size, status };
  }

  async #inFolder(target: string, path: string): Promise<Answer | null> {
    const info = await statOrNull(target);
    if (info?.isFile()) return { kind: "file", path: target, size: info.size, status: 200 };
    if (!info?.isDirectory()) return null;
    if (path !== "" && !path.endsWith("/")) return { kind: "redirect", to: `/${path}/` };
    const index = join(target, "index.html");
    const indexInfo = await statOrNull(index);
    if (!indexInfo?.isFile()) return null;
    return { kind: "file", path: index, size: indexInfo.size, status: 200 };
  }
}

async function statOrNull(path: string) {
  try {
    return await stat(path);
  } catch {
    return null;
  }
}

type FileAnswer = Extract<Answer, { kind: "file" }>;

async function send(
  request: IncomingMessage,
  response: ServerResponse,
  { path, size, status }: FileAnswer,
): Promise<void> {
  response.setHeader("content-type", TYPES[extname(path).toLowerCase()] ?? UNKNOWN_TYPE);
  response.setHeader("accept-ranges", "bytes");
  const range = status === 200 ? parseRange(request.headers.range, size) : null;
  if (range === "unsatisfiable") {
    response.writeHead(416, { "content-range": `bytes */${size}`, "content-length": 0 }).end();
    return;
  }
  const [from, to] = range ?? [0, size - 1];
  response.setHeader("content-length", to - from + 1);
  if (range !== null) response.setHeader("content-range", `bytes ${from}-${to}/${size}`);
  response.writeHead(range === null ? status : 206);
  if (request.method === "HEAD" || size === 0) response.end();
  else await pipeline(createReadStream(path, { start: from, end: to }), response);
}

/** One range of bytes; several are served as the whole file. */
function parseRange(
  header: string | undefined,
  size: number,
): readonly [number, number] | "unsatisfiable" | null {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  if (match === null || (match[1] === "" && match[2] === "")) return null;
  if (match[1] === "") {
    const length = Math.min(Number(match[2]), size);
    return length === 0 ? "unsatisfiable" : [size - length, size - 1];
  }
  const from = Number(match[1]);
  const to = match[2] === "" ? size - 1 : Math.min(Number(match[2]), size - 1);
  return from >= size || from > to ? "unsatisfiable" : [from, to];
}
