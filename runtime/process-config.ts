import { InfraConfigError, JsonReader } from "./json-reader";
import { GATEWAY_NAME, type InfraConfig } from "./infra-config";

/** Narrows a process to a part of its deployment, as Encore's process manager does. */
const VARIABLE = "ENCORE_PROCESS_CONFIG";

const PORT_MAX = 65_535;

/**
 * Applies `ENCORE_PROCESS_CONFIG`: base64 of JSON that says which services and gateways this process
 * hosts, and at which local ports the others are.
 *
 * @throws InfraConfigError with every fault in it
 */
export function withProcessConfig(infra: InfraConfig, env: NodeJS.ProcessEnv): InfraConfig {
  const encoded = env[VARIABLE];
  if (encoded === undefined) return infra;
  const reader = new JsonReader(env);
  const root = reader.object(decode(encoded), "");
  reader.onlyKeys(root, ["hosted_services", "hosted_gateways", "local_service_ports"]);
  const hostedServices = reader.strings(root, "hosted_services");
  const hostedGateways = reader.strings(root, "hosted_gateways");
  const deployed = infra.hostedGateways ?? [GATEWAY_NAME];
  for (const name of hostedGateways.filter((one) => !deployed.includes(one))) {
    reader.fault(root, "hosted_gateways", `names "${name}", which the infra config does not`);
  }
  const ports = reader.optionalObject(root, "local_service_ports");
  const local = Object.keys(ports.value).map((service) => {
    const port = reader.number(ports, service);
    if (port > PORT_MAX) reader.fault(ports, service, `is ${port}: expected a port`);
    return [service, { baseUrl: `http://127.0.0.1:${port}`, auth: null }] as const;
  });
  if (reader.faults.length > 0) throw new InfraConfigError(VARIABLE, reader.faults);
  const serviceDiscovery = { ...infra.serviceDiscovery, ...Object.fromEntries(local) };
  return { ...infra, hostedServices, hostedGateways, serviceDiscovery };
}

function decode(encoded: string): unknown {
  try {
    return JSON.parse(Buffer.from(encoded, "base64").toString("utf8"));
  } catch (error) {
    const reason = `is not JSON in base64: ${(error as Error).message}`;
    throw new InfraConfigError(VARIABLE, [reason]);
  }
}
