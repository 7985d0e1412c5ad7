import { appMeta } from "encore.dev";
import { api, APIError } from "encore.dev/api";
import { getAuthData } from "~encore/auth";
import { back, side } from "~encore/clients";
import { noteAdded } from "../back/topics";

interface Asked {
  item: string;
  count: number;
  isDate: boolean;
  etag: string;
  note: string;
}

/** Everything a call can carry, there and back. */
export const ask = api(
  { expose: true, method: "GET", path: "/v1/front/ask/:item" },
  async ({ item }: { item: string }): Promise<Asked> => {
    const found = await back.stock({ item, count: 3, tags: ["a b", "ü"], note: "plain" });
    const { count, etag, note } = found;
    return { item: found.item, count, isDate: found.since instanceof Date, etag, note };
  },
);

interface Caught {
  code: string;
  message: string;
  details: string;
  isAPIError: boolean;
}

/** Encore keeps no order of keys. */
const sorted = (value: object): string => JSON.stringify(value, Object.keys(value).sort());

export const caught = api(
  { expose: true, method: "GET", path: "/v1/front/caught/:item" },
  async ({ item }: { item: string }): Promise<Caught> => {
    try {
      if (item === "secret") await back.secret();
      else await back.stock({ item, count: 1, note: "n" });
    } catch (error) {
      const { code, message, details } = error as APIError;
      const isAPIError = error instanceof APIError;
      return { code, message, details: sorted(details ?? {}), isAPIError };
    }
    throw APIError.internal("nothing was thrown");
  },
);

interface Known {
  user: string;
  data: string;
}

export const me = api(
  { expose: true, auth: true, method: "GET", path: "/v1/front/me" },
  async (): Promise<Known> => back.whoami(),
);

/** For a user whom the caller names. */
export const as = api(
  { expose: true, method: "GET", path: "/v1/front/as/:user" },
  async ({ user }: { user: string }): Promise<Known> =>
    back.whoami({ authData: { userID: user, name: "given", since: new Date(5) } }),
);

/** Through a second process to a third, and back into this one. */
export const round = api(
  { expose: true, method: "GET", path: "/v1/front/round" },
  async (): Promise<{ path: string[] }> => {
    const { path } = await side.round();
    return { path: ["front", ...path] };
  },
);

export const end = api(
  { expose: false, method: "GET", path: "/v1/front/end" },
  async (): Promise<{ path: string[] }> => ({ path: ["front"] }),
);

interface Note {
  text: string;
}

export const publish = api(
  { expose: true, method: "POST", path: "/v1/front/notes" },
  async ({ text }: Note): Promise<void> => {
    await noteAdded.publish({ text });
  },
);

export const wait = api(
  { expose: true, method: "POST", path: "/v1/front/wait" },
  async (): Promise<void> => back.wait(),
);

export const hosted = api(
  { expose: true, method: "GET", path: "/v1/front/hosted" },
  async (): Promise<{ services: string[] }> => ({
    services: Object.keys(appMeta().deploy.hostedServices).sort(),
  }),
);

/** Only for other services: how the user's data arrives in the process of the gateway. */
export const known = api(
  { expose: false, method: "GET", path: "/v1/front/known" },
  async (): Promise<{ user: string; isDate: boolean }> => {
    const data = getAuthData();
    return { user: data?.userID ?? "", isDate: data?.since instanceof Date };
  },
);
