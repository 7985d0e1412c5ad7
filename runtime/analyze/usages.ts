import type * as TS from "typescript";
import { declarationKey, type Context } from "./context";
import { positionOf, type Module } from "./modules";
import { literalQuery } from "./queries";
import { isShadowed } from "./references";
import { ts } from "./typescript";

export type ResourceKind = "database" | "topic" | "metric" | "client";

/** A variable that holds a resource of Encore's. */
export interface Bound {
  readonly kind: ResourceKind;
  /** The resource's name. */
  readonly name: string;
  /** The call or construction that made it. */
  readonly made: TS.Node;
}

/** How a resource is used; the service is null outside every service. */
export interface Usage {
  readonly kind: ResourceKind;
  readonly name: string;
  readonly service: string | null;
  readonly operation: string;
}

/**
 * Finds every use of a resource in the module. What Encore's static reading cannot follow (an alias,
 * an object field, a default value) is a fault.
 *
 * @param bound by declaration, `file#name`
 */
export function findUsages(
  context: Context,
  module: Module,
  bound: ReadonlyMap<string, Bound>,
): Usage[] {
  const local = boundHere(context, module, bound);
  if (local.size === 0) return [];
  const usages: Usage[] = [];
  const visit = (node: TS.Node): void => {
    if (ts.isImportDeclaration(node)) return;
    if (ts.isIdentifier(node) && local.has(node.text) && isUse(node)) {
      const resource = local.get(node.text) as Bound;
      const usage = isShadowed(node) ? null : classify(context, module, node, resource);
      if (usage !== null) usages.push(usage);
    }
    ts.forEachChild(node, visit);
  };
  visit(module.file);
  return usages;
}

function boundHere(
  context: Context,
  module: Module,
  bound: ReadonlyMap<string, Bound>,
): Map<string, Bound> {
  const local = new Map<string, Bound>();
  for (const name of module.declarations.keys()) {
    const resource = bound.get(`${module.path}#${name}`);
    if (resource !== undefined) local.set(name, resource);
  }
  for (const [name, imported] of module.imports) {
    if (imported.typeOnly) continue;
    const meaning = context.graph.lookUp(module, name);
    if (meaning?.kind === "module") {
      // Encore takes any use of the module for one of its last resource.
      const prefix = `${meaning.module.path}#`;
      const last = [...bound].findLast(([key]) => key.startsWith(prefix))?.[1];
      if (last !== undefined) local.set(name, last);
    }
    if (meaning?.kind === "generated" && meaning.part === "clients") {
      local.set(name, { kind: "client", name: meaning.name, made: imported.node });
    }
    const resource = bound.get(declarationKey(meaning) ?? "");
    if (resource !== undefined) local.set(name, resource);
  }
  return local;
}

/** Whether the identifier reads the variable, rather than naming a property or a declaration. */
function isUse(node: TS.Identifier): boolean {
  const parent = node.parent;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  if (ts.isPropertyAssignment(parent)) return parent.initializer === node;
  if (
    ts.isVariableDeclaration(parent) ||
    ts.isParameter(parent) ||
    ts.isBindingElement(parent) ||
    ts.isPropertyDeclaration(parent)
  ) {
    return parent.initializer === node;
  }
  return !(
    ts.isImportSpecifier(parent) ||
    ts.isExportSpecifier(parent) ||
    ts.isMethodDeclaration(parent) ||
    ts.isPropertySignature(parent) ||
    ts.isFunctionDeclaration(parent) ||
    ts.isClassDeclaration(parent) ||
    ts.isEnumMember(parent)
  );
}

/** The shapes that Encore's usage parser tells apart. */
type Shape =
  | { readonly kind: "call" | "field"; readonly member: string; readonly node: TS.Node }
  | { readonly kind: "argument" | "constructorArgument" | "other"; readonly node: TS.Node };

function shapeOf(node: TS.Identifier): Shape | null {
  const parent = node.parent;
  if (ts.isPropertyAccessExpression(parent)) {
    if (ts.isPrivateIdentifier(parent.name)) return null;
    const member = parent.name.text;
    const outer = parent.parent;
    // Encore does not follow `?.`.
    if (parent.questionDotToken !== undefined) return { kind: "field", member, node: parent };
    if (ts.isCallExpression(outer) && outer.expression === parent) {
      return { kind: "call", member, node: outer };
    }
    if (ts.isTaggedTemplateExpression(outer)) return { kind: "call", member, node: outer };
    return { kind: "field", member, node: parent };
  }
  if (ts.isElementAccessExpression(parent)) return null;
  const isArgument =
    (ts.isCallExpression(parent) || ts.isNewExpression(parent)) && parent.expression !== node;
  if (isArgument) {
    return { kind: ts.isNewExpression(parent) ? "constructorArgument" : "argument", node: parent };
  }
  const outer = outermostExpression(node);
  return outer === null ? null : { kind: "other", node: outer };
}

/** Null for a name in a type that no expression encloses: Encore does not see those. */
function outermostExpression(node: TS.Identifier): TS.Node | null {
  const inType = ts.isQualifiedName(node.parent) || ts.isTypeNode(node.parent);
  let outer: TS.Node | null = inType ? null : node;
  for (let up: TS.Node = node.parent; !ts.isSourceFile(up); up = up.parent) {
    if (ts.isExpression(up) && !ts.isTypeNode(up)) outer = up;
  }
  return outer;
}

function classify(
  context: Context,
  module: Module,
  node: TS.Identifier,
  resource: Bound,
): Usage | null {
  const shape = shapeOf(node);
  if (shape === null) return null;
  const { kind, name } = resource;
  const service = context.services.of(module.path)?.name ?? null;
  const verdict = RULES[kind](shape, service);
  if (kind === "topic") checkRef(context, module, shape);
  if (kind === "database" && shape.kind === "call") noteQuery(context, module, shape);
  if (verdict.fault !== null) {
    context.faults.add(positionOf(module, shape.node), verdict.fault);
    return null;
  }
  return verdict.operation === null ? null : { kind, name, service, operation: verdict.operation };
}

/** `topic.ref<Publisher>()` must say what the reference may do. */
function checkRef(context: Context, module: Module, shape: Shape): void {
  if (shape.kind !== "call" || shape.member !== "ref" || !ts.isCallExpression(shape.node)) return;
  const permission = shape.node.typeArguments?.[0];
  if (permission !== undefined && namesPublisher(context, module, permission)) return;
  context.faults.add(
    positionOf(module, shape.node),
    "a reference to a topic must say what it may do: write topic.ref<Publisher>()",
  );
}

function namesPublisher(context: Context, module: Module, node: TS.TypeNode): boolean {
  if (ts.isIntersectionTypeNode(node)) {
    return node.types.some((type) => namesPublisher(context, module, type));
  }
  if (!ts.isTypeReferenceNode(node)) return false;
  const meaning = context.graph.lookUp(module, node.typeName.getText());
  if (meaning?.kind === "package") return meaning.name === "Publisher";
  if (meaning?.kind !== "declared") return false;
  const declaration = meaning.module.declarations.get(meaning.name)?.[0];
  const isAlias = declaration !== undefined && ts.isTypeAliasDeclaration(declaration);
  return isAlias && namesPublisher(context, meaning.module, declaration.type);
}

function noteQuery(
  context: Context,
  module: Module,
  { member, node }: Extract<Shape, { member: string }>,
): void {
  const query = literalQuery(member, node);
  if (query === null) return;
  context.queries.push({ sql: query.sql, at: positionOf(module, query.node) });
}

interface Verdict {
  readonly operation: string | null;
  readonly fault: string | null;
}

const IGNORED: Verdict = { operation: null, fault: null };
const fault = (message: string): Verdict => ({ operation: null, fault: message });
const use = (operation: string): Verdict => ({ operation, fault: null });

const RULES: Readonly<Record<ResourceKind, (shape: Shape, service: string | null) => Verdict>> = {
  database: (shape) =>
    shape.kind === "other"
      ? fault(
          "a database may be called or passed as an argument, nothing else: Encore cannot follow it here",
        )
      : use("query"),
  topic: (shape, service) => {
    if (shape.kind === "constructorArgument") return IGNORED;
    if (shape.kind !== "call")
      return fault(
        "a topic may be published to or subscribed to, nothing else: pass topic.ref<Publisher>()",
      );
    if (shape.member !== "publish" && shape.member !== "ref") return IGNORED;
    if (service === null)
      return fault(
        "published to outside every service: do it in the folder of one, or pass topic.ref<Publisher>() from there",
      );
    return use("publish");
  },
  metric: (shape, service) => {
    if (shape.kind === "constructorArgument") return IGNORED;
    if (shape.kind !== "call")
      return fault(
        "a metric may be changed where it is imported, nothing else: pass a function that changes it",
      );
    if (!["increment", "set", "with", "ref"].includes(shape.member)) return IGNORED;
    if (service === null)
      return fault("a metric is changed outside every service: do it in the folder of one");
    return use(shape.member);
  },
  client: (shape, service) => {
    if (shape.kind === "field") {
      if (shape.member === "Client") return IGNORED;
      return fault("a client's endpoint may only be called: write () => service.endpoint()");
    }
    if (shape.kind !== "call")
      return fault(
        "a client may only be called: write service.endpoint(), or service.ref() to pass it on",
      );
    if (service === null)
      return fault(
        "a call outside every service: make it in the folder of one, or use the HTTP API",
      );
    return use(shape.member);
  },
};
