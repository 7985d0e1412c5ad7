/** Whose signatures this deployment takes: the control plane's, and those of the other clusters. */
import type { KeyObject } from "node:crypto";

import log from "encore.dev/log";

import { parsePublicKey } from "../shared/channel/key";
import type { Receiver } from "../shared/channel/send";
import * as registry from "./store-registry";

export const CONTROL = "control";
export const clusterSender = (clusterId: string): string => `cluster/${clusterId}`;

let known: Promise<ReadonlyMap<string, KeyObject>> | undefined;

/** Every key by its owner, from this cluster's own database: the control plane may be down. */
export function trustedKeys(): Promise<ReadonlyMap<string, KeyObject>> {
  known ??= readKeys().catch((error: unknown) => {
    known = undefined;
    throw error;
  });
  return known;
}

async function readKeys(): Promise<ReadonlyMap<string, KeyObject>> {
  const clusters = (await registry.knownClusters()).filter(({ removed }) => !removed);
  const pairs: [string, string | null][] = [
    [CONTROL, await registry.controlKey()],
    ...clusters.map(({ id, publicKey }): [string, string | null] => [clusterSender(id), publicKey]),
  ];
  const keys = new Map<string, KeyObject>();
  for (const [sender, text] of pairs) {
    const key = text === null ? undefined : parsePublicKey(text);
    if (key) keys.set(sender, key);
  }
  return keys;
}

/** The registry has changed. */
export function forgetKeys(): void {
  known = undefined;
}

let control: string | undefined;

/** Keeps the control plane's key, which comes with every answer of the placement log. */
export async function learnControlKey(publicKey: string): Promise<void> {
  if (publicKey === "" || publicKey === control) return;
  const before = await registry.controlKey();
  if (before !== publicKey) {
    await registry.setControlKey(publicKey);
    log.info("the control plane's key", { publicKey, before: before ?? "" });
    forgetKeys();
  }
  control = publicKey;
}

/** A cluster of another deployment, to draw files from; null when none of that name can be asked. */
export async function peerOf(clusterId: string): Promise<Receiver | null> {
  const peer = (await registry.knownClusters()).find(({ id }) => id === clusterId);
  if (!peer || peer.removed || peer.apiUrl === null || peer.publicKey === null) return null;
  return { clusterId, apiUrl: peer.apiUrl, publicKey: peer.publicKey };
}
