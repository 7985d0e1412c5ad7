/** One segment of an endpoint's path, `/v1/repls/:replId/*rest`. */
export type PathSegment =
  | { readonly kind: "literal"; readonly value: string }
  | { readonly kind: "param" | "wildcard" | "fallback"; readonly name: string };

/**
 * Reads an endpoint's path. The result is the segments, or a string that says what is wrong with
 * it, in Encore's words.
 */
export function parsePathPattern(path: string): readonly PathSegment[] | string {
  if (path === "") return "empty path";
  if (!path.startsWith("/")) return "path must start with '/'";
  if (path.includes("?")) return "path cannot contain query parameters (the '?' character)";
  if (path.includes("#")) return "path cannot contain url fragment (the '#' character)";
  const segments = path.slice(1).split("/").map(parseSegment);
  for (const [index, segment] of segments.entries()) {
    const fault = faultOf(segment, index, segments.length);
    if (fault !== null) return fault;
  }
  return segments;
}

/** The names of the path's parameters, in order. */
export function pathParams(segments: readonly PathSegment[]): string[] {
  return segments.flatMap((segment) => (segment.kind === "literal" ? [] : [segment.name]));
}

function parseSegment(text: string): PathSegment {
  switch (text[0]) {
    case ":":
      return { kind: "param", name: text.slice(1) };
    case "*":
      return { kind: "wildcard", name: text.slice(1) };
    case "!":
      return { kind: "fallback", name: text.slice(1) };
    default:
      return { kind: "literal", value: text };
  }
}

function faultOf(segment: PathSegment, index: number, count: number): string | null {
  if (segment.kind === "literal") {
    return segment.value === "" && count > 1 ? "path cannot contain empty path segment" : null;
  }
  if (segment.name === "" && segment.kind !== "fallback") {
    return "path parameters must have a name";
  }
  if (segment.kind === "param" || index === count - 1) return null;
  return `${segment.kind} segment must be at the end of the path`;
}
