import type { EndpointModel } from "../app-model";
import { parsePathPattern, type PathSegment } from "../http/path-pattern";
import type { FaultList } from "./faults";

/** Two endpoints of the application may not answer the same method on the same path. */
export function checkRoutes(endpoints: readonly EndpointModel[], faults: FaultList): void {
  const taken = new Map<string, EndpointModel>();
  for (const endpoint of endpoints) {
    const segments = parsePathPattern(endpoint.path);
    if (typeof segments === "string") continue;
    const shape = segments.map(shapeOf).join("/");
    const isFallback = segments.some(({ kind }) => kind === "fallback");
    for (const method of methodsOf(endpoint)) {
      const key = `${method} ${shape}`;
      const other = taken.get(key);
      if (other === undefined) {
        taken.set(key, endpoint);
        continue;
      }
      const message = isFallback
        ? `two fallbacks for ${endpoint.path}: Encore accepts them and then aborts at start`
        : "api endpoints with conflicting paths defined";
      faults.add(endpoint.at, `${message}; the other is ${other.at.file}:${other.at.line}`);
      break;
    }
  }
}

const ALL_METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE"];

function methodsOf(endpoint: EndpointModel): readonly string[] {
  return endpoint.methods.includes("*") ? ALL_METHODS : endpoint.methods;
}

function shapeOf(segment: PathSegment): string {
  return segment.kind === "literal" ? segment.value : `:${segment.kind}`;
}
