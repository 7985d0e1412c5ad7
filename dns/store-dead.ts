import { type DeadEventStore, deadEventStore } from "../shared/events/store-dead";
import { db } from "./db";

export const deadEvents: DeadEventStore = deadEventStore(db);
