/** An object of the file with the path that leads to it, for messages: `sql_servers[0].host`. */
export interface JsonObject {
  readonly path: string;
  readonly value: Readonly<Record<string, unknown>>;
}

/** All faults of one configuration file, in one error. */
export class InfraConfigError extends Error {
  constructor(
    path: string,
    readonly faults: readonly string[],
  ) {
    super(`Cannot use the infra config "${path}": ${faults.join("; ")}`);
    this.name = "InfraConfigError";
  }
}

/**
 * Reads typed values out of untyped JSON and collects every fault on the way, so that one run names
 * them all. After a fault it answers with an empty value and goes on. A string may be written as
 * `{ "$env": "NAME" }` and is then taken from the environment.
 */
export class JsonReader {
  readonly faults: string[] = [];

  constructor(readonly env: NodeJS.ProcessEnv) {}

  fault(object: JsonObject, key: string, what: string): void {
    this.faults.push(`${join(object.path, key)} ${what}`);
  }

  has(object: JsonObject, key: string): boolean {
    return object.value[key] !== undefined && object.value[key] !== null;
  }

  onlyKeys(object: JsonObject, known: readonly string[]): void {
    for (const key of Object.keys(object.value)) {
      if (!known.includes(key)) {
        this.fault(object, key, `is not known: expected one of ${known.join(", ")}`);
      }
    }
  }

  object(value: unknown, path: string): JsonObject {
    if (isObject(value)) return { path, value };
    this.faults.push(`${path || "the file"} is ${describe(value)}: expected an object`);
    return { path, value: {} };
  }

  optionalObject(object: JsonObject, key: string): JsonObject {
    const path = join(object.path, key);
    return this.has(object, key) ? this.object(object.value[key], path) : { path, value: {} };
  }

  list(object: JsonObject, key: string): JsonObject[] {
    if (!this.has(object, key)) return [];
    const value = object.value[key];
    if (!Array.isArray(value)) {
      this.fault(object, key, `is ${describe(value)}: expected a list`);
      return [];
    }
    return value.map((item, index) => this.object(item, `${join(object.path, key)}[${index}]`));
  }

  entries<T>(
    object: JsonObject,
    key: string,
    read: (entry: JsonObject, name: string) => T,
  ): Record<string, T> {
    const parent = this.optionalObject(object, key);
    return Object.fromEntries(
      Object.entries(parent.value).map(([name, value]) => [
        name,
        read(this.object(value, join(parent.path, name)), name),
      ]),
    );
  }

  stringEntries(object: JsonObject, key: string): Record<string, string> {
    const parent = this.optionalObject(object, key);
    return Object.fromEntries(
      Object.keys(parent.value).map((name) => [name, this.string(parent, name)]),
    );
  }

  string(object: JsonObject, key: string, fallback?: string): string {
    if (!this.has(object, key)) return this.missing(object, key, fallback, "");
    const value = object.value[key];
    if (typeof value === "string") return value;
    if (isObject(value) && typeof value["$env"] === "string") {
      const found = this.env[value["$env"]];
      if (found !== undefined) return found;
      const what = `needs the environment variable "${value["$env"]}", which is not set`;
      this.fault(object, key, what);
      return "";
    }
    this.fault(object, key, `is ${describe(value)}: expected a string or { "$env": "NAME" }`);
    return "";
  }

  number(object: JsonObject, key: string, fallback?: number): number {
    if (!this.has(object, key)) return this.missing(object, key, fallback, 0);
    const value = object.value[key];
    if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
    this.fault(object, key, `is ${describe(value)}: expected a whole number, 0 or more`);
    return 0;
  }

  boolean(object: JsonObject, key: string, fallback: boolean): boolean {
    if (!this.has(object, key)) return fallback;
    const value = object.value[key];
    if (typeof value === "boolean") return value;
    this.fault(object, key, `is ${describe(value)}: expected true or false`);
    return fallback;
  }

  oneOf<T extends string>(object: JsonObject, key: string, allowed: readonly T[], fallback?: T): T {
    const value = this.string(object, key, fallback);
    const found = allowed.find((item) => item === value);
    if (found !== undefined) return found;
    if (value !== "") {
      this.fault(object, key, `is "${value}": expected one of ${allowed.join(", ")}`);
    }
    return allowed[0] as T;
  }

  url(object: JsonObject, key: string): string {
    const value = this.string(object, key);
    if (value !== "" && !URL.canParse(value)) {
      this.fault(object, key, `is "${value}": expected a URL such as http://127.0.0.1:4000`);
    }
    return value;
  }

  optionalStrings(object: JsonObject, key: string): string[] | null {
    if (!this.has(object, key)) return null;
    const value = object.value[key];
    if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
    this.fault(object, key, `is ${describe(value)}: expected a list of strings`);
    return [];
  }

  strings(object: JsonObject, key: string): string[] {
    return this.optionalStrings(object, key) ?? this.missing(object, key, undefined, []);
  }

  private missing<T>(object: JsonObject, key: string, fallback: T | undefined, empty: T): T {
    if (fallback !== undefined) return fallback;
    this.fault(object, key, "is missing");
    return empty;
  }
}

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : JSON.stringify(value);
}
