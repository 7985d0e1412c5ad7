import type * as TS from "typescript";
import type { AuthHandlerModel, GatewayModel, ObjectSchema } from "../app-model";
import { declarationKey, ReadError, type Context } from "./context";
import { objectLiteral, stringLiteral } from "./literals";
import { positionOf, type Module } from "./modules";
import type { Reference } from "./references";
import { wireOf } from "./schemas";
import type { Type } from "./types";
import { ts } from "./typescript";

const SERVICE_FILE = "encore.service.ts";

/** Encore's only gateway. */
const GATEWAY_NAME = "api-gateway";

/** Reads `export default new Service("name")` into the table. */
export function readService(context: Context, reference: Reference): void {
  const { node, module, binding } = reference;
  if (binding.kind === "variable") {
    throw new ReadError(
      node,
      'a service is not a variable: write export default new Service("name")',
    );
  }
  const name = node.arguments?.[0];
  if (name === undefined)
    throw new ReadError(node, 'a service needs its name: write new Service("name")');
  if (binding.kind !== "default")
    throw new ReadError(
      node,
      'a service is the default export: write export default new Service("name")',
    );
  if (!isServiceFile(module)) {
    throw new ReadError(
      node,
      `a service is declared in ${SERVICE_FILE}, not in ${module.path}: move it there`,
    );
  }
  const options = node.arguments?.[1];
  if (options !== undefined) objectLiteral(options, ["middlewares"]);
  context.services.declare(stringLiteral(name), positionOf(module, node));
}

export function isServiceFile(module: Module): boolean {
  return module.path === SERVICE_FILE || module.path.endsWith(`/${SERVICE_FILE}`);
}

/** A gateway, with the declaration of its auth handler if it has one. */
export interface FoundGateway {
  readonly model: GatewayModel;
  readonly authHandler: string | null;
  readonly reference: Reference;
}

export function readGateway(context: Context, reference: Reference): FoundGateway {
  const { node, module, binding } = reference;
  if (binding.name === null || !binding.exported) {
    throw new ReadError(
      node,
      "a gateway must be an exported variable: write export const gateway = new Gateway(…)",
    );
  }
  const at = positionOf(module, node);
  const options = node.arguments?.[0];
  if (options === undefined) {
    throw new ReadError(node, "a gateway needs its options: write new Gateway({})");
  }
  const handler = objectLiteral(options, ["authHandler"]).get("authHandler");
  let authHandler: string | null = null;
  if (handler !== undefined) {
    const meaning = ts.isIdentifier(handler) ? context.graph.lookUp(module, handler.text) : null;
    authHandler = declarationKey(meaning);
    if (authHandler === null)
      throw new ReadError(
        handler,
        `${handler.getText()} is no auth handler: expected the variable of an authHandler(…)`,
      );
  }
  const service = context.services.owner(at, "gateway", context.faults).name;
  const model = { name: GATEWAY_NAME, service, at, variable: binding.name };
  return { model, authHandler, reference };
}

export interface FoundAuthHandler {
  readonly key: string;
  readonly model: AuthHandlerModel;
}

export function readAuthHandler(context: Context, reference: Reference): FoundAuthHandler {
  const { node, module, binding } = reference;
  if (binding.name === null || !binding.exported) {
    throw new ReadError(
      node,
      "an auth handler must be an exported variable: write export const auth = authHandler(…)",
    );
  }
  const handler = node.arguments?.[0];
  const inline = handler !== undefined && isFunction(handler) ? handler : null;
  const [paramsArgument, dataArgument] = node.typeArguments ?? [];
  const params = inline?.parameters[0]?.type ?? paramsArgument;
  const data = inline?.type ?? dataArgument;
  if (params === undefined) {
    throw new ReadError(
      node,
      "an auth handler needs its types written: authHandler<Params, Data>(…)",
    );
  }
  if (data === undefined) {
    throw new ReadError(
      node,
      "an auth handler needs its result's type written: authHandler<Params, Data>(…)",
    );
  }
  checkAuthFields(context, module, params);
  const at = positionOf(module, node);
  return {
    key: `${module.path}#${binding.name}`,
    model: {
      service: context.services.owner(at, "auth handler", context.faults).name,
      name: binding.name,
      at,
      params: rootOrEmpty(context, module, params),
      data: context.schemas.schema(unwrapPromise(context.resolver.resolve(module, data))),
    },
  };
}

function unwrapPromise(type: Type): Type {
  return type.kind === "promise" ? type.of : type;
}

function isFunction(node: TS.Expression): node is TS.ArrowFunction | TS.FunctionExpression {
  return ts.isArrowFunction(node) || ts.isFunctionExpression(node);
}

function rootOrEmpty(context: Context, module: Module, node: TS.TypeNode): ObjectSchema {
  const schema = context.schemas.root(context.resolver.resolve(module, node), "response");
  return schema ?? { kind: "object", fields: [] };
}

function checkAuthFields(context: Context, module: Module, params: TS.TypeNode): void {
  const open = context.resolver.underlying(context.resolver.resolve(module, params));
  if (open.kind !== "object") return;
  for (const field of open.fields) {
    if (wireOf(field.type) !== null) continue;
    context.faults.add(
      field.at ?? positionOf(module, params),
      `field ${field.name} of an auth handler's parameters must be a Header, Query or Cookie`,
    );
  }
}
