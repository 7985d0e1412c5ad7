import { type DeadEventStore, deadEventStore } from "../shared/events/store-dead";
import { db } from "./db";

/** The deployment's, whichever of its clusters they were for: a subscription is the service's. */
export const deadEvents: DeadEventStore = deadEventStore(db);
