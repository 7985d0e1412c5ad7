import { FORBIDDEN, TOKEN } from "./head-fields";
import { LIMITS } from "./limits";

/** Fields that a trailer may not carry: framing, routing, authentication, payload (RFC 9110 6.5.1). */
const NOT_A_TRAILER =
  /^(?:content-|x-forwarded|stele|x-stele|x-encore|proxy-|sec-)|^(?:host|transfer-encoding|connection|keep-alive|te|trailer|upgrade|authorization|www-authenticate|cookie|set-cookie|forwarded|x-real-ip|x-request-id|expect|max-forwards|cache-control|range|date|age|expires|location|retry-after|vary|warning|pragma|http2-settings|alt-svc|traceparent|tracestate|if-.*)$/;

/**
 * The trailer section that may be sent on, from the lines received (each with its CRLF).
 * Undefined when a line is malformed or there are too many.
 */
export function filterTrailers(text: string): string | undefined {
  if (FORBIDDEN.test(text)) return undefined;
  let kept = "";
  let count = 0;
  let start = 0;
  while (start < text.length) {
    const end = text.indexOf("\r\n", start) + 2;
    const colon = text.indexOf(":", start);
    if (end < 2 || colon < 0 || colon >= end || ++count > LIMITS.trailerFields) return undefined;
    const name = text.slice(start, colon);
    if (!TOKEN.test(name)) return undefined;
    const folded = name.toLowerCase().replace(/[_.]/g, "-");
    if (!NOT_A_TRAILER.test(folded)) kept += text.slice(start, end);
    start = end;
  }
  return kept;
}
