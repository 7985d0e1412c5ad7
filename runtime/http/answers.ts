import type { ServerResponse } from "node:http";
import { failureJson, type Failure } from "./errors";
import type { WireResponse } from "./payload";

export function sendResult(response: ServerResponse, result: WireResponse): void {
  for (const [name, value] of Object.entries(result.headers)) response.setHeader(name, value);
  if (result.cookies.length > 0) response.setHeader("set-cookie", result.cookies);
  if (result.body === null) response.writeHead(result.status, { "content-length": 0 }).end();
  else sendJson(response, result.status, result.body);
}

/** @param toInside whether a service of the application asked */
export function sendFailure(response: ServerResponse, failure: Failure, toInside = false): void {
  sendJson(response, failure.status, failureJson(failure, toInside));
}

export function sendJson(response: ServerResponse, status: number, json: string): void {
  const length = Buffer.byteLength(json);
  response.writeHead(status, { "content-type": "application/json", "content-length": length });
  // Headers are Latin-1. Text of one byte each leaves with them, in one write; other text on its own.
  if (length === json.length) response.end(json, "latin1");
  else response.end(Buffer.from(json));
}

/** The path is there, the method is not. */
export function sendWrongMethod(response: ServerResponse, allowed: readonly string[]): void {
  response.writeHead(405, { allow: allowed.join(","), "content-length": 0 }).end();
}

export function sendNothing(response: ServerResponse): void {
  response.writeHead(404, { "content-length": 0 }).end();
}
