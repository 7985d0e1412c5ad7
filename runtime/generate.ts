import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { isStream, type AppModel, type EndpointModel } from "./app-model";

/** The folder that Encore generates into, below the application's root. */
const GENERATED_DIR = "encore.gen";

/**
 * Writes the application's generated code, file for file as Encore does, so that either may
 * overwrite the other's. Files that are right already are left alone.
 *
 * @returns the paths written, relative to the generated folder
 */
export function generate(root: string, model: AppModel): string[] {
  const written: string[] = [];
  for (const [path, contents] of generatedFiles(model)) {
    const target = join(root, GENERATED_DIR, path);
    if (readIfThere(target) === contents) continue;
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, contents);
    written.push(path);
  }
  return written;
}

/** Path to contents of everything that Encore generates for the application. */
export function generatedFiles(model: AppModel): Map<string, string> {
  const files = new Map<string, string>();
  for (const { name } of model.services) {
    const clients = `internal/clients/${name}`;
    const endpoints = callable(model).filter((endpoint) => endpoint.service === name);
    files.set(`${clients}/endpoints.d.ts`, clientTypes(endpoints));
    files.set(`${clients}/endpoints.js`, clientCode(endpoints));
    files.set(`${clients}/endpoints_testing.js`, testingCode(model, name, endpoints));
  }
  const names = model.services.map(({ name }) => name);
  const line = (ext: string) => (name: string) =>
    `export * as ${identifier(name)} from "../internal/clients/${name}/endpoints${ext}";\n`;
  files.set("clients/index.js", names.map(line(".js")).join(""));
  files.set("clients/index.d.ts", names.map(line("")).join(""));
  files.set("auth/index.ts", 'export {type AuthData, getAuthData} from "../internal/auth/auth";');
  files.set("internal/auth/auth.ts", authCode(model));
  files.set("internal/entrypoints/combined/main.ts", entrypoint(model));
  return files;
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

/** A service's name as an identifier. */
export function identifier(service: string): string {
  return service.replaceAll("-", "_");
}

/** Endpoints with a handler: static assets have none. */
function callable(model: AppModel): EndpointModel[] {
  return model.endpoints
    .filter(({ kind }) => kind !== "static")
    .toSorted((a, b) => (a.service < b.service ? -1 : a.service > b.service ? 1 : 0));
}

function streamsIn({ kind }: EndpointModel): boolean {
  return kind === "streamIn" || kind === "streamInOut";
}

function streamsOut({ kind }: EndpointModel): boolean {
  return kind === "streamOut" || kind === "streamInOut";
}

/** Encore gives every stream's function parameters, also where there is no handshake. */
function takesParams(endpoint: EndpointModel): boolean {
  return isStream(endpoint) || endpoint.request !== null;
}

function modulePath(prefix: string, file: string, ext: string): string {
  return JSON.stringify(prefix + file.replace(/\.ts$/, ext));
}

const STREAM_TYPES = `import {
  StreamInOutHandlerFn,
  StreamInHandlerFn,
  StreamOutHandlerFn,
  StreamOutWithResponse,
  StreamIn,
  StreamInOut,
} from "encore.dev/api";
`;

const STREAM_HELPERS = `type StreamHandshake<Type extends (...args: any[]) => any> = Parameters<Type> extends [infer H, any] ? H : void;

type StreamRequest<Type> = Type extends
  | StreamInOutHandlerFn<any, infer Req, any>
  | StreamInHandlerFn<any, infer Req, any>
  | StreamOutHandlerFn<any, any>
  ? Req
  : never;

type StreamResponse<Type> = Type extends
  | StreamInOutHandlerFn<any, any, infer Resp>
  | StreamInHandlerFn<any, any, infer Resp>
  | StreamOutHandlerFn<any, infer Resp>
  ? Resp
  : never;
`;

function clientTypes(endpoints: readonly EndpointModel[]): string {
  const streams = endpoints.filter(isStream);
  const streamPart =
    streams.length === 0
      ? ""
      : `${STREAM_TYPES}\n${streams.map(handlerImport).join("")}\n${STREAM_HELPERS}\n`;
  return `import { CallOpts } from "encore.dev/api";

${streamPart}type Parameters<T> = T extends (...args: infer P) => unknown ? P : never;
type WithCallOpts<T extends (...args: any) => any> = (
  ...args: [...Parameters<T>, opts?: CallOpts]
) => ReturnType<T>;

${endpoints.map((endpoint) => (isStream(endpoint) ? streamType(endpoint) : callType(endpoint))).join("")}
export class Client {
  private constructor();

${endpoints.map(({ name }) => `  readonly ${name}: ${name}_Type;\n`).join("")}}

export declare function ref(): Client;
`;
}

function handlerImport({ name, at }: EndpointModel): string {
  return `import { ${name} as ${name}_handler } from ${modulePath("../../../../", at.file, ".js")};\n`;
}

function callType(endpoint: EndpointModel): string {
  const { name } = endpoint;
  return `${handlerImport(endpoint)}type ${name}_Type = WithCallOpts<typeof ${name}_handler>;
declare const ${name}: ${name}_Type;
export { ${name} };

`;
}

function streamType({ name, kind }: EndpointModel): string {
  const handler = `typeof ${name}_handler`;
  const results = {
    streamInOut: `StreamInOut<
    StreamResponse<${handler}>,
    StreamRequest<${handler}>
  >`,
    streamIn: `StreamOutWithResponse<
    StreamRequest<${handler}>,
    StreamResponse<${handler}>
  >`,
    streamOut: `StreamIn<
    StreamResponse<${handler}>
  >`,
  };
  return `type ${name}_Type = (
  ...args: StreamHandshake<${handler}> extends void
    ? [opts?: CallOpts]
    : [data: StreamHandshake<${handler}>, opts?: CallOpts]
) => Promise<
  ${results[kind as keyof typeof results]}
>;

export declare const ${name}: ${name}_Type;
`;
}

const CALL_IMPORT =
  'import { apiCall, streamIn, streamOut, streamInOut } from "encore.dev/internal/codegen/api";\n';

function invocation({ service, name, kind }: EndpointModel): string {
  const fn = kind.startsWith("stream") ? kind : "apiCall";
  return `    return ${fn}("${service}", "${name}", params, opts);\n`;
}

function clientCode(endpoints: readonly EndpointModel[]): string {
  const functions = endpoints.map((endpoint) => {
    const head = takesParams(endpoint)
      ? `export async function ${endpoint.name}(params, opts) {\n`
      : `export async function ${endpoint.name}(opts) {\n    const params = undefined;\n`;
    return `${head}    if (typeof ENCORE_DROP_TESTS === "undefined" && process.env.NODE_ENV === "test") {
        return TEST_ENDPOINTS.${endpoint.name}(params, opts);
    }

${invocation(endpoint)}}
`;
  });
  return `${CALL_IMPORT}
const TEST_ENDPOINTS = typeof ENCORE_DROP_TESTS === "undefined" && process.env.NODE_ENV === "test"
    ? await import("./endpoints_testing.js")
    : null;

${functions.join("")}
export class Client {
  constructor() {
${endpoints.map(({ name }) => `    this.${name} = ${name};\n`).join("")}  }
}

let _client_instance;

export function ref() {
  if (!_client_instance) {
    _client_instance = new Client();
  }
  return _client_instance;
}
`;
}

function optionsLiteral(endpoint: EndpointModel): string {
  const { expose, auth, tags } = endpoint;
  const isRaw = endpoint.kind === "raw";
  return JSON.stringify({ auth, expose, isRaw, isStream: isStream(endpoint), tags });
}

function testingCode(model: AppModel, name: string, endpoints: readonly EndpointModel[]): string {
  const service = model.services.find((one) => one.name === name);
  const file = service?.at.file ?? "";
  const functions = endpoints.map((endpoint) => {
    const { kind } = endpoint;
    return `export async function ${endpoint.name}(params, opts) {
    const handler = (await import(${modulePath("../../../../", endpoint.at.file, "")})).${endpoint.name};
    registerTestHandler({
        apiRoute: { service: "${name}", name: "${endpoint.name}", raw: ${kind === "raw"}, handler, streamingRequest: ${streamsIn(endpoint)}, streamingResponse: ${streamsOut(endpoint)} },
        middlewares: ${identifier(name)}_service.default.cfg.middlewares || [],
        endpointOptions: ${optionsLiteral(endpoint)},
    });

${invocation(endpoint)}}

`;
  });
  return `${CALL_IMPORT}import { registerTestHandler } from "encore.dev/internal/codegen/appinit";

import * as ${identifier(name)}_service from ${modulePath("../../../../", file, "")};

${functions.join("")}`;
}

const CALL_OPTS = `declare module "encore.dev/api" {
  interface CallOpts {
    authData?: AuthData;
  }
}

`;

function authCode({ authHandler }: AppModel): string {
  if (authHandler === null) {
    return `export type AuthData = null;

// getAuthData throws an error until an auth handler is added
export function getAuthData(): AuthData | null {
    throw new Error("authData cannot be called when there are no auth handlers.")
}
${CALL_OPTS}`;
  }
  const { name, at } = authHandler;
  return `import { getAuthData as _getAuthData } from "encore.dev/internal/codegen/auth";
import { ${name} as _auth_${name} } from ${modulePath("../../../", at.file, ".js")};

export type AuthData = Awaited<ReturnType<typeof _auth_${name}>>;

export function getAuthData(): AuthData | null {
    return _getAuthData()
}

${CALL_OPTS}`;
}

/** The one module that is bundled and run: it imports and registers everything. */
function entrypoint(model: AppModel): string {
  const endpoints = callable(model);
  const up = (file: string): string => modulePath("../../../../", file, "");
  const impl = (endpoint: EndpointModel, index: number): string =>
    `${identifier(endpoint.service)}_${endpoint.name}Impl${index}`;
  const imports = [
    ...model.gateways.map(
      (gw) => `import { ${gw.variable} as ${identifier(gw.name)}GW } from ${up(gw.at.file)};\n`,
    ),
    ...endpoints.map(
      (ep, index) => `import { ${ep.name} as ${impl(ep, index)} } from ${up(ep.at.file)};\n`,
    ),
    ...model.subscriptions.map(({ at }) => `import ${up(at.file)};\n`),
    ...model.services.map(
      ({ name, at }) => `import * as ${identifier(name)}_service from ${up(at.file)};\n`,
    ),
    ...model.metrics
      .filter(({ variable }) => variable !== null)
      .map((m, index) => `import { ${m.variable} as metric${index} } from ${up(m.at.file)};\n`),
  ];
  return `import { registerGateways, registerHandlers, run, type Handler } from "encore.dev/internal/codegen/appinit";

${imports.join("")}

const gateways: any[] = [
${model.gateways.map(({ name }) => `    ${identifier(name)}GW,\n`).join("")}];

const handlers: Handler[] = [
${endpoints.map((endpoint, index) => registration(endpoint, impl(endpoint, index))).join("")}];

registerGateways(gateways);
registerHandlers(handlers);

await run(import.meta.url);
`;
}

function registration(endpoint: EndpointModel, impl: string): string {
  return `    {
        apiRoute: {
            service:           ${JSON.stringify(endpoint.service)},
            name:              ${JSON.stringify(endpoint.name)},
            handler:           ${impl},
            raw:               ${endpoint.kind === "raw"},
            streamingRequest:  ${streamsIn(endpoint)},
            streamingResponse: ${streamsOut(endpoint)},
        },
        endpointOptions: ${optionsLiteral(endpoint)},
        middlewares: ${identifier(endpoint.service)}_service.default.cfg.middlewares || [],
    },
`;
}
