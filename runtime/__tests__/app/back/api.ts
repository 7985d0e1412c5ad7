import { api, APIError } from "encore.dev/api";
import { currentRequest } from "encore.dev";

interface Stock {
  item: string;
  count: number;
  since: Date;
}

/** Not exposed: only other services may ask. */
export const stock = api(
  { expose: false, method: "GET", path: "/v1/stock/:item" },
  async ({ item }: { item: string }): Promise<Stock> => {
    if (item === "none") throw APIError.notFound("no such item").withDetails({ item });
    if (item === "broken") throw new Error("the shelf fell down");
    const request = currentRequest();
    const name = request?.type === "api-call" ? request.api.endpoint : "";
    return { item: `${name}:${item}`, count: 3, since: new Date(0) };
  },
);

const waiting: (() => void)[] = [];

/** Stays pending until it is released: what a service keeps the process alive with. */
export const lifeline = api(
  { expose: false, method: "POST", path: "/v1/lifeline" },
  async (): Promise<void> => new Promise((resolve) => waiting.push(resolve)),
);

export function release(): void {
  for (const resolve of waiting.splice(0)) resolve();
}
