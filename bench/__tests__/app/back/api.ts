import { api } from "encore.dev/api";

interface Ask {
  item: string;
  count: number;
  tags: string[];
}

interface Stock {
  item: string;
  left: number;
  reserved: boolean;
  at: Date;
}

const at = new Date("2026-01-02T03:04:05Z");

/** Private: what the bench `calls` calls. */
export const reserve = api(
  { expose: false, method: "POST", path: "/v1/reserve" },
  async ({ item, count, tags }: Ask): Promise<Stock> => ({
    item,
    left: 100 - count,
    reserved: tags.length > 0,
    at,
  }),
);
