import type { InfraConfig } from "./infra-config";

/** A secret's value, as the SDK asks for it. */
export class Secret {
  constructor(private readonly value: string) {}

  cached(): string {
    return this.value;
  }
}

/**
 * The secrets of a process. One that is not set gives null: the SDK takes that for an empty string
 * locally, and refuses its use elsewhere.
 */
export class Secrets {
  constructor(private readonly infra: InfraConfig) {}

  secret(name: string): Secret | null {
    const value = this.infra.secrets[name];
    return value === undefined ? null : new Secret(value);
  }
}
