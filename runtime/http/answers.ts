import type { ServerResponse } from "node:http";
import { failureJson, type Failure } from "./errors";
import type { HttpRequest } from "./http-request";
import type { WireResponse } from "./payload";

export function sendResult(response: ServerResponse, result: WireResponse): void {
  for (const [name, value] of Object.entries(result.headers)) response.setHeader(name, value);
  if (result.cookies.length > 0) response.setHeader("set-cookie", result.cookies);
  if (result.body === null) response.writeHead(result.status, { "content-length": 0 }).end();
  else sendJson(response, result.status, result.body);
}

/** @param toInside whether a service of the application asked */
export function sendFailure(
  request: HttpRequest,
  response: ServerResponse,
  failure: Failure,
  toInside = false,
): void {
  // What is left of a body that is too long need not come.
  const tooLate = !request.message.complete && failure.message.includes("length limit");
  if (tooLate) response.setHeader("connection", "close");
  sendJson(response, failure.status, failureJson(failure, toInside));
}

export function sendJson(response: ServerResponse, status: number, json: string): void {
  // Bytes, not text: Node would write the head in the text's encoding, and headers are Latin-1.
  const body = Buffer.from(json);
  const headers = { "content-type": "application/json", "content-length": body.length };
  response.writeHead(status, headers).end(body);
}

/** The path is there, the method is not. */
export function sendWrongMethod(response: ServerResponse, allowed: readonly string[]): void {
  response.writeHead(405, { allow: allowed.join(","), "content-length": 0 }).end();
}

export function sendNothing(response: ServerResponse): void {
  response.writeHead(404, { "content-length": 0 }).end();
}
