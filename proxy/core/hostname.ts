/** From a Host to the repl that is meant (design section 5): syntax only, no table. */

export type HostKey =
  | { readonly kind: "id"; readonly replId: string }
  | { readonly kind: "name"; readonly name: string; readonly owner: string }
  /** Somebody's own domain, perhaps. */
  | { readonly kind: "hostname"; readonly hostname: string }
  /** Cannot be a repl: an address, a single label, the zone itself. */
  | { readonly kind: "none" };

const NONE: HostKey = { kind: "none" };
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Lower case, without port and without one trailing dot. */
export function normaliseHost(host: string): string {
  const colon = host.startsWith("[") ? host.indexOf("]") + 1 : host.indexOf(":");
  const name = colon > 0 ? host.slice(0, colon) : host;
  const lower = name.toLowerCase();
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}

/** What a normalised host means in `zone`. Total. */
export function parseHost(hostname: string, zone: string): HostKey {
  if (hostname.endsWith(`.${zone}`)) {
    return parsePlatformName(hostname.slice(0, -zone.length - 1).split("."));
  }
  if (hostname === zone) return NONE;
  const labels = hostname.split(".");
  const last = labels[labels.length - 1] as string;
  const isName = labels.length > 1 && hostname.length <= 253 && !/^[0-9]+$/.test(last);
  return isName && labels.every((label) => LABEL.test(label) || label.startsWith("_"))
    ? { kind: "hostname", hostname }
    : NONE;
}

function parsePlatformName(labels: readonly string[]): HostKey {
  const [first = "", second] = labels;
  if (labels.length > 2 || !labels.every((label) => LABEL.test(label))) return NONE;
  if (second === "id") return { kind: "id", replId: first };
  if (second !== undefined) return { kind: "name", name: first, owner: second };
  const dashes = first.indexOf("--");
  if (dashes <= 0 || dashes + 2 >= first.length) return NONE;
  return { kind: "name", name: first.slice(0, dashes), owner: first.slice(dashes + 2) };
}
