import { type Api, path } from "./api-client";
import type { Items, Repl } from "./api-types";
import { Failure } from "./failure";

/** The owner that a bare name is looked up with first. */
export const DEFAULT_OWNER = "demo";
const REPL_ID = /^[a-z][a-z2-7]{11}$/;

/** `name.owner`, also as somebody copies it from a URL: `name.owner.repl.localhost`. */
export function splitName(text: string): { name: string; owner: string } | undefined {
  const [name = "", owner = ""] = text.toLowerCase().split(".");
  return name !== "" && owner !== "" ? { name, owner } : undefined;
}

/** The app that `text` means: `name.owner`, an id, a name of owner `demo`, or a name that is unique. */
export async function findApp(api: Api, text: string): Promise<Repl> {
  const full = splitName(text);
  if (full) return byName(api, full);
  if (REPL_ID.test(text)) {
    const repl = await orNothing(api.get<Repl>(path`/v1/repls/${text}`));
    if (repl) return repl;
  }
  const { items } = await api.get<Items<Repl>>("/v1/repls");
  return choose(items, text);
}

async function byName(api: Api, wanted: { name: string; owner: string }): Promise<Repl> {
  return api.get<Repl>(path`/v1/repls/by-name/${wanted.owner}/${wanted.name}`);
}

/** Among apps called `name`: the default owner's, else the only one. */
export function choose(repls: readonly Repl[], name: string): Repl {
  const called = repls.filter((repl) => repl.name === name);
  const repl = called.find(({ owner }) => owner === DEFAULT_OWNER) ?? called[0];
  if (!repl) throw new Failure(`there is no app "${name}": stele ls lists them`, 1, "not_found");
  if (called.length > 1 && repl.owner !== DEFAULT_OWNER) {
    const names = called.map(({ owner }) => `${name}.${owner}`).join(", ");
    throw new Failure(`"${name}" may be ${names}: say which`, 2);
  }
  return repl;
}

/** `undefined` where the API says that there is none. */
export async function orNothing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof Failure && error.code === "not_found") return undefined;
    throw error;
  }
}

/** Where a browser finds the app. */
export function urlOf(host: string, port: number): string {
  return `http://${host}${port === 80 ? "" : `:${port}`}`;
}
