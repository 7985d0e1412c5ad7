import { AsyncResource } from "node:async_hooks";

/** What works on migrations in this process. */
interface Worker {
  kick(): void;
  abort(migrationId: string): void;
}

let worker: Worker | undefined;
let evacuator: { kick(): void } | undefined;

/** Names the worker; before that, kicks go nowhere, and the sweep finds the work by itself. */
export function setWorker(started: Worker): void {
  worker = started;
}

/**
 * Looks for work at once: a migration was written. Bound to this module's own context: the migration
 * goes on after the request that started it is over, and must not count as a part of it.
 */
export const kick = AsyncResource.bind(() => worker?.kick());

export function setEvacuator(started: { kick(): void }): void {
  evacuator = started;
}

/** An evacuation was started or resumed; bound as `kick` is. */
export const kickEvacuation = AsyncResource.bind(() => evacuator?.kick());

/** The migration was aborted at the authority: if it runs here, it turns round now. */
export function abort(migrationId: string): void {
  worker?.abort(migrationId);
}
