import { posix } from "node:path";
import type { SourcePosition } from "../app-model";
import type { FaultList } from "./faults";

export interface FoundService {
  readonly name: string;
  readonly dir: string;
  readonly at: SourcePosition;
  /** Declared by an `encore.service.ts`, rather than implied by what its folder holds. */
  readonly declared: boolean;
}

/** Which folder is which service. */
export class ServiceTable {
  readonly #services = new Map<string, FoundService>();

  declare(name: string, at: SourcePosition): void {
    this.#services.set(posix.dirname(at.file), {
      name,
      dir: posix.dirname(at.file),
      at,
      declared: true,
    });
  }

  /** The service whose folder holds the file, the innermost; or null. */
  of(file: string): FoundService | null {
    for (let dir = posix.dirname(file); ; dir = posix.dirname(dir)) {
      const service = this.#services.get(dir);
      if (service !== undefined) return service;
      if (dir === "." || dir === "/") return null;
    }
  }

  /**
   * The service that an endpoint, subscription, gateway or auth handler in `at.file` belongs to.
   * Encore silently makes a service of any folder that holds one; here that is a fault.
   */
  owner(at: SourcePosition, what: string, faults: FaultList): FoundService {
    const known = this.of(at.file);
    if (known !== null) return known;
    const dir = posix.dirname(at.file);
    const name = posix.basename(dir);
    faults.add(
      at,
      `${what} outside a service: Encore would silently make a service "${name}" of this folder; ` +
        "add an encore.service.ts to it or move the declaration into a service",
    );
    return { name, dir, at, declared: false };
  }

  all(): FoundService[] {
    return [...this.#services.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  check(faults: FaultList): void {
    const services = this.all();
    for (const [index, one] of services.entries()) {
      for (const other of services.slice(index + 1)) {
        const nested = contains(one.dir, other.dir) ? [other, one] : [one, other];
        const [inner, outer] = nested as [FoundService, FoundService];
        if (contains(outer.dir, inner.dir)) {
          faults.add(
            inner.at,
            `service "${inner.name}" is inside service "${outer.name}", in ${outer.dir}: ` +
              "services do not nest; move its folder out or remove one encore.service.ts",
          );
        } else if (one.name === other.name) {
          faults.add(
            other.at,
            `service "${one.name}" is declared in ${one.dir} too: give one of them another name`,
          );
        }
      }
    }
  }
}

function contains(outer: string, inner: string): boolean {
  return inner !== outer && (outer === "." || inner.startsWith(`${outer}/`));
}
