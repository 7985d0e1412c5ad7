import { SQLDatabase } from "encore.dev/storage/sqldb";

export const db = SQLDatabase.named("containers");
