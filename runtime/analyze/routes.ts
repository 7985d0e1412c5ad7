import type { EndpointModel } from "../app-model";
import { parsePathPattern, type PathSegment } from "../http/path-pattern";
import type { FaultList } from "./faults";

/**
 * Two endpoints of the application may not answer the same method on the same path, nor may a
 * wildcard begin where a parameter of another stands.
 */
export function checkRoutes(endpoints: readonly EndpointModel[], faults: FaultList): void {
  const taken = new Map<string, EndpointModel>();
  const parameters = new Map<string, { kind: string; endpoint: EndpointModel }>();
  for (const endpoint of endpoints) {
    const segments = parsePathPattern(endpoint.path);
    if (typeof segments === "string") continue;
    for (const method of methodsOf(endpoint)) {
      const other =
        claim(taken, `${method} ${shapeOf(segments)}`, endpoint) ??
        claimParameters(parameters, method, segments, endpoint);
      if (other === null) continue;
      faults.add(endpoint.at, conflict(method, endpoint, other));
      break;
    }
  }
}

function conflict(method: string, { path }: EndpointModel, other: EndpointModel): string {
  const isFallback = path.includes("/!");
  const message = isFallback
    ? `a second fallback, ${path}: Encore accepts it and then aborts at start`
    : `path ${path} is taken: two endpoints cannot answer ${method} on it`;
  return `${message}; the other is ${other.path} in ${other.at.file}:${other.at.line}`;
}

/** The endpoint that has the key already; null when it is free, and now taken. */
function claim(
  taken: Map<string, EndpointModel>,
  key: string,
  endpoint: EndpointModel,
): EndpointModel | null {
  const other = taken.get(key);
  if (other !== undefined) return other;
  taken.set(key, endpoint);
  return null;
}

function claimParameters(
  parameters: Map<string, { kind: string; endpoint: EndpointModel }>,
  method: string,
  segments: readonly PathSegment[],
  endpoint: EndpointModel,
): EndpointModel | null {
  for (const [index, { kind }] of segments.entries()) {
    if (kind !== "param" && kind !== "wildcard") continue;
    const place = `${method} ${shapeOf(segments.slice(0, index))}/`;
    const other = parameters.get(place);
    if (other === undefined) parameters.set(place, { kind, endpoint });
    else if (other.kind !== kind) return other.endpoint;
  }
  return null;
}

const ALL_METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE"];

function methodsOf(endpoint: EndpointModel): readonly string[] {
  return endpoint.methods.includes("*") ? ALL_METHODS : endpoint.methods;
}

function shapeOf(segments: readonly PathSegment[]): string {
  const shapes = segments.map((one) => (one.kind === "literal" ? one.value : `:${one.kind}`));
  return shapes.join("/");
}
