/**
 * What serves a site that is nothing but files: a script of its own, since it runs as the app's user,
 * who cannot read the platform's code. Stays inside the folder by resolving links before it opens.
 */
export const STATIC_SERVER = `import { createReadStream } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";

const TYPES = {
  ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
  ".json": "application/json", ".svg": "image/svg+xml", ".png": "image/png",
  ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
  ".ico": "image/x-icon", ".txt": "text/plain; charset=utf-8", ".wasm": "application/wasm",
  ".woff2": "font/woff2", ".pdf": "application/pdf", ".xml": "application/xml",
};
const root = await realpath(process.cwd());

async function find(path) {
  for (const candidate of [path, join(path, "index.html")]) {
    const real = await realpath(join(root, candidate)).catch(() => null);
    if (real === null || (real !== root && !real.startsWith(root + "/"))) continue;
    const found = await stat(real);
    if (found.isFile()) return { real, size: found.size, modified: found.mtime.toUTCString() };
  }
  return null;
}

function plain(response, status, text) {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(text + "\\n");
}

async function serve(request, response) {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return plain(response, 405, "Method not allowed");
  }
  const path = decodeURIComponent(new URL(request.url, "http://site").pathname);
  const found = path.includes("\\0") ? null : await find(path);
  if (found === null) return plain(response, 404, "Not found");
  if (request.headers["if-modified-since"] === found.modified) {
    return response.writeHead(304).end();
  }
  response.writeHead(200, {
    "content-type": TYPES[extname(found.real).toLowerCase()] ?? "application/octet-stream",
    "content-length": found.size,
    "last-modified": found.modified,
  });
  if (request.method === "HEAD") return response.end();
  createReadStream(found.real).on("error", () => response.destroy()).pipe(response);
}

createServer((request, response) => {
  serve(request, response).catch(() => plain(response, 400, "Bad request"));
}).listen(Number(process.env.PORT), process.env.HOST);
`;
