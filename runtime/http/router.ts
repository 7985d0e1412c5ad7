import type { EndpointModel } from "../app-model";
import { parsePathPattern, type PathSegment } from "./path-pattern";
import { setField } from "./payload-decode";

/** What a request's path and method lead to. */
export interface FoundRoute {
  readonly kind: "found";
  readonly endpoint: EndpointModel;
  /** Still percent-encoded. */
  readonly params: Readonly<Record<string, string>>;
}

export type RouteMatch =
  | FoundRoute
  /** The path is known, the method is not. */
  | { readonly kind: "wrongMethod"; readonly allowed: readonly string[] }
  | { readonly kind: "none" };

/** Where a gateway sends a request. */
export type GatewayMatch =
  | (FoundRoute & {
      /** The path is also one of the main table, whose endpoints there have other methods. */
      readonly isSecondChoice: boolean;
    })
  | { readonly kind: "wrongMethod" }
  | { readonly kind: "none" };

interface Node {
  readonly literals: Map<string, Node>;
  param: Node | null;
  /** Endpoints that end here. */
  readonly here: Leaf[];
  /** Endpoints whose wildcard takes the rest. */
  readonly rest: Leaf[];
}

interface Leaf {
  readonly endpoint: EndpointModel;
  readonly names: readonly string[];
}

/** Every method that `method: "*"` stands for. */
const ALL_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

/**
 * Routes by path alone, as Encore does: a literal segment before a parameter before a wildcard, and
 * fallbacks only for paths that nothing else knows.
 */
export class Router {
  readonly #main = emptyNode();
  readonly #fallback = emptyNode();

  constructor(endpoints: readonly EndpointModel[]) {
    for (const endpoint of endpoints) this.#add(endpoint);
  }

  /** As the server behind the gateway routes: the path decides, then the method fits or not. */
  match(method: string, path: string): RouteMatch {
    if (!path.startsWith("/")) return { kind: "none" };
    const segments = path.slice(1).split("/");
    const main = find(this.#main, segments, 0, []);
    if (main !== null) return choose(main, method);
    const fallback = find(this.#fallback, segments, 0, []);
    return fallback === null ? { kind: "none" } : choose(fallback, method);
  }

  /** As the gateway routes: to a fallback as well when only the method does not fit. */
  route(method: string, path: string): GatewayMatch {
    // A target that names a host as well leads nowhere.
    if (!path.startsWith("/")) return { kind: "none" };
    const segments = path.slice(1).split("/");
    const main = find(this.#main, segments, 0, []);
    const first = main && chooseExactly(main, method);
    if (first) return { ...first, isSecondChoice: false };
    const fallback = find(this.#fallback, segments, 0, []);
    const second = fallback && chooseExactly(fallback, method);
    if (second) return { ...second, isSecondChoice: main !== null };
    return { kind: main === null && fallback === null ? "none" : "wrongMethod" };
  }

  #add(endpoint: EndpointModel): void {
    const segments = parsePathPattern(endpoint.path);
    if (typeof segments === "string") throw new Error(`Cannot route ${endpoint.path}: ${segments}`);
    const isFallback = segments.at(-1)?.kind === "fallback";
    insert(isFallback ? this.#fallback : this.#main, segments, endpoint);
  }
}

function emptyNode(): Node {
  return { literals: new Map(), param: null, here: [], rest: [] };
}

function insert(root: Node, segments: readonly PathSegment[], endpoint: EndpointModel): void {
  const names: string[] = [];
  let node = root;
  for (const segment of segments) {
    if (segment.kind === "literal") {
      let next = node.literals.get(segment.value);
      if (next === undefined) {
        next = emptyNode();
        node.literals.set(segment.value, next);
      }
      node = next;
      continue;
    }
    names.push(segment.name);
    if (segment.kind !== "param") {
      node.rest.push({ endpoint, names });
      return;
    }
    node.param ??= emptyNode();
    node = node.param;
  }
  node.here.push({ endpoint, names });
}

interface Found {
  readonly leaves: readonly Leaf[];
  readonly values: readonly string[];
}

function find(
  node: Node,
  segments: readonly string[],
  index: number,
  values: readonly string[],
): Found | null {
  if (index === segments.length) return node.here.length > 0 ? { leaves: node.here, values } : null;
  const segment = segments[index] as string;
  const isLast = index === segments.length - 1;
  // A trailing slash is no segment of its own.
  if (isLast && segment === "" && index > 0 && node.here.length > 0) {
    return { leaves: node.here, values };
  }
  const literal = node.literals.get(segment);
  const byLiteral = literal === undefined ? null : find(literal, segments, index + 1, values);
  if (byLiteral !== null) return byLiteral;
  if (node.param !== null && segment !== "") {
    const byParam = find(node.param, segments, index + 1, [...values, segment]);
    if (byParam !== null) return byParam;
  }
  if (node.rest.length === 0) return null;
  return { leaves: node.rest, values: [...values, segments.slice(index).join("/")] };
}

function choose({ leaves, values }: Found, method: string): RouteMatch {
  const leaf = leaves.find(({ endpoint }) => accepts(endpoint, method));
  if (leaf !== undefined) return foundRoute(leaf, values);
  const allowed = new Set(leaves.flatMap(({ endpoint }) => methodsOf(endpoint)));
  if (allowed.has("GET")) allowed.add("HEAD");
  return { kind: "wrongMethod", allowed: ALL_METHODS.filter((one) => allowed.has(one)) };
}

function chooseExactly({ leaves, values }: Found, method: string): FoundRoute | null {
  const leaf = leaves.find(({ endpoint }) => methodsOf(endpoint).includes(method));
  return leaf === undefined ? null : foundRoute(leaf, values);
}

function foundRoute({ endpoint, names }: Leaf, values: readonly string[]): FoundRoute {
  const params: Record<string, string> = {};
  for (let at = 0; at < names.length; at++) setField(params, names[at] ?? "", values[at] ?? "");
  return { kind: "found", endpoint, params };
}

function methodsOf({ methods }: EndpointModel): readonly string[] {
  return methods.includes("*") ? ALL_METHODS : methods;
}

/** HEAD on a GET endpoint runs it, and sends no body. */
function accepts(endpoint: EndpointModel, method: string): boolean {
  const methods = methodsOf(endpoint);
  return methods.includes(method) || (method === "HEAD" && methods.includes("GET"));
}
