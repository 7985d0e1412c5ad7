/** What a browser says of the page that made a request; other callers say nothing. */
export interface Provenance {
  readonly origin: string | undefined;
  /** The header Sec-Fetch-Site (W3C Fetch Metadata). */
  readonly fetchSite: string | undefined;
}

/** Why a request must not be served, given the base URLs whose pages may use the API. */
export function findFault(
  { origin, fetchSite }: Provenance,
  allowed: readonly string[],
): string | undefined {
  const isOurs = origin !== undefined && allowed.some((url) => originOf(url) === origin);
  if (origin !== undefined && !isOurs) {
    return `Refused a request from the origin "${origin}": pages of other origins may not use this API`;
  }
  const isForeign = fetchSite === "cross-site" || fetchSite === "same-site";
  if (isForeign && !isOurs) {
    return `Refused a "${fetchSite}" request: pages of other origins may not use this API`;
  }
  return undefined;
}

function originOf(url: string): string | undefined {
  return /^https?:\/\/[^/]+/.exec(url)?.[0].toLowerCase();
}
