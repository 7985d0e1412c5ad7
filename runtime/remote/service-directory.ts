import type { AuthKey, InfraConfig } from "../infra-config";
import { EncoreAuth, NO_AUTH, type ServiceAuth } from "./service-auth";

/** Where a service of another process is, and how calls to it are signed. */
export interface ServiceLocation {
  readonly service: string;
  readonly baseUrl: URL;
  readonly auth: ServiceAuth;
}

/** The services of other processes, as the infra config names them. */
export class ServiceDirectory {
  /** What this process asks of who calls it. */
  readonly inbound: ServiceAuth;
  readonly #locations: ReadonlyMap<string, ServiceLocation>;

  constructor({ auth, metadata, serviceDiscovery }: InfraConfig) {
    const { appId, envName } = metadata;
    const authOf = ([first, ...rest]: readonly AuthKey[]): ServiceAuth =>
      first === undefined ? NO_AUTH : new EncoreAuth(appId, envName, [first, ...rest]);
    this.inbound = authOf(auth);
    this.#locations = new Map(
      Object.entries(serviceDiscovery).map(([service, address]) => [
        service,
        {
          service,
          baseUrl: new URL(address.baseUrl),
          auth: address.auth === null ? this.inbound : authOf(address.auth),
        },
      ]),
    );
  }

  find(service: string): ServiceLocation | null {
    return this.#locations.get(service) ?? null;
  }
}
