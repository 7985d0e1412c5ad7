import { list, readSettings, type Settings, type SettingsTable, text } from "../settings";
import { type DeploymentKey, loadDeploymentKey } from "./key";

export const settings = {
  localClusters: {
    name: "LOCAL_CLUSTERS",
    default: "*",
    parse: list,
    doc: "The clusters that this process serves; * is every cluster registered without an API of its own",
  },
  key: {
    name: "STELE_DEPLOYMENT_KEY",
    default: "",
    parse: text,
    doc: "Ed25519 private key that this deployment signs with, PKCS #8 in base64; one for all processes of the control plane. Empty: from the file",
  },
  keyFile: {
    name: "STELE_DEPLOYMENT_KEY_FILE",
    default: ".stele/deployment-key",
    parse: text,
    doc: "Where that key is kept, with the public one beside it in .pub; made when it is missing",
  },
} as const satisfies SettingsTable;

let read: Settings<typeof settings> | undefined;
let loaded: DeploymentKey | undefined;

export function config(): Settings<typeof settings> {
  return (read ??= readSettings(settings));
}

/** What this process signs with, loaded at the first use. */
export function deploymentKey(): DeploymentKey {
  return (loaded ??= loadDeploymentKey(config().key, config().keyFile));
}
