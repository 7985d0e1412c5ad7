/** Who calls an endpoint from inside the application. */
export type Caller =
  | { readonly kind: "api"; readonly service: string; readonly endpoint: string }
  | {
      readonly kind: "pubsub";
      readonly topic: string;
      readonly subscription: string;
      readonly messageId: string;
    }
  /** Code outside of any request. */
  | { readonly kind: "app"; readonly deployId: string }
  /** On behalf of a stranger. */
  | { readonly kind: "gateway"; readonly gateway: string }
  | { readonly kind: "encore"; readonly principal: string };

/** Only inside the application private endpoints are there. */
export function mayCallPrivate(caller: Caller | null): boolean {
  return caller !== null && caller.kind !== "gateway";
}

/** As it stands in `x-encore-meta-caller`. */
export function callerText(caller: Caller): string {
  switch (caller.kind) {
    case "api":
      return `api:${caller.service}.${caller.endpoint}`;
    case "pubsub":
      return `pubsub:${caller.topic}:${caller.subscription}:${caller.messageId}`;
    case "app":
      return `app:${caller.deployId}`;
    case "gateway":
      return `gateway:${caller.gateway}`;
    case "encore":
      return `encore:${caller.principal}`;
  }
}

/** Null when the text names no caller. */
export function parseCaller(text: string): Caller | null {
  const [, kind = "", rest = ""] = /^([^:]*):(.*)$/s.exec(text) ?? [];
  switch (kind) {
    case "api": {
      const [, service, endpoint] = /^([^.]*)\.(.*)$/s.exec(rest) ?? [];
      return service === undefined || endpoint === undefined ? null : { kind, service, endpoint };
    }
    case "pubsub": {
      const [, topic, subscription, messageId] = /^([^:]*):([^:]*):(.*)$/s.exec(rest) ?? [];
      if (topic === undefined || subscription === undefined || messageId === undefined) return null;
      return { kind, topic, subscription, messageId };
    }
    case "app":
      return { kind, deployId: rest };
    case "gateway":
      return { kind, gateway: rest.split(".", 1)[0] ?? "" };
    case "encore":
      return { kind, principal: rest };
    default:
      return null;
  }
}
