import type { ServerResponse } from "node:http";
import { metaHeaders, type CallMeta } from "../remote/call-meta";
import type { ServiceLocation } from "../remote/service-directory";
import { openRemoteStream } from "../streams/remote-stream";
import type { Streams } from "../streams/streams";
import { requestHeaders } from "./forward";
import type { HttpRequest } from "./http-request";
import { checkHandshake, openWebSocket } from "./upgrades";

/**
 * Joins a client's stream with one to the process that hosts its service.
 *
 * @param decorate adds the gateway's own headers to the answer
 * @throws Failure when the other process refuses, or cannot be reached
 */
export async function relayStream(
  request: HttpRequest,
  response: ServerResponse,
  to: { location: ServiceLocation; meta: CallMeta; streams: Streams },
  decorate: () => void,
): Promise<void> {
  const { location, meta, streams } = to;
  checkHandshake(request.message);
  const headers = Object.entries(requestHeaders(request)).filter(([name]) => !isHandshake(name));
  const far = await openRemoteStream(location, request.pathAndQuery, {
    ...Object.fromEntries(headers),
    host: location.baseUrl.host,
    ...metaHeaders(meta, location.auth, Date.now()),
  });
  decorate();
  try {
    streams.relay(openWebSocket(request.message, response), far);
  } catch (error) {
    far.destroy();
    throw error;
  }
}

/** Each of the two handshakes has its own. */
function isHandshake(header: string): boolean {
  return header.startsWith("sec-websocket-");
}
