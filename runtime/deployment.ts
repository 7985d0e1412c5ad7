import type { AppModel } from "./app-model";
import { GATEWAY_NAME, type InfraConfig } from "./infra-config";

/** What of the application one process hosts. */
export class Deployment {
  readonly #model: AppModel;
  readonly #infra: InfraConfig;

  constructor(model: AppModel, infra: InfraConfig) {
    this.#model = model;
    this.#infra = infra;
  }

  /** The gateway's name, or null when requests come to the services themselves. */
  get gateway(): string | null {
    return (this.#infra.hostedGateways ?? [GATEWAY_NAME])[0] ?? null;
  }

  isHosted(service: string): boolean {
    return this.#infra.hostedServices?.includes(service) ?? true;
  }

  /** Names in the configuration that the application does not know. */
  faults(): string[] {
    const services = this.#model.services.map(({ name }) => name);
    const unknown = (this.#infra.hostedServices ?? []).filter((name) => !services.includes(name));
    const gateways = (this.#infra.hostedGateways ?? []).filter((name) => name !== GATEWAY_NAME);
    return [
      ...unknown.map((name) => {
        const known = services.join(", ");
        return `hosted_services names "${name}", which is no service: expected some of ${known}`;
      }),
      ...gateways.map((name) => {
        return `hosted_gateways names "${name}": expected "${GATEWAY_NAME}", or nothing`;
      }),
    ];
  }

  /** What is as configured and probably not as meant, a sentence each. */
  notices(): string[] {
    const elsewhere = this.#subscriptions().filter(({ service }) => !this.isHosted(service));
    return [
      ...this.#infra.notices,
      ...elsewhere.map(({ name, service }) => {
        return `subscription "${name}" is not consumed here: this process does not host "${service}"`;
      }),
      ...(this.#believesEverybody()
        ? [
            "whoever reaches this address may call private endpoints: the infra config has no auth keys",
          ]
        : []),
    ];
  }

  /**
   * The configuration without the subscriptions of services that are not hosted. (Encore consumes
   * whatever its configuration lists; its own tool lists what is hosted.)
   */
  consuming(): InfraConfig {
    const elsewhere = new Set(
      this.#subscriptions()
        .filter(({ service }) => !this.isHosted(service))
        .map(({ topic, name }) => `${topic}/${name}`),
    );
    const topics = Object.entries(this.#infra.topics).map(([topic, config]) => {
      const kept = Object.entries(config.subscriptions).filter(
        ([name]) => !elsewhere.has(`${topic}/${name}`),
      );
      return [topic, { ...config, subscriptions: Object.fromEntries(kept) }] as const;
    });
    return { ...this.#infra, topics: Object.fromEntries(topics) };
  }

  /** The application's subscriptions that are configured. */
  #subscriptions(): AppModel["subscriptions"] {
    const { topics } = this.#infra;
    return this.#model.subscriptions.filter(
      ({ topic, name }) => topics[topic]?.subscriptions[name] !== undefined,
    );
  }

  #believesEverybody(): boolean {
    const isPrivate = this.#model.endpoints.some(
      ({ service, expose }) => this.isHosted(service) && !expose,
    );
    return this.gateway === null && this.#infra.auth.length === 0 && isPrivate;
  }
}
