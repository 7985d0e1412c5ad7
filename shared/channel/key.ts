import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from "node:crypto";
import { writeFileSync } from "node:fs";

import { readOrMake } from "./key-file";

/** Who this deployment is to the others. */
export interface DeploymentKey {
  readonly privateKey: KeyObject;
  /** 32 bytes as base64url: what the others pin. */
  readonly publicKey: string;
}

const PUBLIC_KEY = /^[A-Za-z0-9_-]{43}$/;

/** The key from the setting, or from its file, which is made when it is missing. Throws when it is no key. */
export function loadDeploymentKey(setting: string, file: string): DeploymentKey {
  const privateKey = parsePrivateKey(setting === "" ? readOrMake(file, makeKey) : setting);
  const { x: publicKey = "" } = createPublicKey(privateKey).export({ format: "jwk" });
  if (setting === "") writeFileSync(`${file}.pub`, `${publicKey}\n`, { mode: 0o644 });
  return { privateKey, publicKey };
}

/** PKCS #8, as PEM or only its line of base64: `openssl genpkey -algorithm ed25519` writes one. */
function parsePrivateKey(text: string): KeyObject {
  const der = Buffer.from(text.replaceAll(/-----[A-Z ]+-----|\s/g, ""), "base64");
  try {
    const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
    if (key.asymmetricKeyType === "ed25519") return key;
  } catch {
    // Said below, without the text, which is a secret.
  }
  throw new Error("Cannot use the deployment key: expected an Ed25519 private key in PKCS #8");
}

function makeKey(): string | Buffer {
  return generateKeyPairSync("ed25519").privateKey.export({ format: "pem", type: "pkcs8" });
}

/** Undefined when the text is no public key. */
export function parsePublicKey(text: string): KeyObject | undefined {
  if (!PUBLIC_KEY.test(text)) return undefined;
  try {
    return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: text }, format: "jwk" });
  } catch {
    return undefined;
  }
}
