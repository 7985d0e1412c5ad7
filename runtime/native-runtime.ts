import { readFileSync } from "node:fs";
import type { AppModel, TopicModel } from "./app-model";
import { Authenticator, type AuthFunction } from "./http/authenticator";
import { ApiCallError, Calls, NO_REMOTE_CALLS, type CallOptions, type CallResult } from "./calls";
import { Control } from "./control";
import { Cors } from "./http/cors";
import { Crons } from "./cron";
import { Databases, type SQLDatabase } from "./sql/databases";
import { runExitHooks } from "./drain";
import { Gateway } from "./http/gateway";
import { Handlers, isolated, type ApiRoute } from "./handlers";
import { loadInfraConfig, parseInfraConfig, type InfraConfig } from "./infra-config";
import { Lifecycle, type Stoppable } from "./lifecycle";
import { flushLog, Logger, RuntimeLog } from "./log";
import { MetricsRegistry } from "./metrics";
import { decodeValue } from "./http/payload-decode";
import type { LogLine } from "./pubsub/pubsub-consumer";
import { PubSub, type Delivery, type PubSubSubscription, type PubSubTopic } from "./pubsub/pubsub";
import { newTrace, Request } from "./http/request";
import { Runner } from "./runner";
import { SDK_VERSION } from "./sdk-version";

const DEFAULT_LISTEN_ADDR = "127.0.0.1:4000";

const NO_MODEL: AppModel = {
  services: [],
  endpoints: [],
  databases: [],
  topics: [],
  subscriptions: [],
  gateways: [],
  authHandler: null,
  crons: [],
  secrets: [],
  metrics: [],
  types: {},
};

const CLOUDS = { aws: 0, gcp: 1, azure: 2, encore: 3, local: 4 };
const ENVIRONMENTS = { production: 0, development: 1, ephemeral: 2, test: 3 };

export interface RuntimeOptions {
  readonly testMode?: boolean;
  readonly typeConstructors: { readonly decimal: (value: string) => unknown };
}

export interface SubscriptionConfig {
  readonly topicName: string;
  readonly subscriptionName: string;
  readonly handler: (request: Request) => unknown;
}

interface MetricUse {
  readonly name: string;
  readonly services: readonly string[];
}

/** One runtime lives in a process. */
export const control = new Control();

/** The class that `encore.dev` builds once, while it is imported. It does no I/O before `run`. */
export class Runtime {
  readonly #testMode: boolean;
  readonly #decimal: (text: string) => unknown;
  readonly #model: AppModel;
  readonly #infra: InfraConfig;
  readonly #handlers = new Handlers();
  readonly #log = new RuntimeLog();
  readonly #runner: Runner;
  readonly #calls: Calls;
  readonly #databases: Databases;
  readonly #pubsub: PubSub;
  readonly #crons: Crons;
  readonly #lifecycle: Lifecycle;
  #gateway: Gateway | null = null;
  #authFunction: AuthFunction | null = null;
  #metrics: MetricsRegistry | null = null;
  #registered: () => void = () => {};
  readonly #handlersReady = new Promise<void>((resolve) => {
    this.#registered = resolve;
  });

  constructor(options: RuntimeOptions) {
    this.#testMode = options.testMode ?? false;
    this.#decimal = (text) => options.typeConstructors.decimal(text);
    this.#model = loadModel();
    this.#infra = loadInfra();
    this.#runner = new Runner(this.#model, this.#handlers, this.#log, this.#decimal);
    const isHosted = (service: string): boolean => this.#isHosted(service);
    this.#calls = new Calls(this.#model, this.#runner, isHosted, NO_REMOTE_CALLS);
    this.#databases = new Databases(this.#model, this.#infra, this.#decimal);
    const log: LogLine = (level, message, fields) => {
      if (level === "error") this.#log.error(null, message, undefined, { ...fields });
      else this.#log.info(null, message, { ...fields });
    };
    this.#pubsub = new PubSub(this.#model, this.#infra, { log });
    this.#crons = new Crons({
      model: this.#model,
      infra: this.#infra,
      call: (service, endpoint) => this.#runCron(service, endpoint),
      log,
      now: Date.now,
    });
    this.#lifecycle = new Lifecycle(this.#infra.gracefulShutdown.totalSeconds * 1000);
    if (this.#testMode) this.#registered();
    control.attach(() => this.stop());
  }

  static version(): string {
    return SDK_VERSION;
  }

  static buildCommit(): string {
    return "embedded";
  }

  /** Serves until the process is asked to end; resolves with its exit code. */
  async runForever(): Promise<number> {
    const parts = this.#parts();
    this.#registered();
    this.#lifecycle.obeySignals(parts);
    try {
      control.succeeded({ address: await this.#start() });
    } catch (error) {
      control.failed(error as Error);
      return this.#lifecycle.stop(parts, true);
    }
    return this.#lifecycle.ended;
  }

  async stop(): Promise<void> {
    await this.#lifecycle.stop(this.#parts());
  }

  registerHandlers(routes: readonly ApiRoute[]): void {
    for (const route of routes) this.#handlers.register(route);
  }

  registerHandler(route: ApiRoute): void {
    this.#handlers.register(route);
  }

  registerTestHandler(route: ApiRoute): void {
    this.#handlers.register(route);
  }

  gateway(_name: string, config: { auth?: AuthFunction | undefined }): object {
    this.#authFunction = config.auth ?? null;
    return {};
  }

  async apiCall(
    service: string,
    endpoint: string,
    payload?: unknown,
    source?: Request | null,
    options?: CallOptions | null,
  ): Promise<CallResult> {
    // Modules may call while they load, when not every handler is registered yet.
    await this.#handlersReady;
    return this.#calls.call({ service, endpoint, payload, source, options });
  }

  sqlDatabase(name: string): SQLDatabase {
    return this.#databases.sqlDatabase(name);
  }

  pubsubTopic(name: string): PubSubTopic {
    return this.#pubsub.topic(name);
  }

  pubsubSubscription(config: SubscriptionConfig): PubSubSubscription {
    const { topicName, subscriptionName } = config;
    const topic = this.#model.topics.find(({ name }) => name === topicName);
    const handler = (request: Request): Promise<unknown> =>
      this.#runner.track(request, () => isolated(() => config.handler(request)));
    return this.#pubsub.subscription(
      { topicName, subscriptionName, handler: handler as (request: never) => unknown },
      (delivery) => this.#deliveryRequest(topic, delivery),
    );
  }

  /** Null when it is not set: locally the SDK takes that for "", elsewhere it refuses its use. */
  secret(name: string): { cached(): string } | null {
    const value = this.#infra.secrets[name];
    return value === undefined ? null : { cached: () => value };
  }

  logger(): Logger {
    return new Logger();
  }

  appMeta(): object {
    const { metadata } = this.#infra;
    const hosted = this.#model.services.filter(({ name }) => this.#isHosted(name));
    return {
      appId: metadata.appId,
      apiBaseUrl: metadata.baseUrl,
      environment: {
        name: metadata.envName,
        type: this.#testMode ? ENVIRONMENTS.test : ENVIRONMENTS[metadata.envType],
        cloud: CLOUDS[metadata.cloud],
      },
      build: { revision: "", uncommittedChanges: false },
      deploy: {
        id: "",
        deployTime: "",
        hostedServices: Object.fromEntries(hosted.map(({ name }) => [name, { name }])),
      },
    };
  }

  runtimeConfig(): { metrics: Record<string, MetricUse> } {
    const metrics = this.#model.metrics.map(({ name, services }) => {
      const used = this.#infra.usedMetrics[name] ?? services;
      return [name, { name, services: [...used] }] as [string, MetricUse];
    });
    return { metrics: Object.fromEntries(metrics) };
  }

  numWorkerThreads(): number {
    return 1;
  }

  createMetricsRegistry(buffer: BigUint64Array): void {
    this.#metrics = new MetricsRegistry(buffer);
  }

  getMetricsRegistry(): MetricsRegistry {
    if (this.#metrics === null) throw new Error("The metrics buffer has not been created yet");
    return this.#metrics;
  }

  bucket(name: string): never {
    throw new Error(`Cannot use bucket "${name}": this runtime has no object storage`);
  }

  cacheCluster(name: string): never {
    throw new Error(`Cannot use cache cluster "${name}": this runtime has no cache`);
  }

  stream(service: string, endpoint: string): Promise<never> {
    const name = `${service}.${endpoint}`;
    return Promise.reject(new Error(`Cannot open stream "${name}": this runtime has no streams`));
  }

  async #start(): Promise<string> {
    if (this.#testMode) return "";
    const { metadata, cors } = this.#infra;
    const authenticator = this.#authenticator();
    this.#gateway = new Gateway({
      root: process.cwd(),
      model: this.#model,
      runner: this.#runner,
      handlers: this.#handlers,
      cors: new Cors(cors, this.#model),
      health: { appId: metadata.appId, envName: metadata.envName },
      authenticator: () => authenticator,
      isHosted: (service) => this.#isHosted(service),
    });
    const { host, port } = parseAddress(process.env["ENCORE_LISTEN_ADDR"] ?? DEFAULT_LISTEN_ADDR);
    const address = await this.#gateway.listen(host, port);
    await Promise.all([this.#pubsub.start(), this.#crons.start()]);
    return address;
  }

  /** @throws Error when the endpoint failed: the cron job then counts as failed */
  async #runCron(service: string, endpoint: string): Promise<void> {
    const result = await this.apiCall(service, endpoint);
    if (result instanceof ApiCallError) throw new Error(result.message);
  }

  #authenticator(): Authenticator | null {
    const model = this.#model.authHandler;
    if (model === null || this.#authFunction === null) return null;
    const context = { types: this.#model.types, decimal: this.#decimal };
    return new Authenticator(model, this.#authFunction, context, this.#runner);
  }

  #parts(): Stoppable {
    return {
      announce: () => this.#gateway?.startDraining(),
      drain: async (signal) => {
        await Promise.all([this.#pubsub.drain(signal), this.#crons.drain()]);
        await Promise.all([this.#gateway?.close(), this.#runner.idle()]);
      },
      release: async () => {
        this.#gateway?.destroy();
        await this.#databases.close();
        await runExitHooks();
        flushLog();
      },
    };
  }

  #isHosted(service: string): boolean {
    return this.#infra.hostedServices?.includes(service) ?? true;
  }

  #deliveryRequest(topic: TopicModel | undefined, delivery: Delivery): Request {
    const context = { types: this.#model.types, decimal: this.#decimal, fromStrings: false };
    const schema = topic?.message ?? null;
    const payload =
      schema === null ? delivery.payload : decodeValue(schema, delivery.payload, "", context);
    return new Request({ payload, trace: newTrace(), message: delivery });
  }
}

function loadModel(): AppModel {
  const path = process.env["ENCORE_APP_META_PATH"];
  if (path === undefined) return NO_MODEL;
  return JSON.parse(readFileSync(path, "utf8")) as AppModel;
}

function loadInfra(): InfraConfig {
  const path = process.env["ENCORE_INFRA_CONFIG_PATH"];
  return path === undefined ? parseInfraConfig({}) : loadInfraConfig(path);
}

/** @throws Error unless the text is `host:port` */
export function parseAddress(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new Error(`Cannot listen on "${text}": expected host:port, such as 127.0.0.1:4000`);
  }
  return { host: match[1] ?? (match[2] || "0.0.0.0"), port };
}
