import type {
  AppModel,
  CronModel,
  DatabaseModel,
  EndpointModel,
  MetricModel,
  SecretModel,
  SourcePosition,
  SubscriptionModel,
  TopicModel,
} from "../app-model";
import { attempt, type Context } from "./context";
import { readEndpoint } from "./endpoints";
import { AppModelError, FaultList, type Fault } from "./faults";
import {
  NO_ENDPOINT,
  NO_TOPIC,
  readBucket,
  readCron,
  readDatabase,
  readSecret,
  readSubscription,
  readTopic,
  resourceName,
  type FoundCron,
  type FoundSubscription,
} from "./infrastructure";
import { readMetric } from "./metrics";
import { ModuleGraph, positionOf, type Module } from "./modules";
import { checkQueries } from "./queries";
import { findReferences, type Reference } from "./references";
import { checkRoutes } from "./routes";
import { SchemaBuilder } from "./schemas";
import { ServiceTable } from "./service-table";
import {
  isServiceFile,
  readAuthHandler,
  readGateway,
  readService,
  type FoundAuthHandler,
  type FoundGateway,
} from "./services";
import { listSourceFiles } from "./source-files";
import { TypeResolver } from "./type-resolver";
import { findUsages, type Bound, type Usage } from "./usages";

/**
 * Reads what the application at `root` declares, as Encore's own parser does.
 *
 * @throws AppModelError with every fault at once
 */
export async function analyze(root: string): Promise<AppModel> {
  const { model, faults } = await analyzeLeniently(root);
  if (faults.length > 0) throw new AppModelError(faults);
  return model;
}

/** As {@link analyze}, but gives what could be understood beside the faults. */
export async function analyzeLeniently(
  root: string,
): Promise<{ model: AppModel; faults: readonly Fault[] }> {
  const reader = new Reader(root);
  const model = reader.read();
  await reader.checkQueries();
  return { model, faults: reader.faults.all() };
}

/** A database, topic or metric that a declaration makes, under the name it goes by. */
type Declared = { readonly key: string; readonly bound: Bound };

type Named = { readonly name: string; readonly at: SourcePosition };

class Reader {
  readonly faults = new FaultList();
  readonly #context: Context;
  readonly #modules: Module[] = [];
  readonly #endpoints: EndpointModel[] = [];
  readonly #databases: DatabaseModel[] = [];
  readonly #databaseRefs: { name: string; reference: Reference }[] = [];
  readonly #topics: TopicModel[] = [];
  readonly #subscriptions: FoundSubscription[] = [];
  readonly #gateways: FoundGateway[] = [];
  readonly #authHandlers: FoundAuthHandler[] = [];
  readonly #crons: FoundCron[] = [];
  readonly #secrets: { name: string; service: string }[] = [];
  readonly #metrics: Omit<MetricModel, "services">[] = [];
  readonly #buckets: string[] = [];
  readonly #caches: string[] = [];
  readonly #declared: Declared[] = [];

  constructor(root: string) {
    const graph = new ModuleGraph(root, this.faults);
    const resolver = new TypeResolver(graph, this.faults);
    this.#context = {
      root,
      graph,
      faults: this.faults,
      resolver,
      schemas: new SchemaBuilder(resolver),
      services: new ServiceTable(),
      queries: [],
    };
  }

  read(): AppModel {
    const { graph, services } = this.#context;
    for (const path of listSourceFiles(this.#context.root)) {
      const module = graph.load(path);
      if (module === null) continue;
      this.#modules.push(module);
      graph.checkImports(module);
    }
    const references = this.#modules.map((module) => ({ module, refs: findReferences(module) }));
    for (const { module, refs } of references) this.#readServiceFile(module, refs);
    services.check(this.faults);
    for (const { refs } of references) for (const ref of refs) this.#readReference(ref);
    checkRoutes(this.#endpoints, this.faults);
    return this.#model();
  }

  checkQueries(): Promise<void> {
    return checkQueries(this.#context.queries, this.faults);
  }

  #readServiceFile(module: Module, refs: readonly Reference[]): void {
    const services = refs.filter((ref) => ref.name === "Service");
    for (const [index, ref] of services.entries()) {
      attempt(this.#context, module, ref.node, () => readService(this.#context, ref));
      if (index > 0) {
        const message =
          "this file declares a second service: a service is a folder with a file of its own";
        this.faults.add(positionOf(module, ref.node), message);
      }
    }
    if (isServiceFile(module) && services.length === 0) {
      const message =
        'encore.service.ts declares no service: write export default new Service("name")';
      this.faults.add({ file: module.path, line: 1 }, message);
    }
  }

  #readReference(ref: Reference): void {
    const read = READERS[`${ref.package} ${ref.name}`];
    if (read === undefined) return;
    if (ref.binding.kind === "inner") {
      const message = `variable ${ref.binding.name} holds a resource and is not at the top level of its file: declare it there`;
      this.faults.add(positionOf(ref.module, ref.node), message);
      return;
    }
    attempt(this.#context, ref.module, ref.node, () => read(this, ref));
  }

  #checkUnique(what: string, one: Named, others: readonly Named[]): void {
    const other = others.find(({ name }) => name === one.name);
    if (other === undefined) return;
    const place = `${other.at.file}:${other.at.line}`;
    this.faults.add(
      one.at,
      `${what} "${one.name}" is declared twice, first in ${place}: give it another name`,
    );
  }

  #declare(ref: Reference, kind: Bound["kind"], name: string): void {
    const { binding } = ref;
    const variable = binding.kind === "default" ? "default" : binding.name;
    if (variable === null) return;
    const key = `${ref.module.path}#${variable}`;
    this.#declared.push({ key, bound: { kind, name, made: ref.node } });
  }

  endpoint(ref: Reference): void {
    const model = readEndpoint(this.#context, ref);
    const siblings = this.#endpoints.filter(({ service }) => service === model.service);
    this.#checkUnique(`endpoint of service "${model.service}"`, model, siblings);
    this.#endpoints.push(model);
  }

  database(ref: Reference): void {
    if (ref.member === "named") {
      const name = resourceName(ref, 0);
      this.#databaseRefs.push({ name, reference: ref });
      this.#declare(ref, "database", name);
    } else if (ref.member === null) {
      const model = readDatabase(this.#context, ref);
      this.#checkUnique("database", model, this.#databases);
      this.#databases.push(model);
      this.#declare(ref, "database", model.name);
    }
  }

  topic(ref: Reference): void {
    const model = readTopic(this.#context, ref);
    this.#checkUnique("topic", model, this.#topics);
    this.#topics.push(model);
    this.#declare(ref, "topic", model.name);
  }

  subscription(ref: Reference): void {
    this.#subscriptions.push(readSubscription(this.#context, ref));
  }

  gateway(ref: Reference): void {
    this.#gateways.push(readGateway(this.#context, ref));
    if (this.#gateways.length > 1) {
      this.faults.add(
        positionOf(ref.module, ref.node),
        "this is the second gateway: an application has one",
      );
    }
  }

  authHandler(ref: Reference): void {
    const found = readAuthHandler(this.#context, ref);
    const [first] = this.#authHandlers;
    if (first !== undefined) {
      const place = `${first.model.at.file}:${first.model.at.line}`;
      this.faults.add(
        found.model.at,
        `this is the second auth handler, the first is in ${place}: an application has one`,
      );
    }
    this.#authHandlers.push(found);
  }

  cron(ref: Reference): void {
    const found = readCron(this.#context, ref);
    this.#checkUnique(
      "cron job",
      found.model,
      this.#crons.map(({ model }) => model),
    );
    this.#crons.push(found);
  }

  secret(ref: Reference): void {
    this.#secrets.push(readSecret(this.#context, ref));
  }

  metric(ref: Reference): void {
    const model = readMetric(this.#context, ref);
    this.#checkUnique("metric", model, this.#metrics);
    this.#metrics.push(model);
    this.#declare(ref, "metric", model.name);
  }

  bucket(ref: Reference): void {
    if (ref.member === null) this.#buckets.push(readBucket(ref));
  }

  cache(ref: Reference): void {
    if (ref.member === null) this.#caches.push(resourceName(ref, 0));
  }

  #model(): AppModel {
    const usages = this.#usages();
    const usersOf = (kind: Usage["kind"], name: string): string[] =>
      servicesOf(usages.filter((usage) => usage.kind === kind && usage.name === name));
    for (const { name, reference } of this.#databaseRefs) {
      if (this.#databases.some((database) => database.name === name)) continue;
      const at = positionOf(reference.module, reference.node);
      this.faults.add(
        at,
        `no database is named "${name}": expected one that new SQLDatabase declares`,
      );
    }
    return {
      services: this.#context.services.all().map(({ name, dir, at }) => ({
        name,
        dir,
        at,
        databases: databasesOf(name, usages),
      })),
      endpoints: this.#endpoints,
      databases: this.#databases,
      topics: this.#topics.map((topic) => ({ ...topic, publishers: usersOf("topic", topic.name) })),
      subscriptions: this.#linkSubscriptions(),
      gateways: this.#gateways.map(({ model }) => model),
      authHandler: this.#linkAuthHandler(),
      crons: this.#linkCrons(),
      secrets: mergeSecrets(this.#secrets),
      buckets: this.#buckets,
      caches: this.#caches,
      metrics: this.#metrics.map((m) => ({ ...m, services: usersOf("metric", m.name) })),
      types: this.#context.schemas.types,
    };
  }

  #usages(): Usage[] {
    const bound = new Map(this.#declared.map(({ key, bound: resource }) => [key, resource]));
    return this.#modules.flatMap((module) => findUsages(this.#context, module, bound));
  }

  #linkSubscriptions(): SubscriptionModel[] {
    const topics = new Map(
      this.#declared
        .filter(({ bound }) => bound.kind === "topic")
        .map((d) => [d.key, d.bound.name]),
    );
    const linked: SubscriptionModel[] = [];
    for (const { topicKey, topicNode, reference, model } of this.#subscriptions) {
      const topic = topics.get(topicKey);
      if (topic === undefined) {
        const at = positionOf(reference.module, topicNode);
        this.faults.add(at, NO_TOPIC);
        continue;
      }
      const siblings = linked.filter((other) => other.topic === topic);
      this.#checkUnique(`subscription of topic "${topic}"`, model, siblings);
      linked.push({ topic, ...model });
    }
    return linked;
  }

  #linkAuthHandler(): AppModel["authHandler"] {
    const key = this.#gateways[0]?.authHandler ?? null;
    if (key === null) return null;
    return this.#authHandlers.find((handler) => handler.key === key)?.model ?? null;
  }

  #linkCrons(): CronModel[] {
    return this.#crons.flatMap(({ endpointKey, reference, model }) => {
      const endpoint = this.#endpoints.find((e) => `${e.at.file}#${e.name}` === endpointKey);
      if (endpoint === undefined) {
        this.faults.add(positionOf(reference.module, reference.node), NO_ENDPOINT);
        return [];
      }
      return [{ ...model, service: endpoint.service, endpoint: endpoint.name }];
    });
  }
}

const READERS: Readonly<Record<string, (reader: Reader, ref: Reference) => void>> = {
  "encore.dev/api api": (reader, ref) => reader.endpoint(ref),
  "encore.dev/api Gateway": (reader, ref) => reader.gateway(ref),
  "encore.dev/auth authHandler": (reader, ref) => reader.authHandler(ref),
  "encore.dev/storage/sqldb SQLDatabase": (reader, ref) => reader.database(ref),
  "encore.dev/pubsub Topic": (reader, ref) => reader.topic(ref),
  "encore.dev/pubsub Subscription": (reader, ref) => reader.subscription(ref),
  "encore.dev/cron CronJob": (reader, ref) => reader.cron(ref),
  "encore.dev/config secret": (reader, ref) => reader.secret(ref),
  "encore.dev/storage/objects Bucket": (reader, ref) => reader.bucket(ref),
  "encore.dev/storage/cache CacheCluster": (reader, ref) => reader.cache(ref),
  "encore.dev/metrics Counter": (reader, ref) => reader.metric(ref),
  "encore.dev/metrics CounterGroup": (reader, ref) => reader.metric(ref),
  "encore.dev/metrics Gauge": (reader, ref) => reader.metric(ref),
  "encore.dev/metrics GaugeGroup": (reader, ref) => reader.metric(ref),
};

function servicesOf(usages: readonly Usage[]): string[] {
  const names = usages.flatMap(({ service }) => (service === null ? [] : [service]));
  return [...new Set(names)].sort();
}

function databasesOf(service: string, usages: readonly Usage[]): string[] {
  const own = usages.filter((usage) => usage.kind === "database" && usage.service === service);
  return [...new Set(own.map(({ name }) => name))].sort();
}

function mergeSecrets(found: readonly { name: string; service: string }[]): SecretModel[] {
  const byName = new Map<string, Set<string>>();
  for (const { name, service } of found) {
    const services = byName.get(name) ?? new Set();
    byName.set(name, services.add(service));
  }
  return [...byName].map(([name, services]) => ({ name, services: [...services].sort() }));
}
