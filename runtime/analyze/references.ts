import type * as TS from "typescript";
import { boundNames, hasModifier, type Module } from "./modules";
import { ts } from "./typescript";

/** A call or construction of something imported by name from `encore.dev/…`. */
export interface Reference {
  readonly module: Module;
  readonly package: string;
  /** The exporter's name: `api`, `SQLDatabase`. */
  readonly name: string;
  /** `raw` in `api.raw(…)`, `named` in `SQLDatabase.named(…)`. */
  readonly member: string | null;
  readonly node: TS.CallExpression | TS.NewExpression;
  readonly binding: Binding;
}

/** What the result is bound to. */
export interface Binding {
  /** A variable that is not at the top level of the file is `inner`. */
  readonly kind: "variable" | "inner" | "default" | "none";
  readonly name: string | null;
  readonly exported: boolean;
  /** Whether the variable holds it, rather than something around it. */
  readonly isValue: boolean;
  readonly insideFunction: boolean;
}

/** Every use of a constructor or function of Encore's in the module, in source order. */
export function findReferences(module: Module): Reference[] {
  const tracked = new Map<string, { package: string; name: string }>();
  for (const [local, imported] of module.imports) {
    if (!imported.specifier.startsWith("encore.dev/")) continue;
    tracked.set(local, { package: imported.specifier, name: imported.name });
  }
  if (tracked.size === 0) return [];
  const found: Reference[] = [];
  const visit = (node: TS.Node): void => {
    if (ts.isCallExpression(node) || ts.isNewExpression(node)) {
      const callee = calleeOf(node.expression);
      const source = callee === null ? undefined : tracked.get(callee.name.text);
      if (callee !== null && source !== undefined && !isShadowed(callee.name)) {
        const { member } = callee;
        found.push({ module, ...source, member, node, binding: bindingOf(node, module) });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(module.file);
  return found;
}

function calleeOf(node: TS.Expression): { name: TS.Identifier; member: string | null } | null {
  if (ts.isIdentifier(node)) return { name: node, member: null };
  if (ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression)) {
    return { name: node.expression, member: node.name.text };
  }
  return null;
}

/** The variable around it, however deep it stands, is what Encore knows it by. */
function bindingOf(node: TS.Expression, module: Module): Binding {
  let bound: TS.Expression = node;
  while (isTransparent(bound.parent)) bound = bound.parent;
  const insideFunction = ts.findAncestor(node, isFunction) !== undefined;
  const none = {
    kind: "none",
    name: null,
    exported: false,
    isValue: false,
    insideFunction,
  } as const;
  if (ts.isExportAssignment(bound.parent)) return { ...none, kind: "default", exported: true };
  const variable = ts.findAncestor(node, ts.isVariableDeclaration);
  if (variable === undefined || !ts.isIdentifier(variable.name)) return none;
  const name = variable.name.text;
  const statement = variable.parent.parent;
  const { parent } = statement;
  // A block of its own, such as to keep a name, is as good as the top level.
  const isTop = parent === module.file || (ts.isBlock(parent) && parent.parent === module.file);
  const exported =
    ts.isVariableStatement(statement) &&
    parent === module.file &&
    (hasModifier(statement, ts.SyntaxKind.ExportKeyword) ||
      module.exports.get(name)?.local === name);
  const isValue = variable.initializer === bound;
  return { kind: isTop ? "variable" : "inner", name, exported, isValue, insideFunction };
}

function isFunction(node: TS.Node): boolean {
  return ts.isFunctionLike(node) && !ts.isAccessor(node);
}

/** What leaves a value as it is: parentheses, and what is said of its type. */
function isTransparent(node: TS.Node): node is TS.Expression {
  return (
    ts.isParenthesizedExpression(node) ||
    ts.isAsExpression(node) ||
    ts.isSatisfiesExpression(node) ||
    ts.isNonNullExpression(node)
  );
}

/**
 * Whether `node`'s name means a parameter or local variable there, rather than the module's own
 * name.
 */
export function isShadowed(node: TS.Identifier): boolean {
  for (let scope: TS.Node = node.parent; !ts.isSourceFile(scope); scope = scope.parent) {
    if (declares(scope, node.text)) return true;
  }
  return false;
}

function declares(scope: TS.Node, name: string): boolean {
  if (ts.isFunctionLike(scope)) {
    const own = ts.isFunctionExpression(scope) && scope.name?.text === name;
    return own || scope.parameters.some((param) => boundNames(param.name).includes(name));
  }
  if (ts.isBlock(scope) || ts.isModuleBlock(scope) || ts.isCaseClause(scope)) {
    return scope.statements.some((statement) => statementDeclares(statement, name));
  }
  if (ts.isForStatement(scope) || ts.isForOfStatement(scope) || ts.isForInStatement(scope)) {
    const init = scope.initializer;
    return init !== undefined && ts.isVariableDeclarationList(init) && listDeclares(init, name);
  }
  if (ts.isCatchClause(scope)) {
    const variable = scope.variableDeclaration;
    return variable !== undefined && boundNames(variable.name).includes(name);
  }
  return false;
}

function statementDeclares(statement: TS.Statement, name: string): boolean {
  if (ts.isVariableStatement(statement)) return listDeclares(statement.declarationList, name);
  if (ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement)) {
    return statement.name?.text === name;
  }
  return false;
}

function listDeclares(list: TS.VariableDeclarationList, name: string): boolean {
  return list.declarations.some((declaration) => boundNames(declaration.name).includes(name));
}
