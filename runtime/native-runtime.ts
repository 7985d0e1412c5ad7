import { readFileSync } from "node:fs";
import type { AppModel, TopicModel } from "./app-model";
import { Authenticator, type AuthFunction } from "./http/authenticator";
import { ApiCallError, Calls, type CallOptions, type CallResult } from "./calls";
import { Control } from "./control";
import { Cors } from "./http/cors";
import { areCronsOn, Crons } from "./cron";
import { CronStore } from "./cron-store";
import { Databases, type SQLDatabase } from "./sql/databases";
import { closeCursorsLeftEarly } from "./sql/sdk-cursors";
import { Deployment } from "./deployment";
import { runExitHooks } from "./drain";
import { ApiServer } from "./http/api-server";
import { Endpoints } from "./http/endpoints";
import { Gateway } from "./http/gateway";
import { Listener, type Answering } from "./http/listener";
import { Router } from "./http/router";
import { Handlers, isolated, type ApiRoute } from "./handlers";
import { loadInfraConfig, parseInfraConfig, type InfraConfig } from "./infra-config";
import { InfraConfigError } from "./json-reader";
import { listenAddress } from "./listen-address";
import { withProcessConfig } from "./process-config";
import { keepAcceptingMs, Lifecycle, type Stoppable } from "./lifecycle";
import { flushLog, Logger, RuntimeLog } from "./log";
import { MetricsRegistry } from "./metrics";
import { decodeValue } from "./http/payload-decode";
import type { LogLine } from "./pubsub/pubsub-consumer";
import {
  PubSub,
  pubsubDatabase,
  type Delivery,
  type PubSubSubscription,
  type PubSubTopic,
} from "./pubsub/pubsub";
import { newTrace, Request, type AuthData } from "./http/request";
import { MetaReader } from "./remote/meta-reader";
import { RemoteCalls } from "./remote/remote-calls";
import { ServiceDirectory } from "./remote/service-directory";
import { Upstreams } from "./remote/upstream";
import { Runner } from "./runner";
import { SDK_VERSION } from "./sdk-version";
import type { WebSocketClient } from "./streams/handles";
import { Streams } from "./streams/streams";

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
  buckets: [],
  caches: [],
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
  readonly #deployment: Deployment;
  readonly #handlers = new Handlers();
  readonly #log = new RuntimeLog();
  readonly #runner: Runner;
  readonly #calls: Calls;
  readonly #streams: Streams;
  readonly #databases: Databases;
  readonly #pubsub: PubSub;
  readonly #crons: Crons;
  readonly #lifecycle: Lifecycle;
  readonly #directory: ServiceDirectory;
  readonly #upstreams = new Upstreams();
  #listener: Listener | null = null;
  #authFunction: AuthFunction | null = null;
  #metrics: MetricsRegistry | null = null;
  #cursors: Promise<void> = Promise.resolve();
  #registered: () => void = () => {};
  readonly #handlersReady = new Promise<void>((resolve) => {
    this.#registered = resolve;
  });

  constructor(options: RuntimeOptions) {
    this.#testMode = options.testMode ?? false;
    this.#decimal = (text) => options.typeConstructors.decimal(text);
    this.#model = loadModel();
    this.#infra = loadInfra();
    this.#deployment = new Deployment(this.#model, this.#infra);
    this.#runner = new Runner(this.#model, this.#handlers, this.#log, this.#decimal);
    const isHosted = (service: string): boolean => this.#deployment.isHosted(service);
    this.#directory = new ServiceDirectory(this.#infra);
    const remote = new RemoteCalls(this.#directory, this.#upstreams);
    this.#calls = new Calls(this.#model, this.#runner, isHosted, remote);
    this.#streams = new Streams({
      model: this.#model,
      runner: this.#runner,
      handlers: this.#handlers,
      decimal: this.#decimal,
      isHosted,
      directory: this.#directory,
      warn: (message, fields) => this.#log.warn(message, fields),
    });
    this.#databases = new Databases(this.#model, this.#infra, this.#decimal);
    const log: LogLine = (level, message, fields) => {
      if (level === "error") this.#log.error(null, message, undefined, { ...fields });
      else this.#log.info(null, message, { ...fields });
    };
    this.#pubsub = new PubSub(this.#model, this.#deployment.consuming(), { log });
    this.#crons = new Crons({
      model: this.#model,
      isHosted,
      openRuns: async () => {
        const config = areCronsOn(process.env) ? pubsubDatabase(this.#infra) : null;
        return config && CronStore.open(config);
      },
      call: (service, endpoint) => this.#runCron(service, endpoint),
      log,
      now: Date.now,
    });
    if (this.#model.databases.length > 0) this.#cursors = closeCursorsLeftEarly();
    const totalMs = this.#infra.gracefulShutdown.totalSeconds * 1000;
    this.#lifecycle = new Lifecycle(totalMs, keepAcceptingMs(process.env, totalMs));
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
    const hosted = this.#model.services.filter(({ name }) => this.#deployment.isHosted(name));
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

  async stream(
    service: string,
    endpoint: string,
    payload?: unknown,
    source?: Request | null,
    options?: CallOptions | null,
  ): Promise<WebSocketClient> {
    await this.#handlersReady;
    return this.#streams.open({ service, endpoint, payload, source, options });
  }

  async #start(): Promise<string> {
    if (this.#testMode) return "";
    const faults = this.#deployment.faults();
    if (faults.length > 0) throw new InfraConfigError(infraPath() ?? "", faults);
    for (const notice of this.#deployment.notices()) this.#log.warn(notice);
    const { appId, envName } = this.#infra.metadata;
    await this.#cursors;
    this.#listener = new Listener({ appId, envName }, this.#answering());
    const { host, port } = listenAddress(process.env);
    const address = await this.#listener.listen(host, port);
    await Promise.all([this.#pubsub.start(), this.#crons.start()]);
    return address;
  }

  /** As in Encore: the gateway where the process hosts it, else the endpoints without one. */
  #answering(): Answering {
    const model = this.#model;
    const runner = this.#runner;
    const isHosted = (service: string): boolean => this.#deployment.isHosted(service);
    const endpoints = new Endpoints({
      root: process.cwd(),
      model,
      runner,
      handlers: this.#handlers,
      streams: this.#streams,
    });
    const hosted = model.endpoints.filter(({ service }) => isHosted(service));
    const hostedRouter = new Router(hosted);
    const { gateway } = this.#deployment;
    if (gateway === null) {
      return new ApiServer(endpoints, hostedRouter, this.#metaReader(false));
    }
    return new Gateway({
      name: gateway,
      router: new Router(model.endpoints),
      hostedRouter,
      endpoints,
      cors: new Cors(this.#infra.cors, model),
      authenticator: this.#authenticator(),
      isHosted,
      metaReader: this.#metaReader(true),
      directory: this.#directory,
      upstreams: this.#upstreams,
      streams: this.#streams,
    });
  }

  /** As in Encore, only a process with the gateway knows what the auth handler's data looks like. */
  #metaReader(isGateway: boolean): MetaReader {
    const { authHandler, types } = this.#model;
    const context = { types, decimal: this.#decimal, fromStrings: false };
    return new MetaReader(this.#directory.inbound, (value) => {
      const known = isGateway && authHandler !== null;
      return (known ? decodeValue(authHandler.data, value, "", context) : value) as AuthData;
    });
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
      announce: () => this.#listener?.startDraining(),
      drain: async (signal) => {
        await Promise.all([this.#pubsub.drain(signal), this.#crons.drain()]);
        await Promise.all([this.#listener?.close(), this.#streams.drain(), this.#runner.idle()]);
      },
      release: async () => {
        this.#listener?.destroy();
        this.#upstreams.destroy();
        await this.#databases.close();
        await runExitHooks();
        flushLog();
      },
    };
  }

  #deliveryRequest(topic: TopicModel | undefined, delivery: Delivery): Request {
    const context = { types: this.#model.types, decimal: this.#decimal, fromStrings: false };
    const payload =
      topic === undefined
        ? delivery.payload
        : decodeValue(topic.message, delivery.payload, "", context);
    return new Request({ payload, trace: newTrace(), message: delivery });
  }
}

function loadModel(): AppModel {
  const path = process.env["ENCORE_APP_META_PATH"];
  if (path === undefined) return NO_MODEL;
  return JSON.parse(readFileSync(path, "utf8")) as AppModel;
}

function loadInfra(): InfraConfig {
  const path = infraPath();
  const infra = path === undefined ? parseInfraConfig({}) : loadInfraConfig(path);
  return withProcessConfig(infra, process.env);
}

function infraPath(): string | undefined {
  return process.env["ENCORE_INFRA_CONFIG_PATH"];
}
